"""What is known of a network while its sections become layers, one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from cnndsl.diagnostics import Span
from cnndsl.importers.building import NetworkBuilder
from cnndsl.importers.darknet.options import Options
from cnndsl.importers.darknet.read import Section
from cnndsl.ops.base import Op
from cnndsl.ops.shape import Flatten, Reshape
from cnndsl.types.tensor import TensorType


@dataclass(frozen=True, slots=True)
class Piece:
    """A tensor of a .weights file, in the order of the file.

    It is the weight `role` of the layer that makes `value`. `shape` is the file's; its axes in
    `order`, and reshaped, it is the layer's. In files of very old versions of Darknet it has the
    `legacy_shape`, transposed.
    """

    value: str
    role: str
    shape: tuple[int, ...]
    section: Section
    order: tuple[int, ...] | None = None
    legacy_shape: tuple[int, ...] | None = None


@dataclass(slots=True)
class Importing:
    """The layers made so far. `values` has what each section made, by its index; None is unknown.

    `boxes` are the sections that made boxes, which no layer can read. `reads` lists the sections
    that read one, as far as that can be told beforehand.
    """

    builder: NetworkBuilder
    sections: Sequence[Section]
    names: Sequence[str]
    image: str | None
    reads: Sequence[Sequence[int]]
    values: list[str | None] = field(default_factory=list)
    boxes: set[int] = field(default_factory=set)
    pieces: list[Piece] = field(default_factory=list)
    without_activation: list[Section] = field(default_factory=list)
    """Sections that name none, and get Darknet's default, which is not linear."""
    thinned: list[Section] = field(default_factory=list)
    """Sections that add a map to one of fewer places."""

    def before(self, o: Options) -> str | None:
        """Return what the section before a section made; None if it is unknown."""
        return self.image if o.section.index == 0 else self._made(o, o.section.index - 1, o.span)

    def at(self, o: Options, number: int, span: Span) -> str | None:
        """Return what a section with a number made; negative ones count back from this section."""
        here = o.section.index
        index = here + number if number < 0 else number
        if not 0 <= index < here:
            what = "itself" if index == here else f"layer {index}"
            known = f"0 to {here - 1}" if here else "none"
            o.error(
                "CNN318",
                f"{number} means {what}, and the layers before it are {known}",
                span,
                "-1 is the layer before this one; 0 is the first after [net]",
            )
            return None
        return self._made(o, index, span)

    def _made(self, o: Options, index: int, span: Span) -> str | None:
        if index in self.boxes:
            kind = self.names[index]
            o.error(
                "CNN807",
                f"it reads the boxes that [{kind}] makes, which are not part of the network",
                span,
                f"read the layer before [{kind}]",
            )
        return self.values[index]

    def type_of(self, value: str) -> TensorType:
        return self.builder.type_of(value)

    def emit(self, o: Options, op: Op, *inputs: str | None) -> str | None:
        """Add a layer, and return its value, or None after an error."""
        name = f"{o.name}_{o.section.index}"
        word = op.keyword or "scale"
        return self.builder.add(op, inputs, label=f"{name}.{word}", where=o.where, span=o.span)

    def as_map(self, o: Options, value: str | None) -> str | None:
        """Return a value as a map: a vector is one of 1x1."""
        if value is None or self.type_of(value).rank == 4:
            return value
        width = self.width(o, value)
        return None if width is None else self.emit(o, Reshape(shape=(width, 1, 1)), value)

    def width(self, o: Options, value: str) -> int | None:
        """Return the number of channels; None after an error, if it depends on an open size."""
        channels = self.type_of(value).channels
        if isinstance(channels, int):
            return channels
        o.error(
            "CNN207", f"it must know how many elements it reads, and they are {channels}", o.span
        )
        return None

    def as_vector(self, o: Options, value: str | None) -> str | None:
        """Return a value as the vector of all its elements, in the order they lie in memory."""
        if value is None or self.type_of(value).rank == 2:
            return value
        return self.emit(o, Flatten(), value)

    def keep(
        self,
        o: Options,
        value: str,
        role: str,
        shape: tuple[int, ...],
        order: tuple[int, ...] | None = None,
        legacy_shape: tuple[int, ...] | None = None,
    ) -> None:
        """Note that the next numbers of a .weights file are a weight of a layer."""
        self.pieces.append(Piece(value, role, shape, o.section, order, legacy_shape))


Case: TypeAlias = Callable[[Options, Importing], str | None]
"""Makes the layers of a section, and returns the value that the next one reads."""
