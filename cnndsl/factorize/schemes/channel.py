"""Low rank across channels: a kernel with fewer outputs then 1x1, or 1x1 then fewer inputs.

Denil et al. 2013; Zhang et al. 2016. A kernel W [T, S, taps] is, unfolded along its outputs, a
matrix [T, S * taps] = expand @ kernel; along its inputs [S, T * taps] = reduce^T @ kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cnndsl.factorize import windows
from cnndsl.factorize.decompose import Kernels, WeightScheme
from cnndsl.factorize.expanding import Expanding, expanded
from cnndsl.factorize.factors import Factor, Factors
from cnndsl.factorize.fit import Fit
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.reduced_rank import part_moment, regressed, weighted
from cnndsl.factorize.refusals import not_dense, one_group, wide_kernel
from cnndsl.factorize.scheme import RankLimit, Ranks
from cnndsl.factorize.truncated import truncated_svd
from cnndsl.ops.base import Array


def _refusal(layer: Layer) -> str | None:
    return not_dense(layer) or one_group(layer)


@dataclass(frozen=True)
class ChannelOutput(Expanding):
    """kxk S -> r, then 1x1 r -> T."""

    name: ClassVar[str] = "channel_output"
    title: ClassVar[str] = "kxk to r channels, then 1x1 (low rank across output channels)"

    def refusal(self, layer: Layer) -> str | None:
        return _refusal(layer)

    def rank_limits(self, layer: Layer) -> tuple[RankLimit, ...]:
        return (RankLimit("rank", min(layer.out_channels, layer.patch)),)

    def factors(self, layer: Layer, ranks: Ranks) -> Factors:
        (rank,) = ranks
        return (
            Factor("kernel", windows.conv(layer, rank, windows.all_axes(layer))),
            Factor("expand", windows.conv(layer, layer.out_channels, bias=layer.bias)),
        )

    def unfoldings(self, layer: Layer, weight: Array) -> tuple[Array, ...]:
        return (weight.reshape(layer.out_channels, -1),)

    def kernels(self, layer: Layer, weight: Array, ranks: Ranks) -> Kernels:
        (unfolded,) = self.unfoldings(layer, weight)
        u, s, vt = truncated_svd(unfolded, ranks[0])
        return expanded((), u * s, vt.reshape(-1, *layer.weight_shape[1:]))

    def before_expansion(self, layer: Layer, fit: Fit, ranks: Ranks) -> tuple[Kernels, Array]:
        return (), fit.target.reshape(layer.weight_shape)


@dataclass(frozen=True)
class ChannelInput(WeightScheme):
    """1x1 S -> r, then kxk r -> T."""

    name: ClassVar[str] = "channel_input"
    title: ClassVar[str] = "1x1 to r channels, then kxk (low rank across input channels)"

    def refusal(self, layer: Layer) -> str | None:
        return _refusal(layer) or wide_kernel(layer, "channel_output is the same for 1x1 kernels")

    def rank_limits(self, layer: Layer) -> tuple[RankLimit, ...]:
        return (RankLimit("rank", min(layer.in_channels, layer.out_channels * layer.taps)),)

    def factors(self, layer: Layer, ranks: Ranks) -> Factors:
        (rank,) = ranks
        every = windows.all_axes(layer)
        return (
            Factor("reduce", windows.conv(layer, rank)),
            Factor("kernel", windows.conv(layer, layer.out_channels, every, bias=layer.bias)),
        )

    def unfoldings(self, layer: Layer, weight: Array) -> tuple[Array, ...]:
        return (np.moveaxis(weight, 1, 0).reshape(layer.in_channels, -1),)

    def kernels(self, layer: Layer, weight: Array, ranks: Ranks) -> Kernels:
        (unfolded,) = self.unfoldings(layer, weight)
        reduce = truncated_svd(unfolded, ranks[0])[0].T
        kernel = np.moveaxis(np.tensordot(reduce, weight, (1, 1)), 0, 1)
        return reduce.reshape(*reduce.shape, *(1,) * layer.rank), kernel

    def fitted(self, layer: Layer, fit: Fit, ranks: Ranks) -> Kernels:
        by_input, *_ = self.unfoldings(layer, fit.target.reshape(layer.weight_shape))
        reduce = weighted(by_input.T, part_moment(fit.moment, layer), ranks[0])
        first = reduce.reshape(*reduce.shape, *(1,) * layer.rank)
        return first, regressed(layer, fit, (first,), layer.kernel)
