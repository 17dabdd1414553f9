"""Network decoupling: a sum of depthwise separable convolutions (Guo et al. 2018).

For each output channel o, W[o] [S, taps] = sum over i of point[o, i] depth[o, i]^T is an SVD:
1x1 to every (o, i), then a depthwise kernel on each, summed over i. For each input channel c,
W[:, c] [T, taps] likewise: depthwise to every (c, i), then 1x1. Exact with all terms. The sums are
no layers of their own: a grouped convolution does the first one, the 1x1 the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cnndsl.factorize import windows
from cnndsl.factorize.decompose import Kernels, WeightScheme
from cnndsl.factorize.factors import Factor, Factors
from cnndsl.factorize.fit import Fit
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.reduced_rank import part_moment, regressed
from cnndsl.factorize.refusals import not_dense, one_group, wide_kernel
from cnndsl.factorize.scheme import RankLimit, Ranks
from cnndsl.factorize.truncated import truncated_svd
from cnndsl.ops.base import Array


def _refusal(layer: Layer) -> str | None:
    return (
        not_dense(layer)
        or one_group(layer)
        or wide_kernel(layer, "there is no depthwise part in it")
    )


@dataclass(frozen=True)
class DecouplingPointwiseFirst(WeightScheme):
    """1x1 S -> T * terms, then kxk that sums the terms of each output."""

    name: ClassVar[str] = "decouple_pointwise"
    title: ClassVar[str] = "sum of 1x1 then depthwise kxk (network decoupling)"

    def refusal(self, layer: Layer) -> str | None:
        return _refusal(layer)

    def rank_limits(self, layer: Layer) -> tuple[RankLimit, ...]:
        return (RankLimit("terms", min(layer.in_channels, layer.taps), is_width=False),)

    def factors(self, layer: Layer, ranks: Ranks) -> Factors:
        (terms,) = ranks
        out, every = layer.out_channels, windows.all_axes(layer)
        return (
            Factor("pointwise", windows.conv(layer, out * terms)),
            Factor("depthwise", windows.conv(layer, out, every, groups=out, bias=layer.bias)),
        )

    def unfoldings(self, layer: Layer, weight: Array) -> tuple[Array, ...]:
        return (weight.reshape(*weight.shape[:2], -1),)

    def kernels(self, layer: Layer, weight: Array, ranks: Ranks) -> Kernels:
        (by_output,) = self.unfoldings(layer, weight)
        u, s, vt = truncated_svd(by_output, ranks[0])
        root = np.sqrt(s)
        point = np.moveaxis(u * root[:, None, :], 1, 2).reshape(-1, layer.in_channels)
        depth = (vt * root[:, :, None]).reshape(layer.out_channels, -1, *layer.kernel)
        return point.reshape(*point.shape, *(1,) * layer.rank), depth

    def fitted(self, layer: Layer, fit: Fit, ranks: Ranks) -> Kernels:
        # Per output, the directions of single input positions that matter most.
        lower = np.linalg.cholesky(part_moment(fit.moment, layer))
        (by_output,) = self.unfoldings(layer, fit.target.reshape(layer.weight_shape))
        u, _, _ = truncated_svd(lower.T @ by_output, ranks[0])
        directions = np.linalg.solve(lower.T, u)
        point = np.moveaxis(directions, 1, 2).reshape(-1, layer.in_channels, *(1,) * layer.rank)
        kernel = layer.kernel
        return point, regressed(layer, fit, (point,), kernel, groups=layer.out_channels)


@dataclass(frozen=True)
class DecouplingDepthwiseFirst(WeightScheme):
    """Depthwise kxk with several kernels for each channel, then 1x1 S * terms -> T."""

    name: ClassVar[str] = "decouple_depthwise"
    title: ClassVar[str] = "sum of depthwise kxk then 1x1 (network decoupling)"

    def refusal(self, layer: Layer) -> str | None:
        return _refusal(layer)

    def rank_limits(self, layer: Layer) -> tuple[RankLimit, ...]:
        return (RankLimit("terms", min(layer.out_channels, layer.taps), is_width=False),)

    def factors(self, layer: Layer, ranks: Ranks) -> Factors:
        (terms,) = ranks
        every = windows.all_axes(layer)
        return (
            Factor("depthwise", windows.depthwise(layer, every, multiplier=terms)),
            Factor("pointwise", windows.conv(layer, layer.out_channels, bias=layer.bias)),
        )

    def unfoldings(self, layer: Layer, weight: Array) -> tuple[Array, ...]:
        by_input = np.moveaxis(weight, 1, 0)
        return (by_input.reshape(*by_input.shape[:2], -1),)

    def kernels(self, layer: Layer, weight: Array, ranks: Ranks) -> Kernels:
        (by_input,) = self.unfoldings(layer, weight)
        u, s, vt = truncated_svd(by_input, ranks[0])
        root = np.sqrt(s)
        depth = (vt * root[:, :, None]).reshape(-1, 1, *layer.kernel)
        point = np.moveaxis(u * root[:, None, :], 1, 0).reshape(layer.out_channels, -1)
        return depth, point.reshape(*point.shape, *(1,) * layer.rank)

    def fitted(self, layer: Layer, fit: Fit, ranks: Ranks) -> Kernels:
        # Per input channel, the directions of its own patch that matter most.
        channels, taps = layer.in_channels, layer.taps
        blocks = fit.moment.reshape(channels, taps, channels, taps)
        lower = np.linalg.cholesky(np.einsum("cicj->cij", blocks))
        (by_input,) = self.unfoldings(layer, fit.target.reshape(layer.weight_shape))
        _, _, vt = truncated_svd(by_input @ lower, ranks[0])
        rows = np.linalg.solve(np.swapaxes(lower, 1, 2), np.swapaxes(vt, 1, 2))
        depth = np.swapaxes(rows, 1, 2).reshape(-1, 1, *layer.kernel)
        return depth, regressed(layer, fit, (depth,), (1,) * layer.rank)
