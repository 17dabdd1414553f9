"""Choose, for every node, the layer function of the generated module and its arguments."""

from __future__ import annotations

from dataclasses import replace

from cnndsl.backends.numba.activations import CLAMP, Activation, Use, use_of
from cnndsl.backends.numba.call import Arg, Call, Ref, Request, Word
from cnndsl.backends.numba.lower import lower_graph
from cnndsl.backends.numba.rules import RULES
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.base import Op
from cnndsl.ops.conv import Conv
from cnndsl.ops.fused import Fused

TARGET = "numba-cuda"

_ADDING = frozenset({"conv_layer", "depthwise_layer", "transposed_layer", "dense_layer"})
"""Layer functions that add a residual on the way out."""

_ENDING = _ADDING | {"binary_layer", "norm_layer", "affine_layer"}
"""Layer functions whose kernels apply any function to their results."""

_CLAMPING = frozenset({"local_layer", "layer_norm_layer"})
"""Layer functions that limit their result to low..high on the way out."""


def lower(graph: Graph) -> tuple[Call, ...]:
    """Return the calls that compute a graph, in order; load-time nodes are not among them.

    Raises CompileError (CNN702) for what the target does not support.
    """
    return lower_graph(graph, TARGET, _lower)


def is_winograd(op: Op) -> bool:
    """Say whether Winograd's method fits a layer: a plain 3x3 convolution with stride 1."""
    base = op.base if isinstance(op, Fused) else op
    return (
        type(base) is Conv
        and base.kernel == (3, 3)
        and base.groups == 1
        and base.stride == base.dilation == (1, 1)
    )


def has_pairs(calls: tuple[Call, ...]) -> bool:
    """Say whether a convolution reads what another one makes, so that they may share a kernel."""
    made = {
        Ref(call.result) for call in calls if call.function in ("conv_layer", "depthwise_layer")
    }
    return any(call.positional[0] in made for call in calls if call.function == "conv_layer")


def word_of(activation: Activation) -> str:
    """Return the name of the generated module's constant for an activation."""
    return activation.kernel.upper()


def _lower(graph: Graph, node: Node) -> list[Call]:
    op = node.op
    if not isinstance(op, Fused):
        return [_call(graph, node, op, node.inputs)]
    own = node.inputs[:-1] if op.residual else node.inputs
    calls = [_call(graph, node, op.base, own)]
    result = Ref(node.output.name)
    if op.residual:
        residual = Ref(node.inputs[-1])
        if calls[0].function in _ADDING:
            calls = [calls[0].with_named(residual=residual)]
        else:
            shape = node.output.type.shape
            calls.append(
                Call(node, result.name, "binary_layer", (result, residual, shape, Word("ADD")))
            )
    if op.activation is None:
        return calls
    use = use_of(op.activation)
    function = calls[-1].function
    if use is None:
        calls.append(_call(graph, node, op.activation, (result.name,)))
    elif function in _ENDING:
        calls[-1] = replace(calls[-1].with_named(**_end(use)), activation=use.activation)
    elif function in _CLAMPING and use.activation is CLAMP:
        calls[-1] = calls[-1].with_named(low=use.a, high=use.b)
    else:
        calls.append(_activation(node, use, result.name))
    return calls


def _end(use: Use) -> dict[str, Arg]:
    return {"activation": Word(word_of(use.activation)), "a": use.a, "b": use.b}


def _activation(node: Node, use: Use, x: str) -> Call:
    named = tuple(_end(use).items())
    return Call(
        node, node.output.name, "activation_layer", (Ref(x),), named, activation=use.activation
    )


def _call(graph: Graph, node: Node, op: Op, inputs: tuple[str, ...]) -> Call:
    request = Request(graph, node, op, inputs, node.output.type, TARGET)
    if (use := use_of(op)) is not None:
        return _activation(node, use, inputs[0])
    rule = RULES.get(type(op))
    if rule is None:
        raise request.refusal(f"{op.keyword or type(op).__name__} has no kernel")
    return rule(request)
