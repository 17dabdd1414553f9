"""Activations: functions applied to every element, softmax, and the gated linear unit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import erf, sqrt
from typing import ClassVar

import numpy as np

from cnndsl.ops.base import Array, Op, OpError, ParameterSpec, PerAxis, Reach, argument
from cnndsl.ops.checks import known_channels, require_axis, require_float
from cnndsl.ops.reach import Everything, Window
from cnndsl.ops.registry import register
from cnndsl.types.tensor import TensorType


def _program(use: str) -> str:
    return f"network example\ninput x: float32[N, 8, 16, 16]\noutput y = x -> {use}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Elementwise(Op):
    """An op that maps every element by itself: the result has the operand's type."""

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        return x

    @abstractmethod
    def apply(self, x: Array) -> Array:
        """Return the function's values for float64 elements."""

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        return self.apply(inputs[0].astype(np.float64)).astype(inputs[0].dtype)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Relu(Elementwise):
    """Rectified linear unit: max(x, 0)."""

    keyword: ClassVar[str] = "relu"
    example: ClassVar[str] = _program("conv3x3(8) -> relu")

    def apply(self, x: Array) -> Array:
        return np.maximum(x, 0.0)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class LeakyRelu(Elementwise):
    """Leaky rectified linear unit: x where x >= 0, slope * x elsewhere."""

    keyword: ClassVar[str] = "leaky_relu"
    example: ClassVar[str] = _program("conv3x3(8) -> leaky_relu(0.1)")

    slope: float = argument("factor of negative values", default=0.01)

    def apply(self, x: Array) -> Array:
        return np.where(x >= 0, x, self.slope * x)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class PRelu(Op):
    """Parametric rectified linear unit: x where x >= 0, weight * x elsewhere.

    Weight: [channels], one slope per channel, 0.25 at first.
    """

    keyword: ClassVar[str] = "prelu"
    example: ClassVar[str] = _program("conv3x3(8) -> prelu")

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        known_channels(self.keyword, x)
        return x

    def parameters(self, inputs: Sequence[TensorType]) -> tuple[ParameterSpec, ...]:
        return (ParameterSpec("weight", (known_channels(self.keyword, inputs[0]),), fill=0.25),)

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        x = inputs[0].astype(np.float64)
        slope = params[0].astype(np.float64).reshape(-1, *(1,) * (x.ndim - 2))
        return np.where(x >= 0, x, slope * x).astype(inputs[0].dtype)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Elu(Elementwise):
    """Exponential linear unit: x where x >= 0, alpha * (exp(x) - 1) elsewhere."""

    keyword: ClassVar[str] = "elu"
    example: ClassVar[str] = _program("conv3x3(8) -> elu")

    alpha: float = argument("the value approached far below zero, negated", default=1.0)

    def apply(self, x: Array) -> Array:
        return np.where(x >= 0, x, self.alpha * np.expm1(np.minimum(x, 0.0)))


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Selu(Elementwise):
    """Self-normalising unit: scale * elu(x, alpha), with the constants of Klambauer et al. 2017."""

    keyword: ClassVar[str] = "selu"
    example: ClassVar[str] = _program("conv3x3(8) -> selu")

    ALPHA: ClassVar[float] = 1.6732632423543772
    SCALE: ClassVar[float] = 1.0507009873554805

    def apply(self, x: Array) -> Array:
        return self.SCALE * np.where(x >= 0, x, self.ALPHA * np.expm1(np.minimum(x, 0.0)))


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class SRelu(Elementwise):
    """Shifted rectified linear unit: max(x, threshold)."""

    keyword: ClassVar[str] = "srelu"
    example: ClassVar[str] = _program("conv3x3(8) -> srelu")

    threshold: float = argument("the smallest value that passes", default=-1.0)

    def apply(self, x: Array) -> Array:
        return np.maximum(x, self.threshold)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Relu6(Elementwise):
    """Rectified linear unit that saturates: min(max(x, 0), 6)."""

    keyword: ClassVar[str] = "relu6"
    example: ClassVar[str] = _program("conv3x3(8) -> relu6")

    def apply(self, x: Array) -> Array:
        return np.minimum(np.maximum(x, 0.0), 6.0)


def _sigmoid(x: Array) -> Array:
    # exp of a negative number only, so that nothing overflows.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Sigmoid(Elementwise):
    """Logistic function: 1 / (1 + exp(-x))."""

    keyword: ClassVar[str] = "sigmoid"
    example: ClassVar[str] = _program("conv3x3(8) * (conv3x3(8) -> sigmoid)")

    def apply(self, x: Array) -> Array:
        return _sigmoid(x)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Tanh(Elementwise):
    """Hyperbolic tangent."""

    keyword: ClassVar[str] = "tanh"
    example: ClassVar[str] = _program("conv3x3(8) -> tanh")

    def apply(self, x: Array) -> Array:
        return np.tanh(x)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Softplus(Elementwise):
    """Smooth rectifier: ln(1 + exp(x))."""

    keyword: ClassVar[str] = "softplus"
    example: ClassVar[str] = _program("conv3x3(8) -> softplus")

    def apply(self, x: Array) -> Array:
        return np.logaddexp(0.0, x)


_ERF: Callable[[Array], Array] = np.vectorize(erf, otypes=[np.float64])


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Gelu(Elementwise):
    """Gaussian error linear unit: x * Phi(x), Phi the standard normal distribution.

    `approximate` uses x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))) instead.
    """

    keyword: ClassVar[str] = "gelu"
    example: ClassVar[str] = _program("conv3x3(8) -> gelu")

    approximate: bool = argument("use the tanh approximation", default=False)

    def apply(self, x: Array) -> Array:
        if self.approximate:
            twice_phi: Array = 1 + np.tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3))
        else:
            twice_phi = 1 + _ERF(x / sqrt(2))
        return x / 2 * twice_phi


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Silu(Elementwise):
    """Sigmoid linear unit (swish): x * sigmoid(x)."""

    keyword: ClassVar[str] = "silu"
    example: ClassVar[str] = _program("conv3x3(8) -> silu")

    def apply(self, x: Array) -> Array:
        return x * _sigmoid(x)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class HardSigmoid(Elementwise):
    """Piecewise linear sigmoid: min(max(alpha * x + beta, 0), 1)."""

    keyword: ClassVar[str] = "hard_sigmoid"
    example: ClassVar[str] = _program("conv3x3(8) -> hard_sigmoid")

    alpha: float = argument("slope", default=1 / 6)
    beta: float = argument("value at zero", default=0.5)

    def apply(self, x: Array) -> Array:
        return np.minimum(np.maximum(self.alpha * x + self.beta, 0.0), 1.0)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class HardSwish(Elementwise):
    """Piecewise swish: x * min(max(x / 6 + 1/2, 0), 1)."""

    keyword: ClassVar[str] = "hard_swish"
    example: ClassVar[str] = _program("conv3x3(8) -> hard_swish")

    def apply(self, x: Array) -> Array:
        return x * np.minimum(np.maximum(x / 6 + 0.5, 0.0), 1.0)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax(Op):
    """Normalised exponentials along an axis: exp(x) / sum(exp(x)); axis 1 is the channels."""

    keyword: ClassVar[str] = "softmax"
    example: ClassVar[str] = _program("global_avgpool -> dense(10) -> softmax")

    axis: int = argument("axis that sums to one", default=1, minimum=1)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        require_axis(self.keyword, x, self.axis)
        return x

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return PerAxis(
            tuple(
                Everything() if i + 2 == self.axis else Window()
                for i in range(len(inputs[0].spatial))
            )
        )

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        x = inputs[0].astype(np.float64)
        # Subtracting the largest element changes nothing but keeps exp from overflowing.
        powers = np.exp(x - x.max(axis=self.axis, keepdims=True))
        result: Array = powers / powers.sum(axis=self.axis, keepdims=True)
        return result.astype(inputs[0].dtype)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Glu(Op):
    """Gated linear unit: splits the channels into halves a and b, returns a * sigmoid(b)."""

    keyword: ClassVar[str] = "glu"
    example: ClassVar[str] = _program("conv3x3(16) -> glu")

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        channels = known_channels(self.keyword, x)
        if channels % 2:
            raise OpError(
                "CNN209",
                f"glu halves the channels, but {x} has {channels}",
                help="give the layer before it twice the channels wanted",
            )
        return x.with_shape(x.batch, channels // 2, *x.spatial)

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        value, gate = np.split(inputs[0].astype(np.float64), 2, axis=1)
        return (value * _sigmoid(gate)).astype(inputs[0].dtype)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Dropout(Elementwise):
    """Drop elements at random in training; at inference, which is all that is compiled, nothing."""

    keyword: ClassVar[str] = "dropout"
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


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Identity(Elementwise):
    """The operand itself: a branch that passes its input on."""

    keyword: ClassVar[str] = "identity"
    example: ClassVar[str] = _program("[identity, conv3x3(8) -> relu] -> conv1x1(8)")

    def apply(self, x: Array) -> Array:
        return x
