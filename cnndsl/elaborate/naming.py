"""Labels of layers and names of values: paths through the blocks, numbered where they repeat."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

from cnndsl.diagnostics import Span


class Numbering:
    """Gives out names, the second `conv3x3` as `conv3x3_2`; never one that is `reserved`."""

    def __init__(self, reserved: Container[str] = ()) -> None:
        self._reserved = reserved
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return `name`, or with the first free number from 2 on if it is taken."""
        if name not in self._taken:
            self._taken.add(name)
            return name
        number = self._next.get(name, 2)
        while (found := f"{name}_{number}") in self._taken or found in self._reserved:
            number += 1
        self._next[name] = number + 1
        self._taken.add(found)
        return found


@dataclass(slots=True, eq=False)
class Frame:
    """One use of a block while it is expanded (the outermost frame is the network).

    A frame takes its place in the numbering when its first layer is made, so that a block that
    makes none leaves no gap.
    """

    block: str = ""
    use: Span | None = None
    parent: Frame | None = None
    depth: int = 0
    path: tuple[tuple[str, Span], ...] = ()
    _prefix: str | None = None
    _numbering: Numbering = field(default_factory=Numbering)

    def enter(self, block: str, use: Span) -> Frame:
        """Return the frame of a block that is used here."""
        return Frame(block, use, self, self.depth + 1, (*self.path, (block, use)))

    @property
    def prefix(self) -> str:
        """The frame's label and a dot; empty for the network."""
        if self.parent is None:
            return ""
        if self._prefix is None:
            self._prefix = self.parent.label(self.block) + "."
        return self._prefix

    def label(self, word: str) -> str:
        """Return the label of a new layer or block use in this frame."""
        prefix = self.prefix
        return prefix + self._numbering.take(word)

    @property
    def trail(self) -> tuple[tuple[str, Span], ...]:
        """The blocks being expanded, innermost first, each with its place of use."""
        return tuple(reversed(self.path))
