"""The graph under construction: nodes in order, then names, biases and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cnndsl.diagnostics import Span
from cnndsl.elaborate.naming import Frame, Numbering
from cnndsl.elaborate.values import Tensor
from cnndsl.ir.graph import Graph, Input, Node, Output, Parameter, Value
from cnndsl.ops.base import Op
from cnndsl.ops.norm import BatchNorm
from cnndsl.types.tensor import DType, TensorType


@dataclass(slots=True, eq=False)
class PendingNode:
    """A node whose name and bias are not settled yet.

    `owner` is the index of the node whose parameters it uses: itself, unless they are shared.
    """

    op: Op
    inputs: tuple[int, ...]
    type: TensorType
    label: str
    span: Span
    frame: Frame
    owner: int


@dataclass(slots=True, eq=False)
class _Slot:
    """A value: an input (`node` is None) or the result of a node; and its name in the source."""

    type: TensorType
    node: int | None
    name: str | None = None
    name_depth: int = 1 << 30


@dataclass(slots=True, eq=False)
class Recording:
    """What a shared layer's use records (`replayed` is None), or takes again from its first."""

    owners: list[int] = field(default_factory=list)
    replayed: list[int] | None = None

    def next(self) -> int | None:
        """Return the owner for the next node with parameters; None when there is none left."""
        assert self.replayed is not None
        if len(self.owners) >= len(self.replayed):
            return None
        self.owners.append(self.replayed[len(self.owners)])
        return self.owners[-1]


class GraphBuilder:
    """Collects inputs, nodes and outputs, and makes the graph of them."""

    def __init__(self) -> None:
        self.nodes: list[PendingNode] = []
        self.inputs: list[tuple[str, TensorType, Span, int]] = []
        self.outputs: list[tuple[str, int, Span]] = []
        self._slots: list[_Slot] = []
        self.value_names: list[str] = []
        """The name in the finished graph of each tensor, by its index."""

    def add_input(self, name: str, kind: TensorType, span: Span) -> Tensor:
        index = self._slot(kind, None)
        self.inputs.append((name, kind, span, index))
        self._slots[index].name = name
        self._slots[index].name_depth = -1
        return Tensor(index, kind, span)

    def add_node(
        self,
        op: Op,
        inputs: Sequence[Tensor],
        kind: TensorType,
        word: str,
        span: Span,
        frame: Frame,
        owner: int | None,
    ) -> Tensor:
        place = len(self.nodes)
        self.nodes.append(
            PendingNode(
                op,
                tuple(t.index for t in inputs),
                kind,
                frame.label(word),
                span,
                frame,
                place if owner is None else owner,
            )
        )
        return Tensor(self._slot(kind, place), kind, span)

    def operand_types(self, node: PendingNode) -> list[TensorType]:
        return [self._slots[i].type for i in node.inputs]

    def _slot(self, kind: TensorType, node: int | None) -> int:
        self._slots.append(_Slot(kind, node))
        return len(self._slots) - 1

    def name(self, tensor: Tensor, name: str, frame: Frame) -> None:
        """Give a value the name it has in the source; of several, the outermost first one stays."""
        slot = self._slots[tensor.index]
        if frame.depth < slot.name_depth:
            slot.name = frame.prefix + name if slot.node is not None else name
            slot.name_depth = frame.depth

    # -------------------------------------------------------------------- finish

    def finish(self, name: str, usual_sizes: tuple[tuple[str, int], ...]) -> Graph:
        """Settle biases, names and parameters; return the graph."""
        self._settle_biases()
        names = self.value_names = self._value_names()
        nodes: list[Node] = []
        parameters: list[Parameter] = []
        owned: dict[int, tuple[str, ...]] = {}
        position = {slot.node: i for i, slot in enumerate(self._slots) if slot.node is not None}
        for place, node in enumerate(self.nodes):
            if node.owner == place:
                specs = node.op.parameters(self.operand_types(node))
                made = [
                    Parameter(
                        Value(f"{node.label}.{spec.role}", TensorType(DType.FLOAT32, spec.shape)),
                        spec,
                        node.span,
                    )
                    for spec in specs
                ]
                parameters += made
                owned[place] = tuple(p.value.name for p in made)
            nodes.append(
                Node(
                    op=node.op,
                    inputs=tuple(names[i] for i in node.inputs),
                    params=owned[node.owner],
                    output=Value(names[position[place]], node.type),
                    label=node.label,
                    span=node.span,
                    path=node.frame.path,
                )
            )
        return Graph(
            name=name,
            inputs=tuple(Input(Value(n, kind), span) for n, kind, span, _ in self.inputs),
            parameters=tuple(parameters),
            nodes=tuple(nodes),
            outputs=tuple(Output(n, names[i], span) for n, i, span in self.outputs),
            usual_sizes=usual_sizes,
        )

    def _settle_biases(self) -> None:
        """Leave a bias that nobody asked for out where a batch norm alone reads the result.

        Layers that share weights share the decision.
        """
        readers: dict[int, list[PendingNode]] = {}
        for node in self.nodes:
            for index in set(node.inputs):
                readers.setdefault(index, []).append(node)
        results = {index for _, index, _ in self.outputs}
        needed: set[int] = set()
        undecided: list[PendingNode] = []
        for index, slot in enumerate(self._slots):
            if slot.node is None:
                continue
            node = self.nodes[slot.node]
            if _bias(node.op) is not None:
                continue
            undecided.append(node)
            reading = readers.get(index, [])
            if len(reading) != 1 or not isinstance(reading[0].op, BatchNorm) or index in results:
                needed.add(node.owner)
        for node in undecided:
            node.op = _with_bias(node.op, node.owner in needed)

    def _value_names(self) -> list[str]:
        """Name every value.

        Inputs and outputs come first, so that no other value has their names; then the values
        that the source names; the others are named after their labels.
        """
        wanted = {slot.name for slot in self._slots if slot.name is not None}
        numbering = Numbering(reserved=wanted)
        found = [""] * len(self._slots)
        for name, _, _, index in self.inputs:
            found[index] = numbering.take(name)
        for name, index, _ in self.outputs:
            if not found[index] or found[index] != name:
                free = numbering.take(name)
                if not found[index] and self._slots[index].name == name:
                    found[index] = free
        for index, slot in enumerate(self._slots):
            if not found[index] and slot.name is not None:
                found[index] = numbering.take(slot.name)
        for index, slot in enumerate(self._slots):
            if slot.name is None:
                assert slot.node is not None
                found[index] = numbering.take(self.nodes[slot.node].label)
        return found


def _bias(op: Op) -> bool | None:
    """Return whether an op has a bias (False for ops that never have one); None if undecided."""
    decided: bool | None = getattr(op, "bias", False)
    return decided


def _with_bias(op: Op, bias: bool) -> Op:
    changed: Any = replace(op, bias=bias)  # type: ignore[call-arg]
    assert isinstance(changed, Op)
    return changed
