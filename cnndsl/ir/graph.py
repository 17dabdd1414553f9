"""The graph: a typed, flat, frozen list of nodes in an order in which they can run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from cnndsl.diagnostics import Span
from cnndsl.ops.base import Op, ParameterSpec
from cnndsl.types.extents import Extent, symbols_of
from cnndsl.types.tensor import TensorType


@dataclass(frozen=True, slots=True)
class Value:
    """A named tensor. Names are unique in a graph and are identifiers joined by dots."""

    name: str
    type: TensorType


@dataclass(frozen=True, slots=True)
class Input:
    """An input of the network."""

    value: Value
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A tensor that the user supplies: weights, biases, running statistics.

    Its value's name is the layer's name and the spec's role, joined by a dot.
    """

    value: Value
    spec: ParameterSpec
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One op applied to values.

    `inputs` are the operands, `params` the tensors the op owns, in the order of
    `op.parameters`; both are names of values. `label` is what a person calls the layer (its path in
    the program, `stage_2.bottleneck.conv3x3`); `path` lists the blocks it came from, outermost
    first, each with its place of use.
    """

    op: Op
    inputs: tuple[str, ...]
    params: tuple[str, ...]
    output: Value
    label: str
    span: Span | None = None
    path: tuple[tuple[str, Span], ...] = ()

    @property
    def operands(self) -> tuple[str, ...]:
        return self.inputs + self.params


@dataclass(frozen=True, slots=True)
class Output:
    """A result of the network: its name outside, and the value it is."""

    name: str
    value: str
    span: Span | None = None


@dataclass(frozen=True)
class Graph:
    """A network. `usual_sizes` gives, for symbols that have one, the size to show numbers for."""

    name: str
    inputs: tuple[Input, ...]
    parameters: tuple[Parameter, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    usual_sizes: tuple[tuple[str, int], ...] = ()

    @cached_property
    def types(self) -> Mapping[str, TensorType]:
        """The type of every value."""
        found = {i.value.name: i.value.type for i in self.inputs}
        found |= {p.value.name: p.value.type for p in self.parameters}
        found |= {n.output.name: n.output.type for n in self.nodes}
        return found

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """The node that computes each value that is neither input nor parameter."""
        return {n.output.name: n for n in self.nodes}

    @cached_property
    def readers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each value (operand or parameter), in order, once each."""
        found: dict[str, list[Node]] = {name: [] for name in self.types}
        for node in self.nodes:
            for name in dict.fromkeys(node.operands):
                found[name].append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @cached_property
    def output_values(self) -> frozenset[str]:
        return frozenset(o.value for o in self.outputs)

    @cached_property
    def load_time(self) -> frozenset[str]:
        """The values that depend on parameters alone: known once the weights are."""
        known = {p.value.name for p in self.parameters}
        for node in self.nodes:
            if node.operands and all(name in known for name in node.operands):
                known.add(node.output.name)
        return frozenset(known)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of the inputs' types, in order of appearance."""
        found: dict[str, None] = {}
        for i in self.inputs:
            for extent in i.value.type.shape:
                found |= dict.fromkeys(sorted(symbols_of(extent)))
        return tuple(found)

    @cached_property
    def batch_symbols(self) -> frozenset[str]:
        """The symbols of the inputs' batches; not those that other axes have, too."""
        types = [i.value.type for i in self.inputs]
        elsewhere = {s for t in types for extent in t.shape[1:] for s in symbols_of(extent)}
        return frozenset(s for t in types for s in symbols_of(t.batch)) - elsewhere

    def operand_types(self, node: Node) -> tuple[TensorType, ...]:
        return tuple(self.types[name] for name in node.inputs)

    def with_nodes(self, nodes: Iterable[Node]) -> Graph:
        return replace(self, nodes=tuple(nodes))

    def macs(self, node: Node) -> Extent:
        """Return the multiply-accumulates of a node, for the whole batch."""
        return node.op.macs(self.operand_types(node))
