"""Closed forms of low rank in the metric of the inputs.

A kernel K [T, P] loses trace((K - B) M (K - B)^T) against the target B, M the inputs' moment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnndsl.factorize.fit import Fit
from cnndsl.factorize.kernels import composed
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.truncated import column_signs
from cnndsl.ops.base import Array, Extents

_TINY = 1e-13
"""Relative ridge under which features that depend on each other are told apart by nothing."""


def reduced_rank(target: Array, moment: Array, rank: int) -> tuple[Array, Array]:
    """Return (expand [T, r], kernel [r, P]) whose product loses least: reduced-rank regression.

    The product is U U^T target, U the leading eigenvectors of the outputs' moment.
    """
    u = _leading_eigenvectors(target @ moment @ target.T, rank)
    return u, u.T @ target


def output_spectrum(target: Array, moment: Array) -> Array:
    """Return the eigenvalues of the outputs' moment, descending: what each rank adds."""
    return np.maximum(np.linalg.eigvalsh(_symmetric(target @ moment @ target.T))[::-1], 0.0)


def channel_moment(moment: Array, layer: Layer) -> Array:
    """Return the moment of single input positions [S, S]: the mean over the taps of a patch."""
    channels, taps = layer.in_channels, layer.taps
    blocks = moment.reshape(channels, taps, channels, taps)
    mean: Array = np.einsum("aibi->ab", blocks) / taps
    return mean


def weighted(target: Array, moment: Array, rank: int) -> Array:
    """Return reduce [r, S], the input directions of most effect for a kernel [T, S, taps...].

    With moment = L L^T they are the leading right singular vectors of (kernel along S) L, times
    L^-1; orthonormal in that metric.
    """
    lower = np.linalg.cholesky(moment)
    rows = np.moveaxis(target, 1, -1).reshape(-1, target.shape[1])
    seen = rows @ lower
    directions = _leading_eigenvectors(seen.T @ seen, rank)
    return np.linalg.solve(lower.T, directions).T


def regressed(layer: Layer, fit: Fit, first: Sequence[Array], kernel: Extents) -> Array:
    """Return the best last factor [T, r, kernel...] behind given first ones, by regression."""
    rows = features(layer, first, kernel)
    solution = _least_squares(rows @ fit.moment @ rows.T, rows @ fit.cross.T)
    return solution.T.reshape(layer.out_channels, -1, *kernel)


def features(layer: Layer, first: Sequence[Array], kernel: Extents) -> Array:
    """Return [r * taps, P]: what the last factor reads, as a linear map of the layer's patch."""
    prefix = composed(first, layer.in_channels)
    rows = np.zeros((len(prefix), *kernel, layer.in_channels, *layer.kernel))
    for at in np.ndindex(*kernel):
        window = tuple(slice(i, i + n) for i, n in zip(at, prefix.shape[2:], strict=True))
        rows[(slice(None), *at, slice(None), *window)] = prefix
    return rows.reshape(len(prefix) * int(np.prod(kernel, dtype=int)), -1)


def _least_squares(moment: Array, cross: Array) -> Array:
    ridge = _TINY * float(np.trace(moment)) / len(moment)
    if ridge == 0:
        return np.zeros_like(cross)
    return np.linalg.solve(moment + ridge * np.eye(len(moment)), cross)


def _leading_eigenvectors(matrix: Array, rank: int) -> Array:
    _, vectors = np.linalg.eigh(_symmetric(matrix))
    leading = vectors[:, ::-1][:, :rank]
    return leading * column_signs(leading)


def _symmetric(matrix: Array) -> Array:
    return (matrix + matrix.T) / 2
