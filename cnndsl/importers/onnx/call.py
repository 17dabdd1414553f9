"""One node while it becomes layers: its operands, and its attributes, all of which must be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from cnndsl.importers.onnx.model import NodeView
from cnndsl.importers.onnx.state import Importing, Known, Unsupported, View
from cnndsl.ops.base import Array, Op
from cnndsl.types.extents import Extent
from cnndsl.types.tensor import TensorType

MAX_CHANNELS = 1 << 24

Result: TypeAlias = "Known | tuple[Known, ...]"
Case: TypeAlias = "Callable[[Call], Result]"
"""Makes the layers of a node; raises Unsupported."""

Cases: TypeAlias = dict[str, Case]


@dataclass
class Call:
    """A node, its operands looked up, its attributes ticked off as they are read."""

    state: Importing
    node: NodeView
    _read: set[str] = field(default_factory=set)

    # ---------------------------------------------------------------- attributes

    def attribute(self, name: str) -> Any:
        """Return an attribute's value, its default, or None."""
        self._read.add(name)
        return self.node.attribute(name)

    def check_attributes(self) -> None:
        """Raise Unsupported for an attribute that says something and was not read."""
        for name, value in self.node.attributes.items():
            if name not in self._read and value != self.node.defaults.get(name):
                raise Unsupported(f"the attribute {name}={value!r:.60} is not supported")

    # ------------------------------------------------------------------ operands

    def given(self, place: int) -> bool:
        """Tell whether an operand is there."""
        return place < len(self.node.inputs) and self.node.inputs[place] != ""

    def operand(self, place: int) -> View | Array:
        return self.state.look_up(self.node.inputs[place])

    def view(self, place: int = 0) -> View:
        """Return an operand that the network computes."""
        found = self.operand(place)
        if not isinstance(found, View):
            raise Unsupported(f"its operand {place + 1} is a constant")
        return found

    def value(self, place: int = 0) -> str:
        """Return an operand with the axes in the model's order, as the layers want it."""
        return self.state.plain(self.view(place), self.node)

    def constant(self, place: int, what: str) -> Array:
        """Return an operand that the model must hold, such as a layer's weights."""
        found = self.operand(place)
        if isinstance(found, View):
            raise Unsupported(f"its {what} is computed by the network, and must be a constant")
        return found

    def weights(self, place: int, what: str) -> Array:
        """Return a constant of floats."""
        array = self.constant(place, what)
        if array.dtype.kind != "f":
            raise Unsupported(f"its {what} holds {array.dtype}, and must hold floats")
        return array

    def integers(self, place: int, what: str) -> list[int]:
        array = self.constant(place, what)
        if array.dtype == object:
            raise Unsupported(f"its {what} depends on the size of a symbol")
        return [int(n) for n in array.reshape(-1)]

    def number(self, place: int, what: str) -> float:
        array = self.constant(place, what)
        if array.size != 1 or array.dtype == object:
            raise Unsupported(f"its {what} must be one number")
        return float(array.reshape(-1)[0])

    def constants(self) -> list[Array | None]:
        """Return the operands that are constants, None for others."""
        found = [self.operand(i) if self.given(i) else None for i in range(len(self.node.inputs))]
        return [None if isinstance(f, View) else f for f in found]

    def used(self, place: int) -> bool:
        """Tell whether anything reads an output."""
        return place < len(self.node.outputs) and self.state.is_used(self.node.outputs[place])

    def only_first_output(self, others: str) -> None:
        if any(self.used(i) for i in range(1, len(self.node.outputs))):
            raise Unsupported(f"the network uses its {others}, which no layer gives")

    # ------------------------------------------------------------ types and layers

    def shape(self, view: View) -> tuple[Extent, ...]:
        return self.state.shape(view)

    def type_of(self, value: str) -> TensorType:
        return self.state.builder.type_of(value)

    def emit(
        self,
        op: Op,
        inputs: Sequence[str],
        weights: Sequence[Array] = (),
        *,
        word: str = "",
        key: Sequence[str] | None = None,
    ) -> str:
        shared = None if key is None else tuple(key)
        return self.state.emit(self.node, op, inputs, weights, word=word, key=shared)

    def same_axes(self, op: Op, weights: Sequence[Array] = (), word: str = "") -> View:
        """Apply a layer that treats all axes alike."""
        view = self.view()
        return View(self.emit(op, (view.value,), weights, word=word), view.axes)

    def result(
        self, op: Op, weights: Sequence[Array] = (), key: Sequence[str] | None = None
    ) -> View:
        """Apply a layer to the first operand, its axes as the model sees them."""
        return self.state.whole(self.emit(op, (self.value(),), weights, key=key))

    def channels(self, value: str) -> int:
        """Return a value's number of channels, for weights that are made for each of them."""
        type_ = self.type_of(value)
        channels = type_.channels if type_.rank > 1 else None
        if not isinstance(channels, int) or channels > MAX_CHANNELS:
            raise Unsupported(f"the number of channels is not known, or too large: {channels}")
        return channels

    def names(self, *places: int) -> list[str]:
        """Return the operands' names, to tell shared weights by."""
        return [self.node.inputs[p] if self.given(p) else "" for p in places]

    def channel_axis(self, view: View, axis: int = 1) -> None:
        """Check that an axis of the model holds the network's channels."""
        if len(view.axes) <= axis or view.axes[axis] != 1:
            raise Unsupported(f"axis {axis} of its operand does not hold the channels")


def vector(array: Array, size: int) -> Array:
    """Return an array of one number, or of one for each channel, as a vector."""
    flat = np.asarray(array, np.float32).reshape(-1)
    return np.broadcast_to(flat, (size,)) if flat.size == 1 else flat


def per_channel(c: Call, x: View, array: Array) -> Array | None:
    """Return a constant that differs by channel only as a vector; None for a single number."""
    if array.size == 1 and array.ndim <= len(x.axes):
        return None
    type_ = c.state.type_of(x)
    if array.ndim <= len(x.axes):
        shape = c.shape(x)[len(x.axes) - array.ndim :]
        part = array
        for place, axis in enumerate(x.axes[len(x.axes) - array.ndim :]):
            # Where it does not differ along an axis, it may have been spread there.
            if axis != 1 and part.shape[place] == shape[place] != 1:
                first = part.take([0], place)
                part = first if (part == first).all() else part
        wide = [a for a, n in zip(x.axes[-array.ndim :], part.shape, strict=True) if n != 1]
        if wide == [1] and part.size == type_.channels:
            return part.reshape(-1)
    raise Unsupported(
        f"its constant of shape {list(array.shape)} is neither one number nor one per channel"
    )
