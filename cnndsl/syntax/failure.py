"""A statement that does not parse, and what is seen around the place where it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lark import Token

from cnndsl.diagnostics import Source, Span
from cnndsl.syntax.language import IF_STATEMENT, span_of
from cnndsl.syntax.statements import starts_line

ENDS_VALUE = frozenset(("NAME", "NUMERAL", "STRING", "TRUE", "FALSE", "RPAR", "RSQB"))
STARTS_VALUE = frozenset(("NAME", "NUMERAL", "STRING", "TRUE", "FALSE"))


@dataclass(frozen=True, slots=True)
class Failure:
    """A statement, the index of the token that does not fit (or its length, at the end)."""

    source: Source
    tokens: Sequence[Token]
    index: int
    accepts: frozenset[str]
    """Types of the tokens that would fit."""

    def text(self, offset: int = 0) -> str:
        """Return the text of the token at an offset from the failing one, '' outside."""
        i = self.index + offset
        return str(self.tokens[i]) if 0 <= i < len(self.tokens) else ""

    def type(self, offset: int = 0) -> str:
        """Return the type of the token at an offset from the failing one, '' outside."""
        i = self.index + offset
        return self.tokens[i].type if 0 <= i < len(self.tokens) else ""

    def span(self, first: int = 0, last: int = 0) -> Span:
        """Return the span between two offsets; at the end, the place behind the last token."""
        end = len(self.tokens) - 1
        if self.index + first > end:
            at = self.tokens[-1].end_pos or 0
            return Span(self.source, at, at)
        return span_of(
            self.source, self.tokens[self.index + first], self.tokens[min(self.index + last, end)]
        )

    def begins_line(self, offset: int = 0) -> bool:
        """Return whether the token at an offset from the failing one is the first on its line."""
        i = self.index + offset
        return 0 <= i < len(self.tokens) and starts_line(self.tokens, i)

    def open_bracket(self) -> int | None:
        """Return the index of the innermost bracket that is open before the failing token."""
        depth = 0
        for i in range(min(self.index, len(self.tokens)) - 1, -1, -1):
            if self.tokens[i].type in ("RPAR", "RSQB", "RBRACE"):
                depth += 1
            elif self.tokens[i].type in ("LPAR", "LSQB", "LBRACE"):
                if depth == 0:
                    return i
                depth -= 1
        return None

    def in_condition(self) -> bool:
        """Return whether the failing token stands in a condition of `assert` or `if`."""
        before = [t.type for t in self.tokens[: self.index]]
        return before[:1] == ["ASSERT"] or not {"IF", IF_STATEMENT}.isdisjoint(before)


def find_side_by_side(tokens: Sequence[Token]) -> int | None:
    """Return the index of the first value that stands directly behind another, if any.

    No statement has such a pair, so it marks a missing comma, arrow or line break.
    """
    for i in range(1, len(tokens)):
        if tokens[i - 1].type in ENDS_VALUE and (
            tokens[i].type in STARTS_VALUE or bracket_on_new_line(tokens, i)
        ):
            return i
    return None


def bracket_on_new_line(tokens: Sequence[Token], i: int) -> bool:
    """Return whether a ( or [ starts a line where it would call or index the line before.

    A call's bracket stands on the line of what is called: in a list over several lines, a
    missing comma would otherwise turn two items into a call, or an index, without a word.
    """
    return (
        tokens[i].type in ("LPAR", "LSQB")
        and starts_line(tokens, i)
        and tokens[i - 1].type in ENDS_VALUE
        and (i < 2 or tokens[i - 2].type not in ("NETWORK", "BLOCK", "COLON"))
    )
