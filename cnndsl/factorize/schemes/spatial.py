"""Spatial SVD: a kernel along one axis, then one along the others (Jaderberg et al. 2014).

W [T, S, kh, kw] as a matrix [S * kh, T * kw] is vertical^T @ horizontal. The first factor has no
bias, so zero padding means the same for it as for the layer: at full rank the chain is exact,
borders and strides included. Of a grouped layer each group is a matrix of its own, of one rank; a
depthwise kernel of 7x7 becomes 7x1, 1x7.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from cnndsl.factorize import windows
from cnndsl.factorize.decompose import Kernels, WeightScheme
from cnndsl.factorize.factors import Factor, Factors
from cnndsl.factorize.fit import Fit
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.reduced_rank import part_moment, regressed, weighted
from cnndsl.factorize.refusals import not_dense
from cnndsl.factorize.scheme import RankLimit, Ranks
from cnndsl.factorize.truncated import truncated_svd
from cnndsl.ops.base import Array


@dataclass(frozen=True)
class _Spatial(WeightScheme):
    """The two orders; `_first` are the axes that the first factor takes."""

    _names: ClassVar[tuple[str, str]]

    @abstractmethod
    def _first(self, layer: Layer) -> tuple[int, ...]: ...

    def _second(self, layer: Layer) -> tuple[int, ...]:
        return tuple(a for a in range(layer.rank) if a not in self._first(layer))

    def refusal(self, layer: Layer) -> str | None:
        return not_dense(layer) or _one_axis(layer)

    def rank_limits(self, layer: Layer) -> tuple[RankLimit, ...]:
        ins, outs = (n // layer.groups for n in (layer.in_channels, layer.out_channels))
        first = ins * prod(layer.kernel[a] for a in self._first(layer))
        second = outs * prod(layer.kernel[a] for a in self._second(layer))
        return (RankLimit("rank", min(first, second)),)

    def factors(self, layer: Layer, ranks: Ranks) -> Factors:
        (rank,) = ranks
        one, two = self._names
        hidden, out = rank * layer.groups, layer.out_channels
        return (
            Factor(one, windows.grouped(layer, hidden, self._first(layer))),
            Factor(two, windows.grouped(layer, out, self._second(layer), hidden, bias=layer.bias)),
        )

    def unfoldings(self, layer: Layer, weight: Array) -> tuple[Array, ...]:
        first, second = self._first(layer), self._second(layer)
        split = weight.reshape(layer.groups, -1, *weight.shape[1:])
        axes = (0, 2, *(3 + a for a in first), 1, *(3 + a for a in second))
        inner = weight.shape[1] * prod(layer.kernel[a] for a in first)
        matrices = split.transpose(axes).reshape(layer.groups, inner, -1)
        return (matrices if layer.groups > 1 else matrices[0],)

    def kernels(self, layer: Layer, weight: Array, ranks: Ranks) -> Kernels:
        first, second = self._first(layer), self._second(layer)
        (unfolded,) = self.unfoldings(layer, weight)
        u, s, vt = truncated_svd(unfolded, ranks[0])
        root, rank = np.sqrt(s)[..., None, :], s.shape[-1]
        one = _along(layer, first, np.swapaxes(u * root, -1, -2), weight.shape[1])
        # [groups, r, T / groups, taps] to [T, r, taps]
        outs = len(weight) // layer.groups
        two = (vt * np.swapaxes(root, -1, -2)).reshape(layer.groups, rank, outs, -1)
        return one, _along(layer, second, np.swapaxes(two, 1, 2), rank)

    def fitted(self, layer: Layer, fit: Fit, ranks: Ranks) -> Kernels:
        first = self.fitted_first(layer, fit, ranks[0])
        taps = (k if a in self._second(layer) else 1 for a, k in enumerate(layer.kernel))
        return first, regressed(layer, fit, (first,), tuple(taps))

    def fitted_first(self, layer: Layer, fit: Fit, rank: int) -> Array:
        """Return the first factor's kernel that keeps most of what its inputs tell the layer."""
        axes = self._first(layer)
        (unfolded,) = self.unfoldings(layer, fit.target.reshape(layer.weight_shape))
        rows = weighted(unfolded.T, part_moment(fit.moment, layer, axes), rank)
        return _along(layer, axes, rows, layer.in_channels)


@dataclass(frozen=True)
class SpatialVertical(_Spatial):
    """kx1 S -> r, then 1xk r -> T; in three dimensions kx1x1, then 1xkxk."""

    name: ClassVar[str] = "spatial_svd"
    title: ClassVar[str] = "kx1 to r channels, then 1xk (spatial SVD)"
    _names: ClassVar[tuple[str, str]] = ("vertical", "horizontal")

    def _first(self, layer: Layer) -> tuple[int, ...]:
        return (0,)


@dataclass(frozen=True)
class SpatialHorizontal(_Spatial):
    """1xk S -> r, then kx1 r -> T; in three dimensions 1xkxk, then kx1x1."""

    name: ClassVar[str] = "spatial_svd_reversed"
    title: ClassVar[str] = "1xk to r channels, then kx1 (spatial SVD, the other order)"
    _names: ClassVar[tuple[str, str]] = ("horizontal", "vertical")

    def _first(self, layer: Layer) -> tuple[int, ...]:
        return tuple(range(1, layer.rank))


def _one_axis(layer: Layer) -> str | None:
    """Refuse kernels that are longer than 1 along one side only."""
    if layer.rank == 1:
        return "it has one spatial axis: there are no two to take apart"
    if layer.kernel[0] == 1 or prod(layer.kernel[1:]) == 1:
        return "its kernel is longer than 1 along one side only: channel_output is the same"
    return None


def _along(layer: Layer, axes: tuple[int, ...], matrix: Array, channels: int) -> Array:
    """Shape [out, channels * taps] as a kernel along some axes, 1 along the others."""
    taps = tuple(k if a in axes else 1 for a, k in enumerate(layer.kernel))
    return matrix.reshape(-1, channels, *taps)
