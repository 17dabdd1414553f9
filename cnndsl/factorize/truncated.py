"""Truncated singular value decompositions, with signs that do not depend on the library."""

from __future__ import annotations

import numpy as np

from cnndsl.ops.base import Array


def truncated_svd(matrix: Array, rank: int) -> tuple[Array, Array, Array]:
    """Return (U [m, r], s [r], V^T [r, n]) of a matrix, the largest values first.

    Each left vector's element of largest magnitude is positive. Works on stacks of matrices, too.
    """
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    u, s, vt = u[..., :rank], s[..., :rank], vt[..., :rank, :]
    signs = column_signs(u)
    return u * signs[..., None, :], s, vt * signs[..., :, None]


def column_signs(matrix: Array) -> Array:
    """Return, for each column, the sign (1 or -1) of its element of largest magnitude."""
    places = np.abs(matrix).argmax(axis=-2)
    largest = np.take_along_axis(matrix, places[..., None, :], axis=-2)[..., 0, :]
    return np.where(largest < 0, -1.0, 1.0)


def leading(matrix: Array, rank: int) -> Array:
    """Return r <= m leading left singular vectors [m, r] of a matrix [m, n], orthonormal.

    From the eigenvectors of its Gram matrix: directions whose singular value is below about 1e-8
    of the largest are not told apart, which changes what they keep by as little.
    """
    return leading_eigenvectors(matrix @ matrix.T, rank)


def leading_eigenvectors(moment: Array, rank: int) -> Array:
    """Return the eigenvectors [m, r] of the largest eigenvalues of a symmetric matrix."""
    _, vectors = np.linalg.eigh((moment + moment.T) / 2)
    chosen = vectors[:, ::-1][:, :rank]
    return chosen * column_signs(chosen)
