"""A large kernel as several of 3 (5x5 as 3x3, 3x3): fewer taps, or a wider way between them.

K = a_n * ... * a_1, convolved with each other. Channel c of the input, shifted by 0 or 2 by every
factor before the last, reaches the last one at all even offsets, from which its kernels tile the
layer's: so (j + 1)^axes times as many channels as the layer has (in or out, the fewer) after the
j-th factor are exact. Padding is done once, by the first factor; the others are valid. Padding
each would be wrong at the borders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar

import numpy as np

from cnndsl.factorize.decompose import Kernels, WeightScheme
from cnndsl.factorize.factors import Factor, Factors
from cnndsl.factorize.fit import Fit
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.refine import refined
from cnndsl.factorize.refusals import not_dense, one_group
from cnndsl.factorize.scheme import RankLimit, Ranks
from cnndsl.factorize.stacking import STACKED_SIDE, stack, stack_refusal, wide_axes
from cnndsl.factorize.truncated import leading
from cnndsl.ops.base import Array

_SWEEPS = 12
_QUICK = 2
"""Sweeps for errors to choose by: the first ones gain the most."""


@dataclass(frozen=True)
class Stacked(WeightScheme):
    """kxk as (k - 1) / 2 convolutions of 3x3, with widths to choose between them."""

    name: ClassVar[str] = "stacked"
    title: ClassVar[str] = "5x5 as 3x3, 3x3 with hidden channels; 7x7 as three (padded once)"

    sweeps: int = _SWEEPS

    def quick(self) -> WeightScheme:
        return replace(self, sweeps=_QUICK)

    def refusal(self, layer: Layer) -> str | None:
        return not_dense(layer) or one_group(layer) or stack_refusal(layer)

    def rank_limits(self, layer: Layer) -> tuple[RankLimit, ...]:
        count, axes = _count(layer), len(wide_axes(layer))
        widths = [layer.in_channels * (j + 1) ** axes for j in range(1, count)]
        if _from_outputs(layer):
            widths = [layer.out_channels * (count - j + 1) ** axes for j in range(1, count)]
        if count == 2:
            return (RankLimit("hidden", widths[0]),)
        return tuple(RankLimit(f"hidden_{j}", w) for j, w in enumerate(widths, 1))

    def factors(self, layer: Layer, ranks: Ranks) -> Factors:
        ops = stack(layer, (*ranks, layer.out_channels), bias=layer.bias)
        return tuple(Factor(f"stacked_{i}", op) for i, op in enumerate(ops, 1))

    def kernels(self, layer: Layer, weight: Array, ranks: Ranks) -> Kernels:
        found = _start(layer, weight, ranks)
        if ranks == tuple(limit.maximum for limit in self.rank_limits(layer)):
            return found
        return refined(found, weight, sweeps=self.sweeps)

    def fitted(self, layer: Layer, fit: Fit, ranks: Ranks) -> Kernels:
        target = fit.target.reshape(layer.weight_shape)
        return refined(_start(layer, target, ranks), target, fit.moment, sweeps=self.sweeps)


def _count(layer: Layer) -> int:
    return (max(layer.kernel) - 1) // 2


def _from_outputs(layer: Layer) -> bool:
    """Whether the layer's outputs, not its inputs, are carried through the chain."""
    return layer.out_channels < layer.in_channels


def _start(layer: Layer, weight: Array, ranks: Ranks) -> Kernels:
    """Return the tiling for as many channels as the widths carry, and noise in what they leave."""
    if _from_outputs(layer):
        mirrored = _tiled(layer, np.swapaxes(weight, 0, 1), ranks[::-1])
        return tuple(np.swapaxes(k, 0, 1) for k in reversed(mirrored))
    return _tiled(layer, weight, ranks)


def _tiled(layer: Layer, weight: Array, widths: Ranks) -> Kernels:
    """Return the chain for the input directions of [T, S, taps...] that matter most."""
    axes = wide_axes(layer)
    shape = tuple(STACKED_SIDE if a in axes else 1 for a in range(layer.rank))
    count = len(widths) + 1
    offsets = [_offsets(layer, axes, j) for j in range(count)]
    channels = weight.shape[1]
    carried = min(w // len(o) for w, o in zip(widths, offsets[1:], strict=True))
    carried = min(carried, channels)
    unfolded = np.moveaxis(weight, 1, 0).reshape(channels, -1)
    directions = leading(unfolded, carried).T if carried < channels else np.eye(channels)
    kept = np.einsum("ts...,rs->tr...", weight, directions)
    noise = np.random.default_rng(0)
    scale = 1e-2 * float(np.abs(weight).max())
    found: list[Array] = []
    for j in range(1, count):
        entering = channels if j == 1 else widths[j - 2]
        kernel = scale * noise.standard_normal((widths[j - 1], entering, *shape))
        kernel[: carried * len(offsets[j])] = 0
        for i, offset in enumerate(offsets[j]):
            source = tuple(min(p, 2 * (j - 1)) for p in offset)
            at = tuple(p - q for p, q in zip(offset, source, strict=True))
            entered, identity = slice(None), directions
            if j > 1:
                start = offsets[j - 1].index(source) * carried
                entered, identity = slice(start, start + carried), np.eye(carried)
            place: tuple[slice | int, ...] = (_block(i, carried), entered, *at)
            kernel[place] = identity
        found.append(kernel)
    last = np.zeros((len(weight), widths[-1], *shape))
    taken = np.zeros(layer.kernel, bool)
    for i, offset in enumerate(offsets[-1]):
        window = tuple(slice(p, p + n) for p, n in zip(offset, shape, strict=True))
        part = np.where(taken[window], 0.0, kept[(slice(None), slice(None), *window)])
        last[:, _block(i, carried)] = part
        taken[window] = True
    return (*found, last)


def _block(place: int, size: int) -> slice:
    return slice(place * size, (place + 1) * size)


def _offsets(layer: Layer, axes: Sequence[int], count: int) -> list[tuple[int, ...]]:
    """Return the shifts that so many factors give: even numbers along the wide axes."""
    steps = [range(0, 2 * count + 1, 2) if a in axes else range(1) for a in range(layer.rank)]
    return list(product(*steps))
