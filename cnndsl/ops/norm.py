"""Normalisation: batch, layer and group norm, and local response normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cnndsl.ops.adjoint import through_normalization
from cnndsl.ops.base import Array, Op, ParameterSpec, PerAxis, Reach, argument
from cnndsl.ops.checks import known_channels, require_epsilon, require_float, require_groups
from cnndsl.ops.reach import Everything
from cnndsl.ops.registry import register
from cnndsl.types.extents import Extent, product
from cnndsl.types.tensor import TensorType


def _scale_and_shift(channels: int) -> tuple[ParameterSpec, ParameterSpec]:
    return (
        ParameterSpec("weight", (channels,), fill=1.0),
        ParameterSpec("bias", (channels,), fill=0.0),
    )


def _per_channel(values: Array, rank: int) -> Array:
    """Shape [C] so that it broadcasts over [N, C, spatial...], in float64."""
    return values.astype(np.float64).reshape(-1, *(1,) * (rank - 2))


def _normalized(x: Array, axis: int, epsilon: float) -> tuple[Array, Array]:
    """Return x less its mean over an axis, divided by its deviation, and that deviation."""
    centred = x - x.mean(axis=axis, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=axis, keepdims=True) + epsilon)
    return centred / deviation, deviation


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNorm(Op):
    """Batch norm with fixed statistics: (x - mean) / sqrt(var + epsilon) * weight + bias.

    All four are per channel: weight, bias, running_mean and running_var, [channels] each. The
    running statistics are loaded with the weights but are not parameters that training changes.
    """

    keyword: ClassVar[str] = "bn"
    other_operations_rule: ClassVar[str] = (
        "a multiplication and an addition per element, by numbers known beforehand"
    )
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 3, 16, 16]\n"
        "output y = x -> conv3x3(8) -> bn -> relu\n"
    )

    epsilon: float = argument("added to the variance", default=1e-5)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        known_channels(self.keyword, x)
        require_epsilon(self.keyword, self.epsilon)
        return x

    def parameters(self, inputs: Sequence[TensorType]) -> tuple[ParameterSpec, ...]:
        channels = known_channels(self.keyword, inputs[0])
        return (
            *_scale_and_shift(channels),
            ParameterSpec("running_mean", (channels,), fill=0.0, trainable=False),
            ParameterSpec("running_var", (channels,), fill=1.0, trainable=False),
        )

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return inputs[0].elements * 2

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        weight, bias, mean, variance = (_per_channel(p, x.ndim) for p in params)
        return ((x - mean) / np.sqrt(variance + self.epsilon) * weight + bias).astype(x.dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        weight, _, _, variance = (_per_channel(p, gradient.ndim) for p in params)
        return (gradient * weight / np.sqrt(variance + self.epsilon),)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNorm(Op):
    """Layer norm over the channels, at each position by itself.

    (x - mean) / sqrt(var + epsilon) * weight + bias, mean and (biased) variance taken over the
    channels. Weight and bias: [channels].
    """

    keyword: ClassVar[str] = "layernorm"
    other_operations_rule: ClassVar[str] = (
        "7 per element and 2 per position: mean, centring, variance, division, scale, shift"
    )
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        "output y = x -> dwconv7x7 -> layernorm -> conv1x1(32) -> gelu\n"
    )

    epsilon: float = argument("added to the variance", default=1e-5)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        known_channels(self.keyword, x)
        require_epsilon(self.keyword, self.epsilon)
        return x

    def parameters(self, inputs: Sequence[TensorType]) -> tuple[ParameterSpec, ...]:
        return _scale_and_shift(known_channels(self.keyword, inputs[0]))

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        (x,) = inputs
        return x.elements * 7 + product((x.batch, *x.spatial)) * 2

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        weight, bias = (_per_channel(p, inputs[0].ndim) for p in params)
        normal, _ = _normalized(inputs[0].astype(np.float64), 1, self.epsilon)
        result: Array = normal * weight + bias
        return result.astype(inputs[0].dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        normal, deviation = _normalized(inputs[0].astype(np.float64), 1, self.epsilon)
        weighted = gradient * _per_channel(params[0], gradient.ndim)
        return (through_normalization(normal, deviation, weighted, axis=1),)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupNorm(Op):
    """Group norm: mean and variance over each group of channels and the whole map.

    (x - mean) / sqrt(var + epsilon) * weight + bias, with the biased variance. Weight and bias:
    [channels]. With groups=1 all channels are one group; with groups=channels this is instance
    norm.
    """

    keyword: ClassVar[str] = "groupnorm"
    other_operations_rule: ClassVar[str] = (
        "7 per element and 2 per group: mean, centring, variance, division, scale, shift"
    )
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        "output y = x -> conv3x3(16) -> groupnorm(4) -> relu\n"
    )

    groups: int = argument("number of channel groups", minimum=1)
    epsilon: float = argument("added to the variance", default=1e-5)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        require_groups(self.keyword, self.groups, input=known_channels(self.keyword, x))
        require_epsilon(self.keyword, self.epsilon)
        return x

    def parameters(self, inputs: Sequence[TensorType]) -> tuple[ParameterSpec, ...]:
        return _scale_and_shift(known_channels(self.keyword, inputs[0]))

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return PerAxis((Everything(),) * len(inputs[0].spatial))

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        (x,) = inputs
        return x.elements * 7 + x.batch * (2 * self.groups)

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        x: Array = inputs[0].astype(np.float64)
        weight, bias = (_per_channel(p, x.ndim) for p in params)
        normal, _ = _normalized(self._grouped(x), 2, self.epsilon)
        result: Array = normal.reshape(x.shape) * weight + bias
        return result.astype(inputs[0].dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        x: Array = inputs[0].astype(np.float64)
        normal, deviation = _normalized(self._grouped(x), 2, self.epsilon)
        weighted = self._grouped(gradient * _per_channel(params[0], x.ndim))
        return (through_normalization(normal, deviation, weighted, axis=2).reshape(x.shape),)

    def _grouped(self, x: Array) -> Array:
        return x.reshape(x.shape[0], self.groups, -1)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class LRN(Op):
    """Local response normalisation across channels (AlexNet), by ONNX's formula.

    x / (k + alpha / size * s)^beta, s the sum of squares over the `size` channels around each one:
    floor((size - 1) / 2) before it, ceil((size - 1) / 2) after it, as far as they exist.
    """

    keyword: ClassVar[str] = "lrn"
    other_operations_rule: ClassVar[str] = (
        "size + 4 per element: squares, their sum, factor, constant, power, division"
    )
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 3, 32, 32]\n"
        "output y = x -> conv5x5(16) -> relu -> lrn(5) -> maxpool3x3(stride=2)\n"
    )

    size: int = argument("number of channels summed over", default=5, minimum=1)
    alpha: float = argument("factor of the mean square", default=1e-4)
    beta: float = argument("exponent", default=0.75)
    k: float = argument("constant term (ONNX's bias)", default=1.0)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        return x

    def other_operations(self, inputs: Sequence[TensorType]) -> Extent:
        return inputs[0].elements * (self.size + 4)

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        x = inputs[0].astype(np.float64)
        return (x / self._denominator(x) ** self.beta).astype(inputs[0].dtype)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        x = inputs[0].astype(np.float64)
        denominator = self._denominator(x)
        direct = gradient / denominator**self.beta
        # x_j^2 stands in the denominator of every i whose window holds j: the windows mirrored.
        before, after = self._around
        through = _sums_around(gradient * x / denominator ** (self.beta + 1), after, before)
        return (direct - 2 * self.alpha / self.size * self.beta * x * through,)

    @property
    def _around(self) -> tuple[int, int]:
        """How many channels count before and after each one."""
        before = (self.size - 1) // 2
        return before, self.size - 1 - before

    def _denominator(self, x: Array) -> Array:
        return self.k + self.alpha / self.size * _sums_around(x**2, *self._around)


def _sums_around(x: Array, before: int, after: int) -> Array:
    """Sum, for every channel, the channels around it, as far as they exist."""
    padded = np.pad(x, ((0, 0), (before, after), *((0, 0),) * (x.ndim - 2)))
    sums = np.zeros_like(x)
    for offset in range(before + after + 1):
        sums += padded[:, offset : offset + x.shape[1]]
    return sums
