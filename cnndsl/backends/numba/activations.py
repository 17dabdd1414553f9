"""The elementwise functions: their Python lines, and those that are only a clamp."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from cnndsl.ops import activation as ops
from cnndsl.ops.base import Op


@dataclass(frozen=True, slots=True)
class Activation:
    """One function over a vector `v`, with two numbers `a` and `b` that its op sets."""

    kernel: str
    doc: str
    lines: tuple[str, ...]

    def uses(self, function: str) -> bool:
        """Say whether the lines call a function of a file of functions."""
        return any(function in line for line in self.lines)


@dataclass(frozen=True, slots=True)
class Use:
    """An activation with its numbers."""

    activation: Activation
    a: float = 0.0
    b: float = 0.0


CLAMP = Activation("limit", "Limit every value to a..b", ("v = clamp(v, a, b)",))
_LEAKY_RELU = Activation(
    "leaky_relu", "Scale negative values by a", ("v = select(v < ZERO, a * v, v)",)
)
_ELU = Activation(
    "elu",
    "Compute b * v from 0 on, b * a * (e**v - 1) below",
    ("v = b * select(v < ZERO, a * exponential_minus_one(v), v)",),
)
_SIGMOID = Activation("sigmoid", "Compute 1 / (1 + e**-v)", ("v = ONE / (ONE + exponential(-v))",))
_SILU = Activation("silu", "Compute v / (1 + e**-v)", ("v = v / (ONE + exponential(-v))",))
_TANH = Activation(
    "hyperbolic_tangent",
    "Compute tanh(v)",
    (
        "e = exponential_minus_one(select(v > ZERO, -(v + v), v + v))",
        "t = e / (e + TWO)",
        "v = select(v > ZERO, -t, t)",
    ),
)
_SOFTPLUS = Activation(
    "softplus",
    "Compute log(1 + e**v)",
    (
        "e = exponential(select(v > ZERO, -v, v))",
        "v = largest(v, splat(ZERO)) + logarithm_plus_one(e)",
    ),
)
_GELU = Activation(
    "gelu",
    "Compute v * P(X <= v) for a standard normal X",
    (
        "beyond = HALF * erfc(select(v < ZERO, -v, v) * SQRT_HALF)",
        "v = v * select(v < ZERO, beyond, ONE - beyond)",
    ),
)
_GELU_TANH = Activation(
    "gelu_tanh",
    "Compute the tanh approximation of gelu",
    (
        "# (1 + tanh z) / 2 = 1 / (1 + e**-2z), which loses no digits far below 0",
        "c = np.float32(-2 * math.sqrt(2 / math.pi))",
        "v = v / (ONE + exponential(c * v * fma(v * v, np.float32(0.044715), ONE)))",
    ),
)
_HARD_SIGMOID = Activation(
    "hard_sigmoid", "Limit a * v + b to 0..1", ("v = clamp(fma(v, a, b), ZERO, ONE)",)
)
_HARD_SWISH = Activation(
    "hard_swish",
    "Compute v times v / 6 + 1/2 limited to 0..1",
    ("v = v * clamp(fma(v, SIXTH, HALF), ZERO, ONE)",),
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
