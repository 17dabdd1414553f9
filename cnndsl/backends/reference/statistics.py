"""Batch-norm statistics of actual inputs: what training would have made of running averages."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cnndsl.backends.reference.run import check_inputs, checked_weights
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.ops.norm import BatchNorm


def with_statistics(
    graph: Graph, inputs: Mapping[str, Array], weights: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the weights with each batch norm's running mean and variance taken from the inputs.

    Random weights come with the statistics 0 and 1, with which a norm does nothing: in a residual
    network every block then adds to the variance. Takes a source program's graph, before passes.
    Raises CompileError for inputs or weights that do not fit.
    """
    check_inputs(graph, inputs)
    values = checked_weights(graph, weights, np.dtype(np.float64))
    for i in graph.inputs:
        array = np.asarray(inputs[i.value.name])
        values[i.value.name] = array.astype(np.float64) if i.value.type.dtype.is_float else array
    found = dict(weights)
    last_reader = {name: node for node in graph.nodes for name in node.operands}
    for node in graph.nodes:
        if isinstance(node.op, BatchNorm):
            x = values[node.inputs[0]]
            axes = (0, *range(2, x.ndim))
            for name, statistic in zip(node.params[2:], (x.mean(axis=axes), x.var(axis=axes))):
                values[name] = statistic
                found[name] = statistic.astype(np.float32)
        values[node.output.name] = node.op.evaluate(
            [values[name] for name in node.inputs], [values[name] for name in node.params]
        )
        for name in dict.fromkeys(node.inputs):
            if last_reader[name] is node:
                del values[name]
    return found
