"""Run a graph with NumPy, op by op, as each op's `evaluate` defines it: the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.types.binding import BindingError, bind_symbols


def run(
    graph: Graph, inputs: Mapping[str, Array], weights: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the network's results by the names of its outputs.

    Works in float32; if a floating-point input is float64 (or, in a network of integer inputs, a
    weight is), in float64. Raises CompileError for inputs or weights that do not fit.
    """
    sizes = check_inputs(graph, inputs)
    dtype = _working_dtype(graph, inputs, weights)
    values = checked_weights(graph, weights, dtype)
    for i in graph.inputs:
        array = np.asarray(inputs[i.value.name])
        values[i.value.name] = array.astype(dtype) if i.value.type.dtype.is_float else array
    last_reader = {name: node for node in graph.nodes for name in node.operands}
    for node in graph.nodes:
        with np.errstate(all="ignore"):  # infinities and NaN are results, here as in float32 code
            result = node.op.evaluate(
                [values[name] for name in node.inputs], [values[name] for name in node.params]
            )
        expected = node.output.type.at(sizes)
        if result.shape != expected:
            raise AssertionError(
                f"{node.label}: {type(node.op).__name__} infers {expected} and computes "
                f"{result.shape}"
            )
        values[node.output.name] = result
        for name in dict.fromkeys(node.operands):
            if last_reader[name] is node and name not in graph.output_values:
                del values[name]
    return {o.name: values[o.value] for o in graph.outputs}


def check_inputs(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, int]:
    """Return the sizes of the symbols; raise CompileError for inputs that do not fit the graph."""
    spans = {i.value.name: i.span for i in graph.inputs}
    types = {i.value.name: i.value.type for i in graph.inputs}
    arrays = {name: np.asarray(array) for name, array in inputs.items()}
    wrong = [
        f"input {name} is missing; it is {types[name]}" for name in types if name not in arrays
    ]
    wrong += [
        f"the network has no input {name}; it has {', '.join(types)}"
        for name in arrays
        if name not in types
    ]
    for name, type_ in types.items():
        if name not in arrays:
            continue
        allowed: tuple[Any, ...] = (type_.dtype.numpy,)
        if type_.dtype.is_float:
            allowed += (np.dtype(np.float64),)
        if arrays[name].dtype not in allowed:
            wrong.append(f"input {name} is {type_}, got dtype {arrays[name].dtype}")
    if wrong:
        raise CompileError(Diagnostic(code="CNN803", message=message) for message in wrong)
    try:
        sizes = bind_symbols(types, {name: array.shape for name, array in arrays.items()})
    except BindingError as error:
        raise CompileError(
            Diagnostic(code="CNN803", message=error.message, span=spans[error.name])
        ) from None
    for node in graph.nodes:
        shape = node.output.type.at(sizes)
        if min(shape, default=1) < 1:
            at = ", ".join(f"{symbol} = {size}" for symbol, size in sizes.items())
            raise CompileError(
                Diagnostic(
                    code="CNN204",
                    message=f"the input is too small: {node.label} would give {list(shape)} "
                    f"for {at}",
                    span=node.span,
                    trail=tuple(reversed(node.path)),
                )
            )
    return sizes


def _working_dtype(
    graph: Graph, inputs: Mapping[str, Array], weights: Mapping[str, Array]
) -> np.dtype[Any]:
    floats = [np.asarray(inputs[i.value.name]) for i in graph.inputs if i.value.type.dtype.is_float]
    deciding = floats or [np.asarray(a) for a in weights.values()]
    double = any(a.dtype == np.float64 for a in deciding)
    return np.dtype(np.float64 if double else np.float32)


def checked_weights(
    graph: Graph, weights: Mapping[str, Array], dtype: np.dtype[Any]
) -> dict[str, Array]:
    """Return the weights in a dtype; raise CompileError for any that does not fit the graph."""
    values: dict[str, Array] = {}
    wrong: list[Diagnostic] = []
    for parameter in graph.parameters:
        name, shape = parameter.value.name, parameter.spec.shape
        array = weights.get(name)
        if array is None:
            message = f"weight {name} of shape {list(shape)} is missing"
            wrong.append(Diagnostic(code="CNN602", message=message, span=parameter.span))
        elif array.shape != shape or array.dtype.kind != "f":
            message = (
                f"weight {name} is float32 of shape {list(shape)}, "
                f"got {array.dtype} of shape {list(array.shape)}"
            )
            wrong.append(Diagnostic(code="CNN604", message=message, span=parameter.span))
        else:
            values[name] = np.asarray(array).astype(dtype)
    if wrong:
        raise CompileError(wrong)
    return values
