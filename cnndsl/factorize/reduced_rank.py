"""Closed forms of low rank in the metric of the inputs.

A kernel K [T, P] loses trace((K - B) M (K - B)^T) against the target B, M the inputs' moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from cnndsl.factorize.fit import Fit
from cnndsl.factorize.kernels import composed
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.truncated import leading_eigenvectors
from cnndsl.ops.base import Array, Extents

_TINY = 1e-13
"""Relative ridge under which features that depend on each other are told apart by nothing."""


def reduced_rank(target: Array, moment: Array, rank: int) -> tuple[Array, Array]:
    """Return (expand [T, r], kernel [r, P]) whose product loses least: reduced-rank regression.

    The product is U U^T target, U the leading eigenvectors of the outputs' moment.
    """
    u = leading_eigenvectors(target @ moment @ target.T, rank)
    return u, u.T @ target


def part_moment(moment: Array, layer: Layer, axes: Sequence[int] = ()) -> Array:
    """Return the moment of what a kernel along some axes reads, [S * taps, S * taps].

    It is the mean over the places such a kernel has in the layer's patch; without axes, that of
    single positions, [S, S].
    """
    order = (0, *(1 + a for a in axes), *(1 + a for a in range(layer.rank) if a not in axes))
    places = np.arange(len(moment)).reshape(layer.in_channels, *layer.kernel).transpose(order)
    size = layer.in_channels * prod(layer.kernel[a] for a in axes)
    ordered = moment[np.ix_(places.ravel(), places.ravel())]
    blocks = ordered.reshape(size, -1, size, len(moment) // size)
    mean: Array = np.einsum("aibi->ab", blocks) / blocks.shape[1]
    return mean


def weighted(rows: Array, moment: Array, rank: int) -> Array:
    """Return [r, n], the directions of n inputs that matter most to functions of them, rows [m, n].

    With moment = L L^T they are the leading right singular vectors of rows @ L, times L^-1.
    """
    lower = np.linalg.cholesky(moment)
    seen = rows @ lower
    directions = leading_eigenvectors(seen.T @ seen, rank)
    return np.linalg.solve(lower.T, directions).T


def regressed(
    layer: Layer, fit: Fit, first: Sequence[Array], kernel: Extents, *, groups: int = 1
) -> Array:
    """Return the best last factor [T, r / groups, kernel...] behind given ones, by regression."""
    rows = features(layer, first, kernel).reshape(groups, -1, fit.moment.shape[0])
    wanted = fit.cross.reshape(groups, -1, fit.moment.shape[0])
    solutions = [
        least_squares(own @ fit.moment @ own.T, own @ cross.T).T
        for own, cross in zip(rows, wanted, strict=True)
    ]
    return np.stack(solutions).reshape(layer.out_channels, -1, *kernel)


def features(layer: Layer, first: Sequence[Array], kernel: Extents) -> Array:
    """Return [r * taps, P]: what the last factor reads, as a linear map of the layer's patch."""
    prefix = composed(first, layer.in_channels)
    rows = np.zeros((len(prefix), *kernel, layer.in_channels, *layer.kernel))
    for at in np.ndindex(*kernel):
        window = tuple(slice(i, i + n) for i, n in zip(at, prefix.shape[2:], strict=True))
        rows[(slice(None), *at, slice(None), *window)] = prefix
    return rows.reshape(len(prefix) * int(np.prod(kernel, dtype=int)), -1)


def least_squares(moment: Array, cross: Array) -> Array:
    """Return inverse(moment) @ cross; where features depend on each other, a solution of many."""
    ridge = _TINY * float(np.trace(moment)) / len(moment)
    if ridge == 0:
        return np.zeros_like(cross)
    return np.linalg.solve(moment + ridge * np.eye(len(moment)), cross)
