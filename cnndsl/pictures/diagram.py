"""What a diagram shows: boxes in boxes, as the blocks of the source nest, and what joins them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from cnndsl.types.extents import Extent


class Kind(Enum):
    """What a box stands for."""

    INPUT = "input"
    LAYER = "layer"
    JOIN = "join"
    FOLDED = "folded"
    BLOCK = "block"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Cost:
    """What the layers of a box cost for one sample; a formula where sizes are not known."""

    params: int = 0
    macs: Extent = 0
    layers: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.params + other.params, self.macs + other.macs, self.layers + other.layers)


@dataclass(frozen=True, slots=True)
class Box:
    """A layer with the pointwise layers that follow it, a block use, an input or an output.

    `note` follows the title: further layers, or a block's arguments as the source writes them.
    `shape` is the result's for one sample; `details` are lines for a tooltip. A box with `children`
    is an open block.
    """

    key: str
    kind: Kind
    title: str
    note: str = ""
    shape: str = ""
    cost: Cost = field(default_factory=Cost)
    details: tuple[str, ...] = ()
    children: tuple[Box, ...] = ()

    def walk(self) -> Iterator[Box]:
        """Yield the box and all in it, outermost first."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def leaves(self) -> Iterator[Box]:
        return (box for box in self.walk() if not box.children)


@dataclass(frozen=True, slots=True)
class Edge:
    """A value on its way from the box that makes it to one that reads it, neither with children."""

    source: str
    target: str
    value: str
    type: str


@dataclass(frozen=True, slots=True)
class Diagram:
    """A network to draw.

    `boxes` are in an order in which they can run, at every level; so edges lead from earlier boxes
    to later ones. `batch_text` says what the figures are for if not one sample, `missing_sizes` are
    symbols that MACs depend on.
    """

    network: str
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    total: Cost
    sizes: tuple[tuple[str, int], ...] = ()
    batch_text: str = ""
    missing_sizes: tuple[str, ...] = ()
    depth: int = 0

    def walk(self) -> Iterator[Box]:
        """Yield every box, outermost first."""
        for box in self.boxes:
            yield from box.walk()

    @property
    def leaves(self) -> Iterator[Box]:
        return (box for box in self.walk() if not box.children)
