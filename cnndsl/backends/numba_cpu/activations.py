"""The elementwise functions: their Python lines, and those that are only a clamp."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from cnndsl.ops import activation as ops
from cnndsl.ops.base import Op


@dataclass(frozen=True, slots=True)
class Activation:
    """One function over float32 `v`, with two numbers `a` and `b` that its op sets."""

    kernel: str
    doc: str
    lines: tuple[str, ...]
    uses_exponential: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """An activation with its numbers."""

    activation: Activation
    a: float = 0.0
    b: float = 0.0


CLAMP = Activation(
    "limit", "Limit every value to a..b", ("v = a if v < a else v", "v = b if v > b else v")
)
_LEAKY_RELU = Activation(
    "leaky_relu", "Scale negative values by a", ("v = v if v >= ZERO else a * v",)
)
_ELU = Activation(
    "elu",
    "Compute b * v from 0 on, b * a * (e**v - 1) below",
    ("v = b * v if v >= ZERO else (b * a) * exponential_minus_one(v)",),
    uses_exponential=True,
)
_SIGMOID = Activation(
    "sigmoid",
    "Compute 1 / (1 + e**-v)",
    ("v = ONE / (ONE + exponential(-v))",),
    uses_exponential=True,
)
_SILU = Activation(
    "silu",
    "Compute v / (1 + e**-v)",
    ("v = v / (ONE + exponential(-v))",),
    uses_exponential=True,
)
_TANH = Activation(
    "hyperbolic_tangent",
    "Compute tanh(v)",
    (
        "e = exponential_minus_one(-(v + v) if v > ZERO else v + v)",
        "t = e / (e + TWO)",
        "v = -t if v > ZERO else t",
    ),
    uses_exponential=True,
)
_SOFTPLUS = Activation(
    "softplus",
    "Compute log(1 + e**v)",
    ("v = np.float32(max(v, ZERO) + math.log1p(math.exp(-abs(float(v)))) if v == v else v)",),
)
_GELU = Activation(
    "gelu",
    "Compute v * P(X <= v) for a standard normal X",
    ("v = np.float32(0.5 * v * math.erfc(-v / math.sqrt(2.0)))",),
)
_GELU_TANH = Activation(
    "gelu_tanh",
    "Compute the tanh approximation of gelu",
    (
        "t = math.tanh(math.sqrt(2.0 / math.pi) * (v + 0.044715 * float(v) ** 3))",
        "v = np.float32(0.5 * v * (1.0 + t))",
    ),
)
_HARD_SIGMOID = Activation(
    "hard_sigmoid",
    "Limit a * v + b to 0..1",
    ("v = a * v + b", "v = ZERO if v < ZERO else v", "v = ONE if v > ONE else v"),
)
_HARD_SWISH = Activation(
    "hard_swish",
    "Compute v times v / 6 + 1/2 limited to 0..1",
    (
        "t = v * SIXTH + HALF",
        "t = ZERO if t < ZERO else t",
        "v = v * (ONE if t > ONE else t)",
    ),
)


def clamp_of(op: Op) -> tuple[float, float] | None:
    """Return (low, high) if an activation only limits its operand, else None."""
    match op:
        case ops.Relu():
            return 0.0, inf
        case ops.Relu6():
            return 0.0, 6.0
        case ops.SRelu():
            return op.threshold, inf
    return None


def use_of(op: Op) -> Use | None:
    """Return the kernel of an elementwise activation and its numbers; None if it has none."""
    limits = clamp_of(op)
    if limits:
        return Use(CLAMP, *limits)
    match op:
        case ops.LeakyRelu():
            return Use(_LEAKY_RELU, op.slope)
        case ops.Elu():
            return Use(_ELU, op.alpha, 1.0)
        case ops.Selu():
            return Use(_ELU, op.ALPHA, op.SCALE)
        case ops.Sigmoid():
            return Use(_SIGMOID)
        case ops.Silu():
            return Use(_SILU)
        case ops.Tanh():
            return Use(_TANH)
        case ops.Softplus():
            return Use(_SOFTPLUS)
        case ops.Gelu():
            return Use(_GELU_TANH if op.approximate else _GELU)
        case ops.HardSigmoid():
            return Use(_HARD_SIGMOID, op.alpha, op.beta)
        case ops.HardSwish():
            return Use(_HARD_SWISH)
    return None
