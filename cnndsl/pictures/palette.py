"""Colours: of boxes by what they cost, and of everything else in a diagram."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.pictures.content import Ink
from cnndsl.pictures.diagram import Box, Diagram, Kind


@dataclass(frozen=True, slots=True)
class Step:
    """The fill of boxes with at least this share of the total."""

    least: float
    fill: str
    label: str


STEPS = (
    Step(0.20, "#f3925c", "20 % and more"),
    Step(0.10, "#f7a566", "10 – 20 %"),
    Step(0.05, "#fbc48b", "5 – 10 %"),
    Step(0.01, "#fde0b8", "1 – 5 %"),
    Step(0.0, "#fef3df", "less than 1 %"),
)
"""From dark to light orange; all text has a contrast of at least 4.5 to 1 on them."""

BLANK = "#ffffff"
PAPER = "#ffffff"
INPUT = "#dcecf7"
BORDER = "#57606a"
BLOCK_FILLS = ("#f6f8fa", "#eef1f4", "#e6eaef", "#dde3e9")
BLOCK_BORDER = "#aab4be"
EDGE = "#57606a"
PASSING_EDGE = "#2f6fa7"
TEXT = "#1f2328"
FAINT_TEXT = "#383e46"


def fill(share: float | None) -> str:
    """Return the colour for a share of the cost; white for none."""
    if not share:
        return BLANK
    return next(step.fill for step in STEPS if share >= step.least)


def fill_of(box: Box, diagram: Diagram, ink: Ink) -> str:
    """Return the colour of a box without children."""
    if box.kind in (Kind.INPUT, Kind.OUTPUT):
        return INPUT
    return fill(ink.share(box.cost, diagram.total))
