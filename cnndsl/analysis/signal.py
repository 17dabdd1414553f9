"""How large values and gradients are in a network of random weights, layer by layer.

The mean-field theory of random networks (Poole et al. 2016; for batch norms Yang et al., "A Mean
Field Theory of Batch Normalization", 2019): what enters a layer counts as normal, with moments that
hold for all units of a value alike, and units as independent but for what all positions of a
channel have in common. That part a batch norm takes away, and magnifies the rest. Weights are those
that `weights.initialize` draws; a batch norm's statistics are those of its input, as in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod, sqrt

import numpy as np

from cnndsl.ir.graph import Node
from cnndsl.ops.activation import Elementwise, Glu, LeakyRelu, PRelu, Sigmoid
from cnndsl.ops.base import Op
from cnndsl.ops.elementwise import Add, Affine, Mul, Sub
from cnndsl.ops.norm import BatchNorm, GroupNorm, LayerNorm
from cnndsl.ops.pool import AveragePool
from cnndsl.ops.resample import Upsample
from cnndsl.ops.shape import Concat
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types.tensor import TensorType
from cnndsl.weights.initialize import standard_deviation

_LARGEST_POWER = 1e76
"""The square of about the largest float32."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A value of a random network, averaged over weights and inputs.

    `mean` of its elements; `power`, their mean square; `common`, the mean product of a channel's
    elements at two places far apart; `gain`, the sum of the squares of a unit's derivatives by the
    input. For a linear network of white noise the gain is the power.
    """

    mean: float
    common: float
    power: float
    gain: float

    @property
    def bounded(self) -> bool:
        """Whether float32 has room for such values."""
        return self.power < _LARGEST_POWER

    @property
    def variance(self) -> float:
        """Variance of a channel over positions and inputs: what a batch norm divides by."""
        return self.power - self.common

    def thinned(self, share: float) -> Signal:
        """Return averages of elements, in which only a share of the variance and gain is left."""
        power = self.common + self.variance * share
        return Signal(self.mean, self.common, power, self.gain * share)


WHITE = Signal(mean=0.0, common=0.0, power=1.0, gain=1.0)
"""What enters: noise of variance one."""


@dataclass(frozen=True, slots=True)
class Passed:
    """The signal of a layer's result, and how its gain divides among the operands."""

    signal: Signal
    shares: tuple[float, ...]


def passed(
    node: Node,
    after: frozenset[type[Op]],
    types: Sequence[TensorType],
    operands: Sequence[Signal],
) -> Passed:
    """Return the signal of a node's result.

    `after` are the ops that follow it (`weights.initialize.ops_after`); `types` those of its
    operands, at definite sizes.
    """
    match node.op:
        case Add() | Sub():
            a, b = operands
            sign = -1 if isinstance(node.op, Sub) else 1
            cross = 2 * sign * a.mean * b.mean
            mean, common = a.mean + sign * b.mean, a.common + b.common + cross
            signal = Signal(mean, common, a.power + b.power + cross, a.gain + b.gain)
            return Passed(signal, (a.gain, b.gain))
        case Mul():
            a, b = operands
            signal, shares = _product(a, b)
            return Passed(signal, shares)
        case Concat():
            counts = [int(str(t.channels)) for t in types]
            parts = [n / sum(counts) for n in counts]
            mixed = [
                sum(w * getattr(s, name) for w, s in zip(parts, operands))
                for name in ("mean", "common", "power", "gain")
            ]
            return Passed(Signal(*mixed), tuple(w * s.gain for w, s in zip(parts, operands)))
    assert len(operands) == 1, f"no rule for {type(node.op).__name__}"
    signal = _through(node, after, types[0], operands[0])
    return Passed(signal, (signal.gain,))


def _product(a: Signal, b: Signal) -> tuple[Signal, tuple[float, float]]:
    """Return the product of two and its gain in parts: (ab)' = a'b + ab'."""
    shares = a.gain * b.power, b.gain * a.power
    return Signal(a.mean * b.mean, a.common * b.common, a.power * b.power, sum(shares)), shares


def _through(node: Node, after: frozenset[type[Op]], type_: TensorType, x: Signal) -> Signal:
    match node.op:
        case Affine(scale=scale, shift=shift):
            more = 2 * scale * shift * x.mean + shift**2
            return Signal(
                x.mean * scale + shift,
                x.common * scale**2 + more,
                x.power * scale**2 + more,
                x.gain * scale**2,
            )
        case BatchNorm() | GroupNorm():
            return Signal(0.0, 0.0, 1.0, x.gain / (x.variance + node.op.epsilon))
        case LayerNorm():
            variance = x.power - x.mean**2 + node.op.epsilon
            return Signal(0.0, (x.common - x.mean**2) / variance, 1.0, x.gain / variance)
        case AveragePool(kernel=kernel):
            return x.thinned(1 / prod(kernel))
        case Upsample(mode="bilinear", scale=factors):
            return x.thinned(prod(_kept_by_interpolation(s) for s in factors))
        case Elementwise():
            return _activated(node.op, x)
        case PRelu():
            return _activated(LeakyRelu(slope=0.25), x)
        case Glu():
            return _product(x, _activated(Sigmoid(), x))[0]
    weights = [s for s in node.op.parameters([type_]) if s.role == "weight" and s.fan_in]
    if not weights or not type_.dtype.is_float:
        return x  # it moves or picks elements (max pool); the vectors of an embedding are the input
    (spec,) = weights
    deviation = standard_deviation(after, spec.fan_in, spec.fan_out)
    # A transposed convolution's unit reads one in `stride` of the kernel's positions.
    read = spec.fan_in / (prod(node.op.stride) if isinstance(node.op, ConvTranspose) else 1)
    factor = read * deviation**2
    return Signal(0.0, x.common * factor, x.power * factor, x.gain * factor)


def _kept_by_interpolation(scale: int) -> float:
    """Return the mean, over the phases, of the sum of the squares of the two shares."""
    above = [(2 * phase + 1 - scale) % (2 * scale) / (2 * scale) for phase in range(scale)]
    return sum((1 - a) ** 2 + a**2 for a in above) / scale


_POINTS = (np.arange(1000) + 0.5) / 62.5 - 8
_DENSITY = np.exp(-(_POINTS**2) / 2) / np.exp(-(_POINTS**2) / 2).sum()
"""A standard normal in small steps, symmetric about zero, where most kinks lie."""

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
"""A standard normal by Gauss's quadrature, for what is smooth."""


@lru_cache(maxsize=4096)
def _activated(op: Elementwise, x: Signal) -> Signal:
    """Return what a function makes of a normal variable, part of which a channel has in common."""
    inside = x.mean + _POINTS * sqrt(max(x.power - x.mean**2, 0.0))
    outside = op.apply(inside)
    power = float(outside**2 @ _DENSITY)
    slope = float(op.derivative(inside) ** 2 @ _DENSITY)
    centres = x.mean + _NODES * sqrt(max(x.common - x.mean**2, 0.0))
    own = _POINTS * sqrt(max(x.variance, 0.0))
    means = op.apply(centres[:, None] + own) @ _DENSITY
    share = _WEIGHTS / _WEIGHTS.sum()
    return Signal(float(means @ share), float(means**2 @ share), power, x.gain * slope)


def is_known(op: Op, operands: int) -> bool:
    """Tell whether `passed` has a rule for an op."""
    return operands == 1 or isinstance(op, Add | Sub | Mul | Concat)
