"""What the import of a model knows while it goes through the nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from cnndsl.importers.building import NetworkBuilder, misfit
from cnndsl.importers.onnx.model import Model, NodeView
from cnndsl.importers.onnx.tensors import FLOATS, DataFiles, TensorError, dtype_name, read_array
from cnndsl.ops.base import Array, Op, OpError
from cnndsl.ops.shape import Flatten, Reshape
from cnndsl.types.extents import Dim, Extent
from cnndsl.types.tensor import TensorType
from cnndsl.weights.shown import shown

MAX_RANK = 5
"""Batch, channels and three spatial axes."""


class Unsupported(Exception):  # noqa: N818 - becomes a refusal
    """A node cannot be said in the language; the message completes "Conv: ..."."""

    def __init__(self, reason: str, help: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.help = help


class Unknown(Exception):  # noqa: N818 - nothing is wrong here
    """An operand's layer was refused, so that nothing can be said about its readers."""


@dataclass(frozen=True, slots=True)
class View:
    """An ONNX tensor as the axes of a value of the network, in the model's order.

    The value is [batch, channels, spatial...]; a None is an axis of extent 1 that it does not have,
    and what axes it has beyond those listed are of extent 1. So a model may permute, add and drop
    axes while the layers see channels where they expect them.
    """

    value: str
    axes: tuple[int | None, ...]


Known: TypeAlias = "View | Array | None"
"""A tensor of the network, a constant, or None after a refusal."""


@dataclass
class Importing:
    """The tensors known so far by their names in the model, and the network under construction."""

    model: Model
    builder: NetworkBuilder
    files: DataFiles
    nodes: Sequence[NodeView]
    known: dict[str, Known] = field(default_factory=dict)
    converted: Counter[str] = field(default_factory=Counter)
    """How many tensors of other float types became float32, by type."""
    layers: dict[tuple[Any, ...], str] = field(default_factory=dict)
    """The value of the first layer with certain weights, by op and the tensors' names."""
    _uses: Counter[str] = field(default_factory=Counter)
    _names: dict[str, list[str]] = field(default_factory=dict)
    _plain: dict[View, str] = field(default_factory=dict)
    _readers: dict[str, list[NodeView]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.nodes:
            self._uses.update(name for name in node.inputs if name)
            for name in dict.fromkeys(node.inputs):
                self._readers.setdefault(name, []).append(node)
        self._uses.update(self.model.outputs)

    # ------------------------------------------------------------------- tensors

    def look_up(self, name: str) -> View | Array:
        """Return what a tensor's name stands for; raises Unknown or Unsupported."""
        if not name:
            raise Unsupported("an operand that it needs is left out")
        if name not in self.known and name in self.model.constants:
            self.known[name] = self._initializer(name)
        found = self.known[name]
        if found is None:
            raise Unknown
        return found

    def _initializer(self, name: str) -> Array:
        tensor = self.model.constants[name]
        try:
            array = read_array(tensor, self.files)
        except TensorError as error:
            raise Unsupported(f'its tensor "{shown(name)}" {error}') from None
        self.note_type(tensor.data_type)
        return array

    def note_type(self, element: int) -> None:
        """Remember that a tensor of a float type became float32."""
        if element in FLOATS and element != FLOATS[0]:
            self.converted[dtype_name(element)] += 1

    def settle(self, name: str, found: Known) -> None:
        """Say what a tensor's name stands for."""
        self.known[name] = found
        if isinstance(found, View):
            self._names.setdefault(found.value, []).append(name)

    def is_used(self, name: str) -> bool:
        """Tell whether a node reads a tensor, or it is an output."""
        return bool(name) and self._uses[name] > 0

    def readers(self, name: str) -> list[NodeView]:
        """Return the nodes that read a tensor."""
        return self._readers.get(name, [])

    def is_output(self, name: str) -> bool:
        return name in self.model.outputs

    def is_last_reader(self, value: str) -> bool:
        """Tell whether the node at hand is all that will ever read a value of the network."""
        return all(self._uses[name] == 1 for name in self._names.get(value, []))

    # --------------------------------------------------------------------- types

    def type_of(self, view: View) -> TensorType:
        """Return the type of the value that a view looks at."""
        return self.builder.type_of(view.value)

    def shape(self, view: View) -> tuple[Extent, ...]:
        """Return the shape that the model sees."""
        whole = self.type_of(view).shape
        return tuple(1 if axis is None else whole[axis] for axis in view.axes)

    def whole(self, value: str) -> View:
        """Return the view of a value that is as the network has it."""
        return View(value, tuple(range(self.builder.type_of(value).rank)))

    def plain(self, view: View, node: NodeView) -> str:
        """Return a value whose axes are those the model sees; raises Unsupported."""
        if view == self.whole(view.value):
            return view.value
        found = self._plain.get(view)
        if found is None:
            found = self._plain[view] = self._laid_out(view, node)
        return found

    def _laid_out(self, view: View, node: NodeView) -> str:
        shape = self.shape(view)
        if len(shape) < 2:
            raise Unsupported(
                f"its operand has {len(shape)} axes, and the layer needs batch and channels"
            )
        whole = self.type_of(view).shape
        # Axes of extent 1 can be anywhere; the others must keep their order, the batch its place.
        order = [axis for axis in view.axes if axis is not None and whole[axis] != 1]
        if order != sorted(order) or shape[0] != whole[0]:
            raise Unsupported(
                "its operand has the axes in another order than batch, channels, spatial axes",
                help="export the model with channels first (NCHW)",
            )
        return self.emit(node, reshaping(shape), (view.value,), word="reshape")

    # -------------------------------------------------------------------- layers

    def emit(
        self,
        node: NodeView,
        op: Op,
        inputs: Sequence[str],
        weights: Sequence[Array] = (),
        *,
        word: str = "",
        key: tuple[Any, ...] | None = None,
    ) -> str:
        """Add a layer of a node, and return its value; raises Unsupported.

        `word` tells a layer apart that is not the node's last, and takes the node's own name from
        it. Layers of one `key`, which names their weights in the model, share them.
        """
        if wrong := misfit(op):
            raise Unsupported(wrong)
        types = [self.builder.type_of(i) for i in inputs]
        try:
            result = op.infer(types)
        except OpError as error:
            raise Unsupported(error.message, error.help) from None
        if result.rank > MAX_RANK:
            raise Unsupported(f"its result has {result.rank} axes, and a tensor at most {MAX_RANK}")
        made = next((name for name in node.outputs if name), node.op)
        label = node.name or made
        like = self._like(op, types, key)
        value = self.builder.add(
            op,
            inputs,
            label=f"{label}.{word}" if word else label,
            where=node.where,
            weights=() if like else [np.asarray(w, np.float32) for w in weights],
            like=like,
            name=f"{made}_{word}" if word else made,
        )
        if value is None:
            raise Unknown
        if key is not None:
            self.layers.setdefault((type(op), *key), value)
        return value

    def _like(self, op: Op, types: Sequence[TensorType], key: tuple[Any, ...] | None) -> str | None:
        if key is None:
            return None
        first = self.layers.get((type(op), *key))
        if first is None:
            return None
        layer = self.builder.layer_of(first)
        assert layer is not None
        before = layer.op.parameters([self.builder.type_of(i) for i in layer.inputs])
        return first if layer.op == op and before == op.parameters(types) else None

    def amend(self, value: str, op: Op, weights: Sequence[Array]) -> None:
        """Change a layer, which from now on shares its weights with no other."""
        self.builder.amend(value, op, [np.asarray(w, np.float32) for w in weights])
        self.layers = {key: first for key, first in self.layers.items() if first != value}


def reshaping(shape: Sequence[Extent]) -> Op:
    """Return the op that gives a tensor another shape of the same batch; raises Unsupported."""
    if len(shape) == 2:
        return Flatten()
    rest = shape[1:]
    if sum(isinstance(e, Dim) for e in rest) > 1:
        raise Unsupported(
            f"a reshape to [{', '.join(map(str, shape))}] leaves several extents open"
        )
    return Reshape(shape=tuple(-1 if isinstance(e, Dim) else e for e in rest))


def shortest(number: float) -> float:
    """Return the shortest decimal of a float32: 0.1, where a model holds 0.10000000149011612."""
    return float(str(np.float32(number)))
