"""What is written in each box: lines of text, and the room they need."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cnndsl.pictures.diagram import Box, Cost, Diagram, Kind
from cnndsl.pictures.text import percent, quantity, text_width


class Ink(Enum):
    """What a line or a box's colour is about."""

    MACS = "macs"
    PARAMS = "params"
    NONE = "none"

    def share(self, cost: Cost, total: Cost) -> float | None:
        """Return a box's share of the total; None where there is none to speak of."""
        part, whole = (cost.macs, total.macs) if self is Ink.MACS else (cost.params, total.params)
        if self is Ink.NONE or not isinstance(part, int) or not isinstance(whole, int):
            return None
        return part / whole if whole else None


class Style(Enum):
    """How a piece of text looks: its size in px, and whether it is bold."""

    TITLE = (12.0, True)
    NOTE = (12.0, False)
    FIGURE = (10.5, False)

    @property
    def size(self) -> float:
        return self.value[0]

    @property
    def bold(self) -> bool:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of one style."""

    text: str
    style: Style

    @property
    def width(self) -> float:
        return text_width(self.text, self.style.size, bold=self.style.bold)


@dataclass(frozen=True, slots=True)
class Line:
    """Pieces side by side."""

    pieces: tuple[Piece, ...]

    @property
    def width(self) -> float:
        return sum(piece.width for piece in self.pieces)

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def height(self) -> float:
        return max(piece.style.size for piece in self.pieces) + 3.5


PADDING_X = 9.0
PADDING_Y = 4.5


def lines_of(box: Box, diagram: Diagram, ink: Ink) -> tuple[Line, ...]:
    """Return what is written in a box, or at the head of an open block."""
    note = [Piece(box.note, Style.NOTE)] if box.note else []
    title = Line((Piece(box.title, Style.TITLE), *note))
    if box.kind is Kind.BLOCK:
        return (title,)
    if box.kind is not Kind.FOLDED:
        figures = " · ".join(filter(None, [box.shape, _share(box, diagram, ink)]))
        return (title, *_line(figures))
    costs = [f"{quantity(box.cost.params)} params"] if box.cost.params else []
    if isinstance(box.cost.macs, int) and box.cost.macs:
        costs.insert(0, f"{quantity(box.cost.macs)} MACs")
    costs += filter(None, [_share(box, diagram, ink)])
    return (
        title,
        *_line(box.shape),
        *_line(" · ".join(costs)),
    )


def size_of(lines: tuple[Line, ...]) -> tuple[float, float]:
    """Return the width and height of a box around lines, in whole px."""
    width = max((line.width for line in lines), default=0.0) + 2 * PADDING_X
    height = sum(line.height for line in lines) + 2 * PADDING_Y
    return float(-(-width // 2) * 2), float(-(-height // 1))


def _line(text: str) -> list[Line]:
    return [Line((Piece(text, Style.FIGURE),))] if text else []


def _share(box: Box, diagram: Diagram, ink: Ink) -> str:
    share = ink.share(box.cost, diagram.total)
    return percent(share) if share else ""
