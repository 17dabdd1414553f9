"""What the whole of elaboration shares: diagnostics, limits, the graph under construction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn, Protocol

from cnndsl import limits
from cnndsl.diagnostics import Diagnostic, Diagnostics, Related, Span
from cnndsl.elaborate.graph_builder import GraphBuilder, Recording
from cnndsl.elaborate.naming import Frame
from cnndsl.elaborate.network_facts import NetworkFacts
from cnndsl.elaborate.scope import Scope
from cnndsl.elaborate.values import POISON, Poison, Tensor, Value
from cnndsl.syntax import ast

_LONG_TRAIL = 6


class LimitReachedError(Exception):
    """A limit is passed: elaboration stops here, with this diagnostic."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass(frozen=True, slots=True, eq=False)
class WaitingClaim:
    """An assert that waits for the complete network; with the names it saw, and where it stood."""

    statement: ast.Assert
    scope: Scope
    frame: Frame


class Interpreter(Protocol):
    """What calls need from expressions and statements, which in turn need calls."""

    def evaluate(self, expression: ast.Expr) -> Value:
        """Return the value of an expression in the context's scope."""

    def run_body(self, block: ast.Block, body: tuple[ast.Statement, ...]) -> Value:
        """Run the statements of a block in the context's scope; return what it returns."""


class Context:
    """The state of one elaboration.

    `scope` is where names are looked up and `frame` where labels are numbered: a layer made in one
    block and applied in another has the scope of the first and the frame of the second. `facts`
    answers for the finished network (None before it is finished), and `claims` holds the asserts
    that wait for it.
    """

    interpreter: Interpreter

    def __init__(self, scope: Scope) -> None:
        self.diagnostics = Diagnostics()
        self.builder = GraphBuilder()
        self.scope = scope
        self.frame = Frame()
        self.in_claim = False
        self.declares_input = False
        self.at_usual_size = True
        self.declares_output = False
        self.sharing: list[Recording] = []
        self.facts: NetworkFacts | None = None
        self.claims: list[WaitingClaim] = []
        self._steps = 0
        self._depth = 0
        self._reported: set[tuple[str, int, int, int]] = set()

    # ------------------------------------------------------------- diagnostics

    def error(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        label: str = "",
        related: Iterable[Related] = (),
        help: str | None = None,
    ) -> Poison:
        """Record an error and return the value that stands for the failure.

        The first error of its kind at a place is recorded: a block that is used often and is wrong
        once is reported once.
        """
        self.add(self.diagnostic(code, message, span, label=label, related=related, help=help))
        return POISON

    def add(self, diagnostic: Diagnostic) -> None:
        span = diagnostic.span
        if span is not None:
            if self.reported(diagnostic.code, span):
                return
            self._reported.add(_place(diagnostic.code, span))
        self.diagnostics.add(diagnostic)

    def reported(self, code: str, span: Span) -> bool:
        """Tell whether such a diagnostic was reported there, by another use of the same text."""
        return _place(code, span) in self._reported

    def diagnostic(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        label: str = "",
        related: Iterable[Related] = (),
        help: str | None = None,
    ) -> Diagnostic:
        trail = self.frame.trail
        notes: tuple[str, ...] = ()
        if len(trail) > _LONG_TRAIL:
            notes = (f"{len(trail) - _LONG_TRAIL} more blocks lie between the last two",)
            trail = (*trail[: _LONG_TRAIL - 1], trail[-1])
        return Diagnostic(
            code=code,
            message=message,
            span=span,
            label=label,
            related=tuple(related),
            notes=notes,
            trail=trail,
            help=help,
        )

    def stop(self, code: str, message: str, span: Span, help: str | None = None) -> NoReturn:
        """Give up: the program is over a limit."""
        raise LimitReachedError(self.diagnostic(code, message, span, help=help))

    # ------------------------------------------------------------------ limits

    def step(self, span: Span, count: int = 1) -> None:
        """Account for work; stop when the program takes more than the limit."""
        self._steps += count
        if self._steps > limits.MAX_STEPS:
            self.stop(
                "CNN401",
                f"the program takes more than {limits.MAX_STEPS:_} steps to expand",
                span,
                help="repeat less",
            )

    def check_nodes(self, more: int, span: Span) -> None:
        """Stop if that many nodes more would pass the limit."""
        if len(self.builder.nodes) + more > limits.MAX_NODES:
            self.stop(
                "CNN401",
                f"the program expands to more than {limits.MAX_NODES:_} layers",
                span,
                help="repeat less",
            )

    @contextmanager
    def nested(self, span: Span) -> Iterator[None]:
        """Account for one level of depth."""
        self.deepen(span)
        try:
            yield
        finally:
            self._depth -= 1

    def deepen(self, span: Span) -> None:
        self._depth += 1
        if self._depth > limits.MAX_EVALUATION_DEPTH:
            self.stop("CNN402", "the program nests too deeply to be expanded", span)

    def surface(self) -> None:
        self._depth -= 1

    # ------------------------------------------------------------------ places

    @contextmanager
    def inside(self, frame: Frame, span: Span, scope: Scope | None = None) -> Iterator[None]:
        """Expand something within another frame (and scope)."""
        if frame.depth > limits.MAX_BLOCK_NESTING:
            self.stop("CNN402", f"blocks nest more than {limits.MAX_BLOCK_NESTING} deep", span)
        before = self.frame, self.scope
        self.frame = frame
        if scope is not None:
            self.scope = scope
        try:
            yield
        finally:
            self.frame, self.scope = before

    @contextmanager
    def scoped(self, scope: Scope) -> Iterator[None]:
        """Look names up in another scope."""
        before = self.scope
        self.scope = scope
        try:
            yield
        finally:
            self.scope = before

    def name_of(self, tensor: Tensor) -> str | None:
        """Return what the code at hand calls a tensor; None if it has no name there."""
        for scope in self.scope.enclosing():
            for name, binding in reversed(scope.names.items()):
                if binding.value is tensor:
                    return name
        return None


def _place(code: str, span: Span) -> tuple[str, int, int, int]:
    return code, id(span.source), span.start, span.end


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a misspelt one most likely means."""
    by_lower = {k.lower(): k for k in known}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return the help for a misspelt word, if a known one is near."""
    found = nearest(word, known)
    return f"did you mean `{found}`?" if found else None
