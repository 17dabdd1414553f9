"""Activations, arithmetic and normalisation."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.backends.torch.text import OWN, Arg, Lowered, Operand, Part, Parts, Rule, X
from cnndsl.backends.torch.windows import known
from cnndsl.ops.activation import (
    Dropout,
    Elu,
    Gelu,
    Glu,
    HardSigmoid,
    HardSwish,
    Identity,
    LeakyRelu,
    PRelu,
    Relu,
    Relu6,
    Selu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    SRelu,
    Tanh,
)
from cnndsl.ops.base import Op
from cnndsl.ops.elementwise import Add, Affine, Mul, Sub
from cnndsl.ops.norm import LRN, BatchNorm, GroupNorm, LayerNorm
from cnndsl.types.tensor import TensorType


def _says(*parts: Part) -> Rule:
    """Return the rule of an op that is always said in the same words."""
    return lambda op, types, result: Lowered(parts)


def _leaky_relu(op: LeakyRelu, types: Sequence[TensorType], result: TensorType) -> Lowered:
    return Lowered(("F.leaky_relu(", X, Arg(op.slope, "slope", ", "), ")"))


def _prelu(op: PRelu, types: Sequence[TensorType], result: TensorType) -> Lowered:
    make = ("nn.PReLU(", Arg(known(types[0].channels), "in_channels"), ")")
    return Lowered((OWN, "(", X, ")"), make)


def _elu(op: Elu, types: Sequence[TensorType], result: TensorType) -> Lowered:
    return Lowered(("F.elu(", X, Arg(op.alpha, "alpha", ", alpha=", 1.0), ")"))


def _srelu(op: SRelu, types: Sequence[TensorType], result: TensorType) -> Lowered:
    return Lowered((X, ".clamp(min=", Arg(op.threshold, "threshold"), ")"))


def _gelu(op: Gelu, types: Sequence[TensorType], result: TensorType) -> Lowered:
    return Lowered(("F.gelu(", X, ', approximate="tanh")' if op.approximate else ")"))


def _hard_sigmoid(op: HardSigmoid, types: Sequence[TensorType], result: TensorType) -> Lowered:
    return Lowered(
        (
            "(",
            *(Arg(op.alpha, "alpha"), " * ", X),
            *(" + ", Arg(op.beta, "beta"), ").clamp(0, 1)"),
        )
    )


def _softmax(op: Softmax, types: Sequence[TensorType], result: TensorType) -> Lowered:
    return Lowered(("F.softmax(", X, Arg(op.axis, "axis", ", dim="), ")"))


def _dropout(op: Dropout, types: Sequence[TensorType], result: TensorType) -> Lowered:
    return Lowered(("F.dropout(", X, Arg(op.rate, "rate", ", "), ", self.training)"))


def _affine(op: Affine, types: Sequence[TensorType], result: TensorType) -> Lowered:
    """x * scale + shift, without the part that does nothing."""
    scaled: Parts = (X,) if op.scale == 1 else (X, " * ", Arg(op.scale, "scale"))
    return Lowered(scaled if op.shift == 0 else (*scaled, " + ", Arg(op.shift, "shift")))


def _batch_norm(op: BatchNorm, types: Sequence[TensorType], result: TensorType) -> Lowered:
    return _norm("BatchNorm", op.epsilon, types)


def _layer_norm(op: LayerNorm, types: Sequence[TensorType], result: TensorType) -> Lowered:
    return _norm("LayerNorm", op.epsilon, types)


def _norm(name: str, epsilon: float, types: Sequence[TensorType]) -> Lowered:
    channels = Arg(known(types[0].channels), "in_channels")
    make = (f"{name}(", channels, Arg(epsilon, "epsilon", ", eps=", 1e-5), ")")
    return Lowered((OWN, "(", X, ")"), make, helpers=(name,))


def _group_norm(op: GroupNorm, types: Sequence[TensorType], result: TensorType) -> Lowered:
    make = (
        "nn.GroupNorm(",
        Arg(op.groups, "groups"),
        Arg(known(types[0].channels), "in_channels", ", "),
        Arg(op.epsilon, "epsilon", ", eps=", 1e-5),
        ")",
    )
    return Lowered((OWN, "(", X, ")"), make)


def _lrn(op: LRN, types: Sequence[TensorType], result: TensorType) -> Lowered:
    """Torch's own sums one channel more before than after where the size is even."""
    native = op.size % 2 == 1 and types[0].rank > 2
    function = "F.local_response_norm(" if native else "local_response_norm("
    numbers: Parts = (
        Arg(op.size, "size", ", "),
        Arg(op.alpha, "alpha", ", alpha="),
        Arg(op.beta, "beta", ", beta="),
        Arg(op.k, "k", ", k="),
    )
    helpers = () if native else ("local_response_norm",)
    return Lowered((function, X, *numbers, ")"), helpers=helpers)


RULES: dict[type[Op], Rule] = {
    Relu: _says("F.relu(", X, ")"),
    Selu: _says("F.selu(", X, ")"),
    Relu6: _says("F.relu6(", X, ")"),
    Sigmoid: _says("torch.sigmoid(", X, ")"),
    Tanh: _says("torch.tanh(", X, ")"),
    Softplus: _says("F.softplus(", X, ")"),
    Silu: _says("F.silu(", X, ")"),
    HardSwish: _says("F.hardswish(", X, ")"),
    Glu: _says("F.glu(", X, ", dim=1)"),
    Identity: _says(X),
    Add: _says(X, " + ", Operand(1)),
    Sub: _says(X, " - ", Operand(1)),
    Mul: _says(X, " * ", Operand(1)),
    LeakyRelu: _leaky_relu,
    PRelu: _prelu,
    Elu: _elu,
    SRelu: _srelu,
    Gelu: _gelu,
    HardSigmoid: _hard_sigmoid,
    Softmax: _softmax,
    Dropout: _dropout,
    Affine: _affine,
    BatchNorm: _batch_norm,
    LayerNorm: _layer_norm,
    GroupNorm: _group_norm,
    LRN: _lrn,
}
