"""Gradients with NumPy, op by op, as each op's `pullback` defines them, in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cnndsl.backends.reference.run import check_inputs, checked_weights
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.base import Array


def gradient(
    graph: Graph,
    inputs: Mapping[str, Array],
    weights: Mapping[str, Array],
    value: str,
    seed: Array,
    *,
    at: Sequence[str] | None = None,
) -> dict[str, Array]:
    """Return the partial derivatives of sum(seed * value) by the network's inputs, by name.

    `seed` has the shape of `value`. With `at` the derivatives are by those values instead, which
    is how to get below an embedding, whose own input is of whole numbers. What `value` does not
    depend on has zeros. Raises CompileError for inputs or weights that do not fit.
    """
    sizes = check_inputs(graph, inputs)
    wanted = [i.value.name for i in graph.inputs] if at is None else list(at)
    shape = graph.types[value].at(sizes)
    if seed.shape != shape:
        raise ValueError(f"the seed of {value} has the shape {seed.shape}, the value {shape}")
    nodes = _ancestors(graph, value)
    values = _forward(graph, nodes, inputs, weights)
    gradients = {value: seed.astype(np.float64)}
    for node in reversed(nodes):
        name = node.output.name
        # Every reader has given its part by now; nothing before reads this value's elements.
        del values[name]
        if name not in gradients or name in graph.load_time:
            continue
        incoming = gradients[name] if name in wanted else gradients.pop(name)
        found = node.op.pullback(
            [values[operand] for operand in node.inputs],
            [values[operand] for operand in node.params],
            incoming,
        )
        for operand, part in zip(node.inputs, found, strict=True):
            gradients[operand] = gradients[operand] + part if operand in gradients else part
    return {
        name: gradients[name] if name in gradients else np.zeros(graph.types[name].at(sizes))
        for name in wanted
    }


def _ancestors(graph: Graph, value: str) -> tuple[Node, ...]:
    """Return the nodes that a value depends on, its own last, in an order that runs."""
    needed = {value}
    found: list[Node] = []
    for node in reversed(graph.nodes):
        if node.output.name in needed:
            found.append(node)
            needed.update(node.operands)
    return tuple(reversed(found))


def _forward(
    graph: Graph,
    nodes: Sequence[Node],
    inputs: Mapping[str, Array],
    weights: Mapping[str, Array],
) -> dict[str, Array]:
    """Return all values that the nodes compute, the inputs and the weights, in float64."""
    values = checked_weights(graph, weights, np.dtype(np.float64))
    for i in graph.inputs:
        array = np.asarray(inputs[i.value.name])
        values[i.value.name] = array.astype(np.float64) if i.value.type.dtype.is_float else array
    for node in nodes:
        values[node.output.name] = node.op.evaluate(
            [values[name] for name in node.inputs], [values[name] for name in node.params]
        )
    return values
