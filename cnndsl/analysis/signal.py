"""How large values and gradients are in a network of random weights, layer by layer.

The mean-field theory of random networks (Poole et al. 2016; Schoenholz et al. 2017): what enters a
layer counts as normal, with a mean and a variance that hold for all units of a value alike, and
units as independent. Weights are those that `weights.initialize` draws; a batch norm normalises,
as it does once its statistics are those of its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from cnndsl.ir.graph import Graph, Node
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


@dataclass(frozen=True, slots=True)
class Signal:
    """A value of a random network: mean and variance of its elements, and its `gain`.

    `gain` is the sum of the squares of a unit's derivatives by the input, on average. For a linear
    network it is the variance that white noise of variance one gives.
    """

    mean: float
    variance: float
    gain: float

    @property
    def power(self) -> float:
        """The mean square."""
        return self.variance + self.mean**2

    def scaled(self, factor: float) -> Signal:
        """Return the signal multiplied by a number."""
        return Signal(self.mean * factor, self.variance * factor**2, self.gain * factor**2)


WHITE = Signal(mean=0.0, variance=1.0, gain=1.0)
"""What enters: noise of variance one."""


@dataclass(frozen=True, slots=True)
class Passed:
    """The signal of a layer's result, and how its gain divides among the operands."""

    signal: Signal
    shares: tuple[float, ...]


def passed(
    graph: Graph, node: Node, types: Sequence[TensorType], operands: Sequence[Signal]
) -> Passed:
    """Return the signal of a node's result; `types` are its operands', at definite sizes."""
    match node.op:
        case Add() | Sub():
            a, b = operands
            mean = a.mean - b.mean if isinstance(node.op, Sub) else a.mean + b.mean
            signal = Signal(mean, a.variance + b.variance, a.gain + b.gain)
            return Passed(signal, (a.gain, b.gain))
        case Mul():
            # (ab)' = a'b + ab': either factor's gain counts with the other's power.
            a, b = operands
            shares = a.gain * b.power, b.gain * a.power
            mean = a.mean * b.mean
            return Passed(Signal(mean, a.power * b.power - mean**2, sum(shares)), shares)
        case Concat():
            counts = [int(str(t.channels)) for t in types]
            total = sum(counts)
            mean = sum(n * s.mean for n, s in zip(counts, operands)) / total
            power = sum(n * s.power for n, s in zip(counts, operands)) / total
            parts = tuple(n * s.gain / total for n, s in zip(counts, operands))
            return Passed(Signal(mean, power - mean**2, sum(parts)), parts)
    assert len(operands) == 1, f"no rule for {type(node.op).__name__}"
    signal = _through(graph, node, types[0], operands[0])
    return Passed(signal, (signal.gain,))


def _through(graph: Graph, node: Node, type_: TensorType, x: Signal) -> Signal:
    match node.op:
        case Affine(scale=scale, shift=shift):
            scaled = x.scaled(scale)
            return Signal(scaled.mean + shift, scaled.variance, scaled.gain)
        case BatchNorm() | LayerNorm() | GroupNorm():
            return Signal(0.0, 1.0, x.gain / x.variance if x.variance else 0.0)
        case AveragePool(kernel=kernel):
            return Signal(x.mean, x.variance / prod(kernel), x.gain / prod(kernel))
        case Upsample(mode="bilinear", scale=scale):
            kept = prod(_kept_by_interpolation(s) for s in scale)
            return Signal(x.mean, x.variance * kept, x.gain * kept)
        case Elementwise():
            return _activated(node.op, x)
        case PRelu():
            return _activated(LeakyRelu(slope=0.25), x)
        case Glu():
            gate = _activated(Sigmoid(), x)
            mean = x.mean * gate.mean
            gain = x.gain * gate.power + gate.gain * x.power
            return Signal(mean, x.power * gate.power - mean**2, gain)
    weights = [s for s in node.op.parameters([type_]) if s.role == "weight" and s.fan_in]
    if not weights or not type_.dtype.is_float:
        return x  # it moves or picks elements (max pool); the vectors of an embedding are the input
    (spec,) = weights
    deviation = standard_deviation(graph, node, spec.fan_in, spec.fan_out)
    # A transposed convolution's unit reads one in `stride` of the kernel's positions.
    read = spec.fan_in / (prod(node.op.stride) if isinstance(node.op, ConvTranspose) else 1)
    factor = read * deviation**2
    return Signal(0.0, x.power * factor, x.gain * factor)


def _kept_by_interpolation(scale: int) -> float:
    """Return the mean, over the phases, of the sum of the squares of the two shares."""
    above = [(2 * phase + 1 - scale) % (2 * scale) / (2 * scale) for phase in range(scale)]
    return sum((1 - a) ** 2 + a**2 for a in above) / scale


_POINTS = (np.arange(2000) + 0.5) / 125 - 8
_DENSITY = np.exp(-(_POINTS**2) / 2) / np.exp(-(_POINTS**2) / 2).sum()
"""A standard normal in steps of 1/125, symmetric about zero, where most kinks lie."""


@lru_cache(maxsize=4096)
def _activated(op: Elementwise, x: Signal) -> Signal:
    """Return what a function makes of a normal variable."""
    inside = x.mean + _POINTS * x.variance**0.5
    outside = op.apply(inside)
    mean = float(outside @ _DENSITY)
    power = float(outside**2 @ _DENSITY)
    slope = float(op.derivative(inside) ** 2 @ _DENSITY)
    return Signal(mean, max(power - mean**2, 0.0), x.gain * slope)


def is_known(op: Op, operands: int) -> bool:
    """Tell whether `passed` has a rule for an op."""
    return operands == 1 or isinstance(op, Add | Sub | Mul | Concat)
