"""Source text, spans into it, and diagnostics about it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from cnndsl.diagnostics.codes import CODES

MAX_ERRORS = 50
"""After this many errors a stage stops: the rest would be noise."""


@dataclass(frozen=True, eq=False)
class Source:
    """A text and the name it is shown under (compared by identity)."""

    name: str
    text: str = field(repr=False)

    @cached_property
    def _line_starts(self) -> tuple[int, ...]:
        starts = [0]
        starts.extend(i + 1 for i, c in enumerate(self.text) if c == "\n")
        return tuple(starts)

    def position(self, offset: int) -> tuple[int, int]:
        """Return the line and column (both from 1) of a character offset."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Return the text of a line (from 1), without its line break."""
        start = self._line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start:] if end < 0 else self.text[start:end]


@dataclass(frozen=True, slots=True)
class Span:
    """The characters `start` to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def __str__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"

    def to(self, other: Span) -> Span:
        """Return the span from the start of this one to the end of `other`."""
        return Span(self.source, self.start, other.end)


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that explains the diagnostic."""

    message: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One thing that is wrong, where, why, and the edit that would mend it.

    `label` stands beside the caret ("here x is [N, 64, 56, 56]"); `trail` lists the blocks being
    expanded, innermost first, as (block name, place of use); `help` is one suggested edit.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    related: tuple[Related, ...] = ()
    notes: tuple[str, ...] = ()
    trail: tuple[tuple[str, Span], ...] = ()
    help: str | None = None
    severity: Severity = Severity.ERROR

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"diagnostic code {self.code} is not in the table of codes")


@dataclass(frozen=True, slots=True)
class Table:
    """How many diagnostics of one kind are shown: a row for each, and what may mend them all."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    help: str | None = None


class CompileError(Exception):
    """The user's program (or file) is wrong; carries every diagnostic of the stage.

    A `table` is shown to people in place of the diagnostics.
    """

    def __init__(
        self, diagnostics: Diagnostic | Iterable[Diagnostic], table: Table | None = None
    ) -> None:
        if isinstance(diagnostics, Diagnostic):
            diagnostics = (diagnostics,)
        self.diagnostics = tuple(diagnostics)
        self.table = table
        super().__init__(
            "; ".join(
                f"{d.code}: {d.message}" + (f" ({d.span})" if d.span else "")
                for d in self.diagnostics
            )
        )


class Diagnostics:
    """Collects the diagnostics of a stage, so that all of them are reported in one run."""

    def __init__(self) -> None:
        self._items: list[Diagnostic] = []

    def add(self, diagnostic: Diagnostic) -> None:
        """Record a diagnostic; the same one twice counts once.

        Raises CompileError when the limit of errors is reached.
        """
        if diagnostic not in self._items:
            self._items.append(diagnostic)
        if len(self.errors) >= MAX_ERRORS:
            self.raise_if_errors()

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self._items if d.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self._items if d.severity is Severity.WARNING)

    def raise_if_errors(self) -> None:
        """Raise CompileError with everything collected (warnings too) if there is an error."""
        if self.errors:
            raise CompileError(self._items)
