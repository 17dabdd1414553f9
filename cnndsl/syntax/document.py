"""Lay out text within a width: a small document printer in the manner of Wadler and Prettier.

A document is text with places where a line may break. A group is set on one line if it fits, and
breaks at all of its places otherwise; a fill breaks only where the next part does not fit.
Comments wait until the line ends, so they may be put anywhere; a comment forces a line break in
the group around it, and its width does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cnndsl.syntax.ast import Comment


@dataclass(frozen=True, slots=True)
class Line:
    """A place to break: `flat` stands there if the line is not broken."""

    flat: str = " "
    hard: bool = False
    blank: bool = False
    """With `hard`: leave an empty line as well."""


@dataclass(frozen=True, slots=True)
class IfBroken:
    """Text that stands only in a broken group."""

    text: str


@dataclass(frozen=True, slots=True)
class Concat:
    parts: tuple[Document, ...]
    forced: bool


@dataclass(frozen=True, slots=True)
class Indent:
    columns: int
    body: Document
    forced: bool


@dataclass(frozen=True, slots=True)
class Group:
    body: Document
    forced: bool


@dataclass(frozen=True, slots=True)
class Fill:
    """A head, and parts each behind a place to break."""

    head: Document
    parts: tuple[tuple[Document, Document], ...]
    forced: bool


Document: TypeAlias = str | Comment | Line | IfBroken | Concat | Indent | Group | Fill
_Command: TypeAlias = tuple[int, bool, Document]
"""Columns of indentation, whether the line may break, what to print."""


def forced(document: Document) -> bool:
    """Return whether a document cannot stand on one line."""
    match document:
        case Comment():
            return True
        case Line():
            return document.hard
        case str() | IfBroken():
            return False
        case _:
            return document.forced


def concat(*parts: Document) -> Concat:
    """Return the parts one behind the other."""
    return Concat(parts, any(map(forced, parts)))


def indent(columns: int, *parts: Document) -> Document:
    """Return the parts with the lines that begin in them moved to the right."""
    body = concat(*parts)
    return Indent(columns, body, forced(body))


def group(*parts: Document) -> Document:
    """Return the parts as a group."""
    body = concat(*parts)
    return Group(body, forced(body))


def fill(head: Document, parts: Sequence[tuple[Document, Document]]) -> Document:
    """Return a fill of a head and of (place to break, part) pairs."""
    inside = any(forced(part) for pair in parts for part in pair)
    return Fill(head, tuple(parts), forced(head) or inside)


def _indentation(place: Document) -> int:
    """Return how far a place to break moves the line that begins there to the right."""
    match place:
        case Indent():
            return place.columns + _indentation(place.body)
        case Concat():
            return max(map(_indentation, place.parts), default=0)
    return 0


def print_document(document: Document, width: int) -> str:
    """Return the document's text; lines have no trailing blanks."""
    printer = _Printer(width)
    printer.run(document)
    return "".join(printer.out)


class _Printer:
    def __init__(self, width: int) -> None:
        self.out: list[str] = []
        self._width = width
        self._column = 0
        self._comments: list[tuple[int, Comment]] = []

    def run(self, document: Document) -> None:
        stack: list[_Command] = [(0, True, document)]
        while stack:
            margin, broken, item = stack.pop()
            match item:
                case str():
                    self.out.append(item)
                    self._column += len(item)
                case Comment():
                    self._comments.append((margin, item))
                case IfBroken():
                    if broken:
                        self.out.append(item.text)
                        self._column += len(item.text)
                case Line():
                    if broken or item.hard:
                        self._break(margin, blank=item.blank)
                    else:
                        self.out.append(item.flat)
                        self._column += len(item.flat)
                case Concat():
                    stack.extend((margin, broken, part) for part in reversed(item.parts))
                case Indent():
                    stack.append((margin + item.columns, broken, item.body))
                case Group():
                    fits = not item.forced and self._fits(item.body, stack)
                    stack.append((margin, not fits, item.body))
                case Fill():
                    self._fill(margin, item, stack)
        self._flush()

    def _fill(self, margin: int, item: Fill, stack: list[_Command]) -> None:
        """Print the head, or the first part, and come back for the others.

        Where a part goes depends on the column that is reached when its turn comes.
        """
        if item.head != "" or not item.parts:
            if item.parts:
                stack.append((margin, True, Fill("", item.parts, item.forced)))
            stack.append((margin, True, item.head))
            return
        (place, part), *rest = item.parts
        after = stack if not rest else []
        if rest:
            stack.append((margin, True, Fill("", tuple(rest), item.forced)))
            after = []
        together = concat(place, part)
        if together.forced or not self._fits(together, after):
            # A part that breaks wherever it stands stays on the line if it can begin there.
            room = self._width - margin - _indentation(place)
            breaks_anyway = forced(part) or not self._fits(part, after, room)
            stays = breaks_anyway and not forced(place) and self._begins(place, part)
            stack.append((margin, True, part))
            stack.append((margin, not stays, place))
        else:
            stack.append((margin, False, together))

    def _begins(self, place: Document, part: Document) -> bool:
        """Return whether a part that breaks fits up to its first break, on the same line."""
        return self._fits(place, [(0, True, Line()), (0, True, part)])

    def _break(self, margin: int, *, blank: bool) -> None:
        self._flush()
        self.out.append("\n\n" if blank else "\n")
        self.out.append(" " * margin)
        self._column = margin

    def _flush(self) -> None:
        """Print the comments that wait: one behind the line, the others on lines of their own."""
        for position, (margin, comment) in enumerate(self._comments):
            if position == 0 and not comment.own_line:
                self.out.append("  " + comment.text)
            else:
                self.out.append("\n" + " " * margin + comment.text)
        self._comments.clear()

    def _fits(self, document: Document, after: Sequence[_Command], room: int | None = None) -> bool:
        """Return whether a document, and what stands behind it, fits on the rest of the line.

        What stands behind it counts up to the first place where it may break.
        """
        if room is None:
            room = self._width - self._column
        pending: list[tuple[bool, Document]] = [(False, document)]
        behind = len(after)
        while room >= 0:
            if not pending:
                if not behind:
                    return True
                behind -= 1
                pending.append((after[behind][1], after[behind][2]))
                continue
            broken, item = pending.pop()
            match item:
                case str():
                    room -= len(item)
                case IfBroken():
                    room -= len(item.text) if broken else 0
                case Line():
                    if broken or item.hard:
                        return True
                    room -= len(item.flat)
                case Concat():
                    pending.extend((broken, part) for part in reversed(item.parts))
                case Indent():
                    pending.append((broken, item.body))
                case Group():
                    pending.append((broken or item.forced, item.body))
                case Fill():
                    for place, part in reversed(item.parts):
                        pending.append((False, part))
                        pending.append((broken, place))
                    # What breaks anyway breaks between its parts, before it breaks within one.
                    pending.append((broken and not item.parts, item.head))
                case Comment():
                    pass
        return False
