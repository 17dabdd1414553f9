"""What keeps weights from fitting a network: all of it, as diagnostics and as one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from cnndsl.diagnostics import CompileError, Diagnostic, Span, Table
from cnndsl.weights.shown import shown


class Kind(Enum):
    """What is wrong with a tensor, and the code for it."""

    MISSING = "missing", "CNN602"
    EXTRA = "not in the network", "CNN603"
    SHAPE = "other shape", "CNN604"
    DTYPE = "other dtype", "CNN604"
    RANGE = "out of range", "CNN604"

    @property
    def words(self) -> str:
        return self.value[0]

    @property
    def code(self) -> str:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Problem:
    """A tensor of the network or of the weights, and why it cannot be used.

    `wanted` and `got` are shape or dtype on either side; `detail` says more where they do not.
    """

    kind: Kind
    tensor: str
    wanted: str = ""
    got: str = ""
    detail: str = ""
    help: str | None = None
    span: Span | None = None

    @property
    def message(self) -> str:
        name = shown(self.tensor)
        match self.kind:
            case Kind.MISSING:
                return f"the weights have no tensor {name} of shape {self.wanted}"
            case Kind.EXTRA:
                return (
                    f"the network has no parameter {name}; the weights hold one of shape {self.got}"
                )
            case Kind.RANGE:
                return f"{name} does not fit into {self.wanted}: {self.detail}"
            case _:
                return f"{name} must be {self.wanted}, the weights have {self.got}"

    def diagnostic(self) -> Diagnostic:
        return Diagnostic(
            code=self.kind.code,
            message=self.message,
            span=self.span,
            label="this layer needs it" if self.span is not None else "",
            help=self.help,
        )


def misfit(what: str, problems: Sequence[Problem], help: str | None = None) -> CompileError:
    """Return the error that says all problems of weights that do not fit something.

    `help` is about the file as a whole.
    """
    counts = Counter(p.kind for p in problems)
    summary = ", ".join(f"{counts[kind]} {kind.words}" for kind in Kind if counts[kind])
    table = Table(
        title=f"the weights do not fit {what}: {summary}",
        columns=("tensor", "problem", "wanted", "found", "where", "help"),
        rows=tuple(
            (
                shown(p.tensor),
                p.kind.words,
                p.wanted,
                f"{p.got}: {p.detail}" if p.detail else p.got,
                "" if p.span is None else str(p.span),
                p.help or "",
            )
            for p in problems
        ),
        help=help,
    )
    return CompileError([p.diagnostic() for p in problems], table)
