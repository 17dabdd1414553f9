"""What a network costs: parameters, multiply-accumulates and bytes, by layer and in all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from cnndsl.ir.graph import Graph, Node
from cnndsl.types.extents import Extent, product, substitute, symbols_of
from cnndsl.types.tensor import TensorType


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """One node's cost. Formulas remain where a size is not known.

    `params` and `weight_bytes` count trained tensors, `buffer_bytes` the others (running
    statistics); a tensor that several layers share counts for the first. `macs` and
    `activation_bytes` (of the result) are for one sample.
    """

    label: str
    op: str
    output_shape: tuple[Extent, ...]
    params: int
    macs: Extent
    weight_bytes: int
    buffer_bytes: int
    activation_bytes: Extent


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The cost of every node, the totals, and the sizes they hold for."""

    network: str
    sizes: tuple[tuple[str, int], ...]
    inputs: tuple[tuple[str, TensorType], ...]
    outputs: tuple[tuple[str, TensorType], ...]
    layers: tuple[LayerCost, ...]

    @property
    def params(self) -> int:
        return sum(layer.params for layer in self.layers)

    @property
    def macs(self) -> Extent:
        return _sum(layer.macs for layer in self.layers)

    @property
    def flops(self) -> Extent:
        """Two per multiply-accumulate."""
        return self.macs * 2

    @property
    def weight_bytes(self) -> int:
        return sum(layer.weight_bytes for layer in self.layers)

    @property
    def buffer_bytes(self) -> int:
        return sum(layer.buffer_bytes for layer in self.layers)

    @property
    def activation_bytes(self) -> Extent:
        """Of all results together, as if none were reused."""
        return _sum(layer.activation_bytes for layer in self.layers)


def summarize(graph: Graph, sizes: Mapping[str, int] | None = None) -> Summary:
    """Return the cost of a network for one sample.

    Symbols take their size from `sizes`, then from the program's usual sizes; those of the batch
    count as one sample. The others stay in the formulas.
    """
    batch = {symbol for i in graph.inputs for symbol in symbols_of(i.value.type.batch)}
    known = {**dict(graph.usual_sizes), **(sizes or {})}
    shown = {symbol: n for symbol, n in known.items() if symbol not in batch}
    one_sample = {**shown, **dict.fromkeys(batch, 1)}
    counted: set[str] = set()
    return Summary(
        network=graph.name,
        sizes=tuple(sorted(shown.items())),
        inputs=tuple((i.value.name, i.value.type.substitute(shown)) for i in graph.inputs),
        outputs=tuple((o.name, graph.types[o.value].substitute(shown)) for o in graph.outputs),
        layers=tuple(_layer(graph, node, shown, one_sample, counted) for node in graph.nodes),
    )


def _layer(
    graph: Graph,
    node: Node,
    shown: Mapping[str, int],
    one_sample: Mapping[str, int],
    counted: set[str],
) -> LayerCost:
    specs = node.op.parameters(graph.operand_types(node))
    own = [s for s, name in zip(specs, node.params, strict=True) if name not in counted]
    counted.update(node.params)
    params = sum(prod(s.shape) for s in own if s.trainable)
    buffers = sum(prod(s.shape) for s in own if not s.trainable)
    result = node.output.type
    return LayerCost(
        label=node.label,
        op=op_word(node),
        output_shape=tuple(substitute(e, shown) for e in result.shape),
        params=params,
        macs=substitute(graph.macs(node), one_sample),
        weight_bytes=4 * params,
        buffer_bytes=4 * buffers,
        activation_bytes=substitute(product(result.shape), one_sample) * result.dtype.item_bytes,
    )


def op_word(node: Node) -> str:
    """Return an op as a program writes it: conv3x3, bn; the class's name where it has no word."""
    word = node.op.keyword or type(node.op).__name__.lower()
    if not node.op.kernel_suffix:
        return word
    kernel: Any = getattr(node.op, "kernel")  # noqa: B009
    return word + "x".join(str(k) for k in kernel)


def _sum(extents: Iterable[Extent]) -> Extent:
    total: Extent = 0
    for extent in extents:
        total = total + extent
    return total
