"""Cut the lines a span covers out of its source, safe to print, with the columns to underline."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from cnndsl.diagnostics.model import Span

TAB_WIDTH = 4
MAX_COLUMNS = 100
"""Longer source lines are cut around the underlined part."""

_BEFORE = 30
"""Characters kept before the underlined part of a line that is cut."""


@dataclass(frozen=True, slots=True)
class ExcerptLine:
    """A line as it is shown, and the terminal columns `start` to `end` to underline (from 0)."""

    number: int
    text: str
    start: int
    end: int


def excerpt(span: Span) -> tuple[ExcerptLine, ...]:
    """Return the span's first line, and its last if it ends on another one."""
    source = span.source
    first, start = source.position(span.start)
    last, end = source.position(max(span.end, span.start))
    if last > first and end == 1:  # the span ends with a line break: not a line of its own
        last -= 1
        end = len(source.line(last)) + 1
    if first == last:
        return (_cut(first, source.line(first), start - 1, end - 1),)
    closing = source.line(last)
    indent = len(closing) - len(closing.lstrip(" \t"))
    return (
        _cut(first, source.line(first), start - 1, len(source.line(first))),
        _cut(last, closing, min(indent, end - 1), end - 1),
    )


def visible(text: str) -> str:
    """Return the text with every character that would not print as itself spelled out."""
    return "".join(map(_shown, text))


def _cut(number: int, line: str, start: int, end: int) -> ExcerptLine:
    """Return a line of at most MAX_COLUMNS columns that holds at least the start of the span."""
    line = line.removesuffix("\r")
    start = min(start, len(line))
    end = min(max(end, start + 1), max(len(line), start + 1))
    first = 0
    if end > MAX_COLUMNS or _width(line[:end]) > MAX_COLUMNS:
        first = max(0, start - _BEFORE)
    shown = ["…"] if first else []
    columns = len(shown)
    begin_column = end_column = columns
    position = first
    while position < len(line):
        cell = _shown(line[position])
        if columns + _width(cell) > MAX_COLUMNS:
            shown.append("…")
            break
        if position == start:
            begin_column = columns
        shown.append(cell)
        columns += _width(cell)
        position += 1
        if position == end:
            end_column = columns
    if position <= start:  # the span stands behind the last character
        begin_column = columns
    if position < end:
        end_column = columns
    return ExcerptLine(number, "".join(shown), begin_column, max(end_column, begin_column + 1))


def _shown(character: str) -> str:
    if character == "\t":
        return " " * TAB_WIDTH
    if character < " ":
        return chr(0x2400 + ord(character))  # the Unicode pictures of control characters
    if character == "\x7f":
        return "\N{SYMBOL FOR DELETE}"
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return f"\\u{{{ord(character):x}}}"
    return character


def _width(text: str) -> int:
    """Return the number of terminal columns of a text (tabs and controls count as shown)."""
    return sum(_character_width(c) for c in visible(text))


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
