"""What a network costs: parameters, operations and bytes, by layer and in all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.base import Op
from cnndsl.types.extents import Extent, substitute, total
from cnndsl.types.tensor import TensorType

NOT_COUNTED = "negation, choosing between values, and the arithmetic of addresses"
"""Work of a layer that no figure counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What some layers cost for one sample, or a batch of fixed size; formulas if sizes are open.

    `params` counts trained numbers, `buffers` the others that are loaded (running statistics); a
    tensor that several layers share counts for the first. `other_operations` are those outside the
    multiply-accumulates. `activation_bytes` are the results', as if no memory were reused;
    `bytes_moved` the operands read, the results written and the parameters and buffers read, each
    once for every layer.
    """

    params: int
    buffers: int
    macs: Extent
    other_operations: Extent
    activation_bytes: Extent
    bytes_moved: Extent

    @property
    def flops(self) -> Extent:
        """Two per multiply-accumulate; the other operations are not among them."""
        return self.macs * 2

    @property
    def weight_bytes(self) -> int:
        return 4 * self.params

    @property
    def buffer_bytes(self) -> int:
        return 4 * self.buffers

    @property
    def arithmetic_intensity(self) -> float | None:
        """FLOPs for each byte moved; None where either is a formula."""
        if isinstance(self.macs, int) and isinstance(self.bytes_moved, int) and self.bytes_moved:
            return 2 * self.macs / self.bytes_moved
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost(Cost):
    """The cost of one layer, or of the layers of one use of a block.

    `value` is the name of the result (of a block, its last layer's); `blocks` the block uses the
    layer lies in, outermost first, each as (label, block). `rule` says what `other_operations`
    counts; `layers` how many layers these are.
    """

    label: str
    op: str
    value: str
    blocks: tuple[tuple[str, str], ...]
    output_shape: tuple[Extent, ...]
    rule: str
    layers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(Cost):
    """The cost of every layer and of the whole network, and the sizes they hold for.

    `samples` has, for each input, of how many samples the figures are: one, unless its batch has a
    size of its own.
    """

    network: str
    sizes: tuple[tuple[str, int], ...]
    samples: tuple[tuple[str, Extent], ...]
    inputs: tuple[tuple[str, TensorType], ...]
    outputs: tuple[tuple[str, TensorType], ...]
    layers: tuple[LayerCost, ...]

    @property
    def batch_text(self) -> str:
        """What the figures are for, in words; nothing where that is one sample."""
        numbers = {n for _, n in self.samples}
        if numbers <= {1}:
            return ""
        if len(numbers) == 1:
            return f"a batch of {next(iter(numbers))}"
        return "batches of " + ", ".join(f"{n} ({name})" for name, n in self.samples)

    @property
    def without_operations(self) -> Mapping[str, tuple[str, ...]]:
        """The ops for which no operation is counted, by the reason."""
        found: dict[str, dict[str, None]] = {}
        for layer in self.layers:
            if layer.macs == 0 and layer.other_operations == 0:
                found.setdefault(layer.rule, {})[layer.op] = None
        return {reason: tuple(ops) for reason, ops in found.items()}


def summarize(graph: Graph, sizes: Mapping[str, int] | None = None) -> Summary:
    """Return the cost of a network for one sample, or for the batch where that has a fixed size.

    Symbols take their size from `sizes`, then from the program's usual sizes; those of the batch
    count as one. The others stay in the formulas.
    """
    batch = graph.batch_symbols
    known = {**dict(graph.usual_sizes), **(sizes or {})}
    shown = {symbol: n for symbol, n in known.items() if symbol not in batch}
    one_sample = {**shown, **dict.fromkeys(batch, 1)}
    measure = _Measure(graph, shown, one_sample)
    layers = tuple(measure.layer(node) for node in graph.nodes)
    return Summary(
        network=graph.name,
        sizes=tuple(sorted(shown.items())),
        samples=tuple(
            (i.value.name, substitute(i.value.type.batch, one_sample)) for i in graph.inputs
        ),
        inputs=tuple((i.value.name, i.value.type.substitute(shown)) for i in graph.inputs),
        outputs=tuple((o.name, graph.types[o.value].substitute(shown)) for o in graph.outputs),
        layers=layers,
        **_sums(layers),
    )


def fold(layers: tuple[LayerCost, ...], depth: int) -> tuple[LayerCost, ...]:
    """Return the layers with those of each block use at a depth, 1 the outermost, as one."""
    groups: dict[tuple[str, int], list[LayerCost]] = {}
    for layer in layers:
        inside = len(layer.blocks) >= depth
        # A layer of its own may bear the label of a block use elsewhere: the length tells them.
        key = (layer.blocks[depth - 1][0], depth) if inside else (layer.label, 0)
        groups.setdefault(key, []).append(layer)
    return tuple(_folded(group, depth) for group in groups.values())


def _folded(group: list[LayerCost], depth: int) -> LayerCost:
    last = group[-1]
    if len(last.blocks) < depth:
        return last
    label, block = last.blocks[depth - 1]
    return LayerCost(
        label=label,
        op=block,
        value=last.value,
        blocks=last.blocks[: depth - 1],
        output_shape=last.output_shape,
        rule="; ".join(dict.fromkeys(f"{layer.op}: {layer.rule}" for layer in group)),
        layers=sum(layer.layers for layer in group),
        **_sums(group),
    )


def _sums(layers: tuple[LayerCost, ...] | list[LayerCost]) -> dict[str, Any]:
    """Return the fields of `Cost` summed over layers."""
    return {
        "params": sum(layer.params for layer in layers),
        "buffers": sum(layer.buffers for layer in layers),
        "macs": total(layer.macs for layer in layers),
        "other_operations": total(layer.other_operations for layer in layers),
        "activation_bytes": total(layer.activation_bytes for layer in layers),
        "bytes_moved": total(layer.bytes_moved for layer in layers),
    }


@dataclass(frozen=True, slots=True)
class _Work:
    """What an op does on operands of some types, for one sample."""

    output_shape: tuple[Extent, ...]
    macs: Extent
    other_operations: Extent
    written: Extent
    moved: Extent


class _Measure:
    """Measures the nodes of a graph in order; tensors that are shared count at their first use."""

    def __init__(
        self, graph: Graph, shown: Mapping[str, int], one_sample: Mapping[str, int]
    ) -> None:
        self._graph = graph
        self._shown = shown
        self._one_sample = one_sample
        self._counted: set[str] = set()
        self._known: dict[object, _Work] = {}

    def layer(self, node: Node) -> LayerCost:
        """Return the cost of a node."""
        op, types = node.op, self._graph.operand_types(node)
        own = [
            spec
            for spec, name in zip(op.parameters(types), node.params, strict=True)
            if name not in self._counted
        ]
        self._counted.update(node.params)
        work = self._work(node, types)
        return LayerCost(
            label=node.label,
            op=op_word(node.op),
            value=node.output.name,
            blocks=_blocks(node),
            output_shape=work.output_shape,
            rule=op.other_operations_rule,
            params=sum(prod(s.shape) for s in own if s.trainable),
            buffers=sum(prod(s.shape) for s in own if not s.trainable),
            macs=work.macs,
            other_operations=work.other_operations,
            activation_bytes=work.written,
            bytes_moved=work.moved,
        )

    def _work(self, node: Node, types: tuple[TensorType, ...]) -> _Work:
        """Return what a node does, worked out once for all nodes that do the same."""
        op, result = node.op, node.output.type
        read = dict(zip(node.inputs, types, strict=True))
        key = (op, types, tuple(read.values()))
        if key not in self._known:
            written = self._bytes(result)
            operands = total(self._bytes(type_) for type_ in read.values())
            weights = self._sample(op.weight_elements_read(types)) * 4
            self._known[key] = _Work(
                tuple(substitute(e, self._shown) for e in result.shape),
                self._sample(op.macs(types)),
                self._sample(op.other_operations(types)),
                written,
                total((operands, written, weights)),
            )
        return self._known[key]

    def _bytes(self, type_: TensorType) -> Extent:
        return self._sample(type_.elements) * type_.dtype.item_bytes

    def _sample(self, extent: Extent) -> Extent:
        return substitute(extent, self._one_sample)


def _blocks(node: Node) -> tuple[tuple[str, str], ...]:
    """Return the label and name of each block use that a node lies in, outermost first."""
    parts = node.label.split(".")
    return tuple(
        (".".join(parts[: i + 1]), block) for i, (block, _) in enumerate(node.path[: len(parts)])
    )


def op_word(op: Op) -> str:
    """Return an op as a program writes it: conv3x3, bn; the class's name where it has no word."""
    word = op.keyword or type(op).__name__.lower()
    if not op.kernel_suffix:
        return word
    kernel: Any = getattr(op, "kernel")  # noqa: B009
    return word + "x".join(str(k) for k in kernel)
