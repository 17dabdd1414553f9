"""Show a diagnostic: as text for a terminal, or as data for `--json`."""

from __future__ import annotations

from enum import Enum
from typing import Any

from cnndsl.diagnostics.excerpt import ExcerptLine, excerpt, visible
from cnndsl.diagnostics.model import Diagnostic, Severity, Span

MAX_TEXT = 2_000
"""Characters of a message that are shown; a name in it may be as long as the source."""


def render(d: Diagnostic, *, color: bool = False) -> str:
    """Return the diagnostic as text of several lines, without a final line break.

    Characters of the source or of a name that would control the terminal are spelled out.
    """
    return "\n".join(_Renderer(d, color).lines())


def to_json(d: Diagnostic) -> dict[str, Any]:
    """Return the diagnostic as JSON values; lines and columns count from 1, ends are exclusive."""
    return {
        "code": d.code,
        "severity": d.severity.value,
        "message": d.message,
        **_place(d.span),
        "label": d.label,
        "notes": list(d.notes),
        "related": [{"message": r.message, **_place(r.span)} for r in d.related],
        "trail": [{"block": block, **_place(span)} for block, span in d.trail],
        "help": d.help,
    }


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return dict.fromkeys(("file", "line", "column", "end_line", "end_column"))
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


class _Paint(Enum):
    """ANSI styles (bold with a colour that reads on dark and on light)."""

    ERROR = "1;31"
    WARNING = "1;33"
    FRAME = "1;34"
    HELP = "1;32"
    STRONG = "1"


class _Renderer:
    def __init__(self, diagnostic: Diagnostic, color: bool) -> None:
        self._diagnostic = diagnostic
        self._color = color
        excerpts = [excerpt(r.span) for r in diagnostic.related]
        if diagnostic.span is not None:
            excerpts.append(excerpt(diagnostic.span))
        numbers = [line.number for lines in excerpts for line in lines]
        self._gutter = len(str(max(numbers))) if numbers else 1
        self._margin = " " * self._gutter

    def lines(self) -> list[str]:
        d = self._diagnostic
        tone = _Paint.ERROR if d.severity is Severity.ERROR else _Paint.WARNING
        title = self._paint(f"{d.severity.value}[{d.code}]", tone)
        lines = [f"{title}: " + self._paint(_flat(d.message), _Paint.STRONG)]
        if d.span is not None:
            lines += self._place("-->", d.span)
            lines += self._excerpt(d.span, d.label, "^", tone)
        for block, span in d.trail:
            lines += self._remark("", f"in block `{block}`, used at {span}", _Paint.FRAME)
        for related in d.related:
            lines += self._place(":::", related.span)
            lines += self._excerpt(related.span, related.message, "-", _Paint.FRAME)
        for note in d.notes:
            lines += self._remark("note: ", note, _Paint.FRAME)
        if d.help is not None:
            lines += self._remark("help: ", d.help, _Paint.HELP)
        return lines

    def _place(self, arrow: str, span: Span) -> list[str]:
        bar = self._paint(f"{self._margin} |", _Paint.FRAME)
        return [self._margin + self._paint(arrow, _Paint.FRAME) + " " + _flat(str(span)), bar]

    def _excerpt(self, span: Span, label: str, mark: str, tone: _Paint) -> list[str]:
        shown = excerpt(span)
        lines: list[str] = []
        for index, line in enumerate(shown):
            last = index == len(shown) - 1
            if index and line.number > shown[index - 1].number + 1:
                lines.append(self._paint("...", _Paint.FRAME))
            lines += self._marked(line, mark, _flat(label) if last else "", tone)
        return lines

    def _marked(self, line: ExcerptLine, mark: str, label: str, tone: _Paint) -> list[str]:
        number = self._paint(f"{line.number:>{self._gutter}} |", _Paint.FRAME)
        bar = self._paint(f"{self._margin} |", _Paint.FRAME)
        underline = mark * (line.end - line.start) + (f" {label}" if label else "")
        return [
            f"{number} {line.text}".rstrip(),
            f"{bar} {' ' * line.start}{self._paint(underline, tone)}",
        ]

    def _remark(self, head: str, text: str, tone: _Paint) -> list[str]:
        """Return a `= ` line; further lines of the text stand below its first."""
        first, *rest = text.split("\n")
        equals = self._paint("=", _Paint.FRAME)
        indent = " " * (self._gutter + 3 + len(head))
        return [
            f"{self._margin} {equals} {self._paint(head, tone)}{visible(first)}",
            *(indent + visible(line) for line in rest),
        ]

    def _paint(self, text: str, tone: _Paint) -> str:
        return f"\x1b[{tone.value}m{text}\x1b[0m" if self._color and text else text


def _flat(text: str) -> str:
    """Return the text on one line of bounded length, safe to print."""
    if len(text) > MAX_TEXT:
        text = text[: MAX_TEXT // 2] + "…" + text[-MAX_TEXT // 2 :]
    return visible(" ".join(text.split("\n")))
