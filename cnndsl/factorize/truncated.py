"""Truncated singular value decompositions, with signs that do not depend on the library."""

from __future__ import annotations

import numpy as np

from cnndsl.ops.base import Array

_DIRECT_BELOW = 400
"""Shorter side of a matrix up to which LAPACK's decomposition is fast enough."""


def truncated_svd(matrix: Array, rank: int) -> tuple[Array, Array, Array]:
    """Return (U [m, r], s [r], V^T [r, n]) of a matrix, the largest values first.

    Each left vector's element of largest magnitude is positive. Works on stacks of matrices, too.
    """
    if matrix.ndim == 2 and min(matrix.shape) > _DIRECT_BELOW:
        if matrix.shape[0] > matrix.shape[1]:
            v, s, ut = _by_gram(matrix.T, rank)
            u, vt = ut.T, v.T
        else:
            u, s, vt = _by_gram(matrix, rank)
    else:
        u, s, vt = np.linalg.svd(matrix, full_matrices=False)
        u, s, vt = u[..., :rank], s[..., :rank], vt[..., :rank, :]
    signs = column_signs(u)
    return u * signs[..., None, :], s, vt * signs[..., :, None]


def _by_gram(matrix: Array, rank: int) -> tuple[Array, Array, Array]:
    """Return the truncated decomposition of a wide matrix, several times faster than LAPACK.

    The Gram matrix's eigenvectors lose directions below about 1e-8 of the largest value. One step
    of subspace iteration, by factors of the matrix itself and not of its square, brings those
    back: what U U^T M keeps of M is within 1e-9 of the best, relatively. The longer side's vectors
    are orthogonal to each other only as far as their values stand above 1e-8 of the largest.
    """
    u = leading(matrix, rank)
    v, _ = np.linalg.qr(matrix.T @ u)
    u, _ = np.linalg.qr(matrix @ v)
    rows = u.T @ matrix
    rotation = leading(rows, len(rows))
    rows = rotation.T @ rows
    s = np.linalg.norm(rows, axis=1)
    return u @ rotation, s, rows / np.where(s > 0, s, 1.0)[:, None]


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
