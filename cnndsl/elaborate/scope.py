"""Names and what they stand for, and which blocks a place in the program lies in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from cnndsl.diagnostics import Span
from cnndsl.elaborate.values import Value
from cnndsl.syntax import ast


class Kind(Enum):
    """How a name came to be; the value is the word for it in a sentence."""

    VARIABLE = "a value"
    CONSTANT = "a constant"
    PARAMETER = "a parameter"
    INPUT = "an input"
    SYMBOL = "a symbol"
    BLOCK = "a block"

    @property
    def is_fixed(self) -> bool:
        """Whether the name keeps its meaning for good."""
        return self in (Kind.CONSTANT, Kind.SYMBOL, Kind.BLOCK)


@dataclass(frozen=True, slots=True)
class Binding:
    """What a name stands for. `span` is its declaration (None if it came with --set)."""

    value: Value
    kind: Kind
    span: Span
    imported: bool = False


@dataclass(frozen=True, slots=True)
class Activation:
    """The blocks whose bodies hold the code being evaluated, innermost first."""

    block: ast.Block | None = None
    caller: Activation | None = None

    def holds(self, block: ast.Block) -> bool:
        at: Activation | None = self
        while at is not None:
            if at.block is block:
                return True
            at = at.caller
        return False


@dataclass(slots=True, eq=False)
class Scope:
    """Names of a file, of a block's body, or of a comprehension; inner ones see the outer.

    `incomplete` marks a file that has no input, or of which an import failed: a name unknown
    there says nothing new. `skipped` holds names that branches bind which were not taken.
    """

    parent: Scope | None = None
    activation: Activation = Activation()
    names: dict[str, Binding] = field(default_factory=dict)
    incomplete: bool = False
    skipped: dict[str, Span] = field(default_factory=dict)

    def lookup(self, name: str) -> Binding | None:
        scope: Scope | None = self
        while scope is not None:
            binding = scope.names.get(name)
            if binding is not None:
                return binding
            scope = scope.parent
        return None

    def enclosing(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def visible(self) -> dict[str, Binding]:
        """Return every name that can be seen from here."""
        found: dict[str, Binding] = {}
        for scope in self.enclosing():
            for name, binding in scope.names.items():
                found.setdefault(name, binding)
        return found

    def skipped_in(self, name: str) -> Span | None:
        """Return where a branch that was not taken would have bound a name, if one would."""
        found = (scope.skipped.get(name) for scope in self.enclosing())
        return next((span for span in found if span is not None), None)

    @property
    def is_incomplete(self) -> bool:
        return any(scope.incomplete for scope in self.enclosing())
