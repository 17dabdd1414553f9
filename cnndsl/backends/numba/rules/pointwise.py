"""Layers that work element by element or normalise: activations, norms, arithmetic."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.backends.numba.activations import Use, use_of
from cnndsl.backends.numba.call import Arg, Call, Ref, Request, Rule, Word
from cnndsl.ir.graph import Node
from cnndsl.ops import activation, elementwise, norm
from cnndsl.ops.base import Op


def _batch_norm(r: Request) -> Call:
    op = r.op
    assert isinstance(op, norm.BatchNorm)
    return r.call("norm_layer", r.x, *r.params, epsilon=op.epsilon, layers=("scale_shift",))


def _affine(r: Request) -> Call:
    op = r.op
    assert isinstance(op, elementwise.Affine)
    return r.call("affine_layer", r.x, op.scale, op.shift, layers=("scale_shift",))


def _layer_norm(r: Request) -> Call:
    op = r.op
    assert isinstance(op, norm.LayerNorm)
    return r.call("layer_norm_layer", r.x, *r.params, epsilon=op.epsilon, layers=("layer_norm",))


def _group_norm(r: Request) -> Call:
    op = r.op
    assert isinstance(op, norm.GroupNorm)
    return r.call(
        "group_norm_layer",
        r.x,
        *r.params,
        groups=op.groups,
        epsilon=op.epsilon,
        layers=("group_norm",),
    )


def _lrn(r: Request) -> Call:
    op = r.op
    assert isinstance(op, norm.LRN)
    return r.call(
        "lrn_layer", r.x, size=op.size, alpha=op.alpha, beta=op.beta, k=op.k, layers=("lrn",)
    )


def activation_call(node: Node, use: Use, x: str, *, in_place: bool) -> Call:
    """Return the call of an activation's kernel, over the values it reads if `in_place`."""
    numbers: tuple[Arg, ...] = (use.a, use.b)
    return Call(
        node,
        node.output.name,
        "activation_layer",
        (Word(use.activation.kernel), Ref(x), *numbers),
        (("in_place", True),) if in_place else (),
        ("activation",),
        use.activation,
    )


def _activation(r: Request) -> Call:
    use = use_of(r.op)
    assert use is not None
    return activation_call(r.node, use, r.inputs[0], in_place=False)


def _prelu(r: Request) -> Call:
    return r.call("prelu_layer", r.x, *r.params, layers=("prelu",))


def _softmax(r: Request) -> Call:
    op = r.op
    assert isinstance(op, activation.Softmax)
    axis = op.axis if op.axis < 2 else op.axis - r.result.rank
    return r.call("softmax_layer", r.x, axis=axis, layers=("softmax",))


def _glu(r: Request) -> Call:
    return r.call("glu_layer", r.x, r.shape, layers=("glu",))


def _binary(word: str) -> Rule:
    def rule(r: Request) -> Call:
        a, b = r.inputs
        return r.call("binary_layer", Ref(a), Ref(b), r.shape, Word(word), layers=("binary",))

    return rule


def _same(r: Request) -> Call:
    """Keep a value as it is (a pass removes these; unoptimised graphs hold them)."""
    return r.call("same_layer", r.x, layers=("same",))


RULES: Mapping[type[Op], Rule] = {
    norm.BatchNorm: _batch_norm,
    norm.LayerNorm: _layer_norm,
    norm.GroupNorm: _group_norm,
    norm.LRN: _lrn,
    elementwise.Affine: _affine,
    elementwise.Add: _binary("ADD"),
    elementwise.Sub: _binary("SUB"),
    elementwise.Mul: _binary("MUL"),
    activation.PRelu: _prelu,
    activation.Softmax: _softmax,
    activation.Glu: _glu,
    activation.Identity: _same,
    activation.Dropout: _same,
    activation.Relu: _activation,
    activation.LeakyRelu: _activation,
    activation.Elu: _activation,
    activation.Selu: _activation,
    activation.SRelu: _activation,
    activation.Relu6: _activation,
    activation.Sigmoid: _activation,
    activation.Tanh: _activation,
    activation.Softplus: _activation,
    activation.Gelu: _activation,
    activation.Silu: _activation,
    activation.HardSigmoid: _activation,
    activation.HardSwish: _activation,
}
