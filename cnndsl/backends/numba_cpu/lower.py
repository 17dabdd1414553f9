"""Choose, for every node, the layer function of the generated module and its arguments."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from math import inf

from cnndsl.backends.numba.activations import clamp_of, use_of
from cnndsl.backends.numba.call import Arg, Call, Ref, Request, Word, refusal
from cnndsl.backends.numba.lower import lower_graph
from cnndsl.backends.numba.rules import RULES
from cnndsl.backends.numba.rules.pointwise import activation_call
from cnndsl.backends.numba_cpu.layers import extra_layers
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.base import Op
from cnndsl.ops.fused import Fused

_CLAMPING = frozenset(
    {
        "conv_layer",
        "depthwise_layer",
        "transposed_layer",
        "dense_layer",
        "local_layer",
        "binary_layer",
        "norm_layer",
        "layer_norm_layer",
        "affine_layer",
    }
)
"""Layer functions that limit their result to low..high on the way out."""

_ADDING = frozenset({"conv_layer", "depthwise_layer", "transposed_layer", "dense_layer"})
"""Layer functions that add a residual on the way out."""

_BANDED = frozenset({"conv_layer", "depthwise_layer", "transposed_layer"})
"""Layer functions whose result the next of them may read band by band, as it is made."""


def lower(graph: Graph) -> tuple[Call, ...]:
    """Return the calls that compute a graph, in order; load-time nodes are not among them.

    Raises CompileError (CNN702) for what the target does not support.
    """
    return lower_graph(graph, "numba-cpu", _lower)


def shared(calls: tuple[Call, ...], outputs: Collection[str]) -> set[str]:
    """Return the layers that let convolutions share a step with what reads or adds their results.

    `outputs` are the names of the network's.
    """
    windows = [call for call in calls if call.function in _BANDED]
    made = {Ref(call.result) for call in windows}
    found = {"band"} if any(call.positional[0] in made for call in windows) else set()
    if any(dict(call.named).get("residual") in made for call in windows):
        found.add("join")
    if any(call.function == "conv_layer" and call.result in outputs for call in calls):
        found.add("deliver")
    return found


def with_algorithms(calls: tuple[Call, ...], algorithms: Mapping[str, str]) -> tuple[Call, ...]:
    """Return the calls, those of the convolutions named in `algorithms` with one forced."""
    return tuple(
        call.with_named(algorithm=algorithms[call.node.label])
        if call.function == "conv_layer" and call.node.label in algorithms
        else call
        for call in calls
    )


def _lower(graph: Graph, node: Node) -> list[Call]:
    op = node.op
    if not isinstance(op, Fused):
        return [_call(graph, node, op, node.inputs)]
    own = node.inputs[:-1] if op.residual else node.inputs
    call = _call(graph, node, op.base, own)
    result = Ref(node.output.name)
    limits = clamp_of(op.activation) if op.activation is not None else None
    calls = [call]
    if op.residual:
        residual = Ref(node.inputs[-1])
        if call.function in _ADDING:
            calls = [call.with_named(residual=residual)]
        else:
            shape = node.output.type.shape
            positional = (result, residual, shape, Word("ADD"))
            calls.append(Call(node, result.name, "binary_layer", positional, layers=("binary",)))
    if limits is not None and calls[-1].function in _CLAMPING:
        low, high = limits
        bounds: dict[str, Arg] = {"low": low} if low != -inf else {}
        calls[-1] = calls[-1].with_named(**bounds, **({"high": high} if high != inf else {}))
    elif op.activation is not None:
        use = use_of(op.activation)
        calls.append(
            _call(graph, node, op.activation, (result.name,))
            if use is None
            else activation_call(node, use, result.name, in_place=True)
        )
    return calls


def _call(graph: Graph, node: Node, op: Op, inputs: tuple[str, ...]) -> Call:
    rule = RULES.get(type(op))
    if rule is None:
        raise refusal(node, f"{op.keyword or type(op).__name__} has no kernel")
    call = rule(Request(graph, node, op, inputs, node.output.type))
    return replace(call, layers=(*call.layers, *extra_layers(op, graph.types[inputs[0]])))
