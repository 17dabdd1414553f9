"""Activations: functions applied to every element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import erf, inf, sqrt
from typing import ClassVar

import numpy as np

from cnndsl.ops.base import Array, Op, OpError, ParameterSpec, argument
from cnndsl.ops.checks import known_channels, require_float
from cnndsl.ops.coupled import Glu as Glu
from cnndsl.ops.coupled import Softmax as Softmax
from cnndsl.ops.function import Elementwise as Elementwise
from cnndsl.ops.function import sigmoid
from cnndsl.ops.registry import register
from cnndsl.types.extents import Extent
from cnndsl.types.tensor import TensorType


def _program(use: str) -> str:
    return f"network example\ninput x: float32[N, 8, 16, 16]\noutput y = x -> {use}\n"


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Relu(Elementwise):
    """Rectified linear unit: max(x, 0)."""

    keyword: ClassVar[str] = "relu"
    other_operations_rule: ClassVar[str] = "1 comparison per element"
    operations_per_element: ClassVar[int] = 1
    example: ClassVar[str] = _program("conv3x3(8) -> relu")

    def apply(self, x: Array) -> Array:
        return np.maximum(x, 0.0)

    def derivative(self, x: Array) -> Array:
        return np.where(x > 0, 1.0, 0.0)

    def flat_ends(self) -> tuple[float, float]:
        return 0.0, inf


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class LeakyRelu(Elementwise):
    """Leaky rectified linear unit: x where x >= 0, slope * x elsewhere."""

    keyword: ClassVar[str] = "leaky_relu"
    other_operations_rule: ClassVar[str] = "a comparison and a multiplication per element"
    operations_per_element: ClassVar[int] = 2
    example: ClassVar[str] = _program("conv3x3(8) -> leaky_relu(0.1)")

    slope: float = argument("factor of negative values", default=0.01)

    def apply(self, x: Array) -> Array:
        return np.where(x >= 0, x, self.slope * x)

    def derivative(self, x: Array) -> Array:
        return np.where(x >= 0 if self.slope else x > 0, 1.0, self.slope)

    def flat_ends(self) -> tuple[float, float]:
        return 0.0 if self.slope == 0 else -inf, inf


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class PRelu(Op):
    """Parametric rectified linear unit: x where x >= 0, weight * x elsewhere.

    Weight: [channels], one slope per channel, 0.25 at first.
    """

    keyword: ClassVar[str] = "prelu"
    other_operations_rule: ClassVar[str] = "a comparison and a multiplication per element"
    example: ClassVar[str] = _program("conv3x3(8) -> prelu")

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        known_channels(self.keyword, x)
        return x

    def parameters(self, inputs: Sequence[TensorType]) -> tuple[ParameterSpec, ...]:
        return (ParameterSpec("weight", (known_channels(self.keyword, inputs[0]),), fill=0.25),)

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return inputs[0].elements * 2

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        x = inputs[0].astype(np.float64)
        slope = params[0].astype(np.float64).reshape(-1, *(1,) * (x.ndim - 2))
        return np.where(x >= 0, x, slope * x).astype(inputs[0].dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        slope = params[0].astype(np.float64).reshape(-1, *(1,) * (gradient.ndim - 2))
        return (gradient * np.where(inputs[0] >= 0, 1.0, slope),)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Elu(Elementwise):
    """Exponential linear unit: x where x >= 0, alpha * (exp(x) - 1) elsewhere."""

    keyword: ClassVar[str] = "elu"
    other_operations_rule: ClassVar[str] = (
        "4 per element: a comparison, exp, a subtraction, a multiplication"
    )
    operations_per_element: ClassVar[int] = 4
    example: ClassVar[str] = _program("conv3x3(8) -> elu")

    alpha: float = argument("the value approached far below zero, negated", default=1.0)

    def apply(self, x: Array) -> Array:
        return np.where(x >= 0, x, self.alpha * np.expm1(np.minimum(x, 0.0)))

    def derivative(self, x: Array) -> Array:
        below = self.alpha * np.exp(np.minimum(x, 0.0))
        return np.where(x >= 0 if self.alpha else x > 0, 1.0, below)

    def flat_ends(self) -> tuple[float, float]:
        return 0.0 if self.alpha == 0 else -inf, inf


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Selu(Elementwise):
    """Self-normalising unit: scale * elu(x, alpha), with the constants of Klambauer et al. 2017."""

    keyword: ClassVar[str] = "selu"
    other_operations_rule: ClassVar[str] = "5 per element: those of elu and a multiplication"
    operations_per_element: ClassVar[int] = 5
    example: ClassVar[str] = _program("conv3x3(8) -> selu")

    ALPHA: ClassVar[float] = 1.6732632423543772
    SCALE: ClassVar[float] = 1.0507009873554805

    def apply(self, x: Array) -> Array:
        return self.SCALE * np.where(x >= 0, x, self.ALPHA * np.expm1(np.minimum(x, 0.0)))

    def derivative(self, x: Array) -> Array:
        return self.SCALE * np.where(x >= 0, 1.0, self.ALPHA * np.exp(np.minimum(x, 0.0)))


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class SRelu(Elementwise):
    """Shifted rectified linear unit: max(x, threshold)."""

    keyword: ClassVar[str] = "srelu"
    other_operations_rule: ClassVar[str] = "1 comparison per element"
    operations_per_element: ClassVar[int] = 1
    example: ClassVar[str] = _program("conv3x3(8) -> srelu")

    threshold: float = argument("the smallest value that passes", default=-1.0)

    def apply(self, x: Array) -> Array:
        return np.maximum(x, self.threshold)

    def derivative(self, x: Array) -> Array:
        return np.where(x > self.threshold, 1.0, 0.0)

    def flat_ends(self) -> tuple[float, float]:
        return self.threshold, inf


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Relu6(Elementwise):
    """Rectified linear unit that saturates: min(max(x, 0), 6)."""

    keyword: ClassVar[str] = "relu6"
    other_operations_rule: ClassVar[str] = "2 comparisons per element"
    operations_per_element: ClassVar[int] = 2
    example: ClassVar[str] = _program("conv3x3(8) -> relu6")

    def apply(self, x: Array) -> Array:
        return np.minimum(np.maximum(x, 0.0), 6.0)

    def derivative(self, x: Array) -> Array:
        return np.where((x > 0) & (x < 6), 1.0, 0.0)

    def flat_ends(self) -> tuple[float, float]:
        return 0.0, 6.0


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Sigmoid(Elementwise):
    """Logistic function: 1 / (1 + exp(-x))."""

    keyword: ClassVar[str] = "sigmoid"
    other_operations_rule: ClassVar[str] = "3 per element: exp, an addition, a division"
    operations_per_element: ClassVar[int] = 3
    example: ClassVar[str] = _program("conv3x3(8) * (conv3x3(8) -> sigmoid)")

    def apply(self, x: Array) -> Array:
        return sigmoid(x)

    def derivative(self, x: Array) -> Array:
        return sigmoid(x) * sigmoid(-x)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Tanh(Elementwise):
    """Hyperbolic tangent."""

    keyword: ClassVar[str] = "tanh"
    other_operations_rule: ClassVar[str] = "1 elementary function per element"
    operations_per_element: ClassVar[int] = 1
    example: ClassVar[str] = _program("conv3x3(8) -> tanh")

    def apply(self, x: Array) -> Array:
        return np.tanh(x)

    def derivative(self, x: Array) -> Array:
        slope: Array = 1 - np.tanh(x) ** 2
        return slope


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Softplus(Elementwise):
    """Smooth rectifier: ln(1 + exp(x))."""

    keyword: ClassVar[str] = "softplus"
    other_operations_rule: ClassVar[str] = "3 per element: exp, an addition, a logarithm"
    operations_per_element: ClassVar[int] = 3
    example: ClassVar[str] = _program("conv3x3(8) -> softplus")

    def apply(self, x: Array) -> Array:
        return np.logaddexp(0.0, x)

    def derivative(self, x: Array) -> Array:
        return sigmoid(x)


_ERF: Callable[[Array], Array] = np.vectorize(erf, otypes=[np.float64])


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Gelu(Elementwise):
    """Gaussian error linear unit: x * Phi(x), Phi the standard normal distribution.

    `approximate` uses x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))) instead.
    """

    keyword: ClassVar[str] = "gelu"
    other_operations_rule: ClassVar[str] = (
        "5 per element: erf, an addition, a division, 2 multiplications; approximate 9: tanh, "
        "2 additions, 6 multiplications"
    )
    operations_per_element: ClassVar[int] = 5
    example: ClassVar[str] = _program("conv3x3(8) -> gelu")

    approximate: bool = argument("use the tanh approximation", default=False)

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return inputs[0].elements * (9 if self.approximate else self.operations_per_element)

    def apply(self, x: Array) -> Array:
        return x * self._phi(x)

    def derivative(self, x: Array) -> Array:
        if self.approximate:
            growth = sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
            density: Array = 2 * growth * self._phi(x) * self._phi(-x)
        else:
            density = np.exp(-(x**2) / 2) / sqrt(2 * np.pi)
        result: Array = self._phi(x) + x * density
        return result

    def _phi(self, x: Array) -> Array:
        if self.approximate:
            return sigmoid(sqrt(8 / np.pi) * (x + 0.044715 * x**3))
        return np.asarray(_ERF(x / sqrt(2)) / 2 + 0.5)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Silu(Elementwise):
    """Sigmoid linear unit (swish): x * sigmoid(x)."""

    keyword: ClassVar[str] = "silu"
    other_operations_rule: ClassVar[str] = "4 per element: those of sigmoid and a multiplication"
    operations_per_element: ClassVar[int] = 4
    example: ClassVar[str] = _program("conv3x3(8) -> silu")

    def apply(self, x: Array) -> Array:
        return x * sigmoid(x)

    def derivative(self, x: Array) -> Array:
        result: Array = sigmoid(x) * (1 + x * sigmoid(-x))
        return result


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class HardSigmoid(Elementwise):
    """Piecewise linear sigmoid: min(max(alpha * x + beta, 0), 1)."""

    keyword: ClassVar[str] = "hard_sigmoid"
    other_operations_rule: ClassVar[str] = (
        "4 per element: a multiplication, an addition, 2 comparisons"
    )
    operations_per_element: ClassVar[int] = 4
    example: ClassVar[str] = _program("conv3x3(8) -> hard_sigmoid")

    alpha: float = argument("slope", default=1 / 6)
    beta: float = argument("value at zero", default=0.5)

    def apply(self, x: Array) -> Array:
        return np.minimum(np.maximum(self.alpha * x + self.beta, 0.0), 1.0)

    def derivative(self, x: Array) -> Array:
        inside = self.alpha * x + self.beta
        return np.where((inside > 0) & (inside < 1), self.alpha, 0.0)

    def flat_ends(self) -> tuple[float, float]:
        if self.alpha == 0:
            return inf, inf
        low, high = sorted((-self.beta / self.alpha, (1 - self.beta) / self.alpha))
        return low, high


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class HardSwish(Elementwise):
    """Piecewise swish: x * min(max(x / 6 + 1/2, 0), 1)."""

    keyword: ClassVar[str] = "hard_swish"
    other_operations_rule: ClassVar[str] = (
        "5 per element: a division, an addition, 2 comparisons, a multiplication"
    )
    operations_per_element: ClassVar[int] = 5
    example: ClassVar[str] = _program("conv3x3(8) -> hard_swish")

    def apply(self, x: Array) -> Array:
        return x * np.minimum(np.maximum(x / 6 + 0.5, 0.0), 1.0)

    def derivative(self, x: Array) -> Array:
        return np.where(x <= -3, 0.0, np.where(x < 3, x / 3 + 0.5, 1.0))

    def flat_ends(self) -> tuple[float, float]:
        return -3.0, inf


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Dropout(Elementwise):
    """Drop elements at random in training; at inference, which is all that is compiled, nothing."""

    keyword: ClassVar[str] = "dropout"
    other_operations_rule: ClassVar[str] = "none: it does nothing at inference"
    operations_per_element: ClassVar[int] = 0
    example: ClassVar[str] = _program("flatten -> dense(64) -> relu -> dropout(0.5) -> dense(10)")

    rate: float = argument("share of elements dropped in training", default=0.5, minimum=0)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        if not 0 <= self.rate < 1:
            raise OpError(
                "CNN307",
                f"dropout needs a rate of at least 0 and below 1, got {self.rate}",
                help="rate=0.5 drops half of the elements",
                argument="rate",
            )
        return x

    def apply(self, x: Array) -> Array:
        return x

    def derivative(self, x: Array) -> Array:
        return np.ones_like(x)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Identity(Elementwise):
    """The operand itself: a branch that passes its input on."""

    keyword: ClassVar[str] = "identity"
    other_operations_rule: ClassVar[str] = "none: it passes its operand on"
    operations_per_element: ClassVar[int] = 0
    example: ClassVar[str] = _program("[identity, conv3x3(8) -> relu] -> conv1x1(8)")

    def apply(self, x: Array) -> Array:
        return x

    def derivative(self, x: Array) -> Array:
        return np.ones_like(x)
