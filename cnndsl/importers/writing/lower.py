"""Turn a graph into the body of a network: one item for each node, in a chosen order."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from enum import Enum

from cnndsl.importers.writing.arguments import use_of
from cnndsl.importers.writing.model import Body, Draft, Item, Layer, OpUse, Scale, SharedUse
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.elementwise import Affine
from cnndsl.ops.norm import BatchNorm


class Order(Enum):
    """In which order nodes are looked at: repetition shows only where it is contiguous."""

    GIVEN = "as the graph lists them"
    DEPTH_FIRST = "every operand right before it is needed"


def lower(graph: Graph, order: Order, ranks: Container[str] = ()) -> Draft:
    """Return the program of a legal graph: one network without blocks.

    `ranks` are labels of layers whose channels are the rank of a factorization.
    """
    nodes = graph.nodes if order is Order.GIVEN else _depth_first(graph)
    draft = Draft(Body((), [], ()), [])
    values: dict[str, int] = {}

    def value(name: str) -> int:
        found = values[name] = draft.new_value()
        draft.names[found] = name
        channels = graph.types[name].shape[1]
        if isinstance(channels, int):
            draft.channels[found] = channels
        return found

    inputs = tuple(value(i.value.name) for i in graph.inputs)
    automatic = _automatic_biases(graph)
    uses = _shared_weights(graph)
    shared: dict[tuple[str, ...], int] = {}
    items: list[Item] = []
    for node in nodes:
        layer: Layer = _layer(graph, node, automatic)
        if uses.get(node.params, 0) > 1 and isinstance(layer, OpUse):
            if node.params not in shared:
                shared[node.params] = len(draft.shared)
                draft.shared.append(layer)
            layer = SharedUse(shared[node.params])
        if node.label in ranks and isinstance(layer, OpUse):
            layer = replace(layer, narrows=True)
        operands = tuple(values[name] for name in node.inputs)
        items.append(Item(layer, operands, (value(node.output.name),), (node.label, node.label)))
    draft.network = Body(inputs, items, tuple(values[o.value] for o in graph.outputs))
    return draft


def _layer(graph: Graph, node: Node, automatic: Mapping[str, bool]) -> OpUse | Scale:
    if isinstance(node.op, Affine):
        return Scale(float(node.op.scale), float(node.op.shift))
    rank = len(graph.types[node.inputs[0]].spatial)
    return use_of(node.op, rank, len(node.inputs), automatic.get(node.output.name))


def _shared_weights(graph: Graph) -> dict[tuple[str, ...], int]:
    """Return how many layers use each set of weights."""
    found: dict[tuple[str, ...], int] = {}
    for node in graph.nodes:
        if node.params:
            found[node.params] = found.get(node.params, 0) + 1
    return found


def _automatic_biases(graph: Graph) -> dict[str, bool]:
    """Return, by the value that a layer makes, whether it gets a bias if nobody says so.

    It does not if one batch norm is all that reads the result of every use of its weights.
    """
    needed: dict[tuple[str, ...], bool] = {}
    for node in graph.nodes:
        if not node.params:
            continue
        result = node.output.name
        reading = graph.readers[result]
        alone = len(reading) == 1 and isinstance(reading[0].op, BatchNorm)
        needs = not alone or result in graph.output_values
        needed[node.params] = needed.get(node.params, False) or needs
    return {n.output.name: needed[n.params] for n in graph.nodes if n.params}


def _depth_first(graph: Graph) -> Sequence[Node]:
    """Return the nodes, each right behind its operands, operands in order; dead ones last."""
    read = {name for node in graph.nodes for name in node.inputs}
    roots = [o.value for o in graph.outputs]
    roots += [n.output.name for n in graph.nodes if n.output.name not in read]
    found: dict[str, Node] = {}
    for root in roots:
        pending = [(root, False)]
        while pending:
            name, ready = pending.pop()
            node = graph.producers.get(name)
            if node is None or name in found:
                continue
            if ready:
                found[name] = node
            else:
                pending.append((name, True))
                pending += [(i, False) for i in reversed(node.inputs)]
    return tuple(found.values())
