"""Truncated singular value decompositions, with signs that do not depend on the library."""

from __future__ import annotations

import numpy as np

from cnndsl.ops.base import Array


def truncated_svd(matrix: Array, rank: int) -> tuple[Array, Array, Array]:
    """Return (U [m, r], s [r], V^T [r, n]) of a float64 matrix, the largest values first.

    Each left vector's element of largest magnitude is positive.
    """
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    u, s, vt = u[:, :rank], s[:rank], vt[:rank]
    signs = column_signs(u)
    return u * signs, s, vt * signs[:, None]


def column_signs(matrix: Array) -> Array:
    """Return, for each column, the sign (1 or -1) of its element of largest magnitude."""
    if not matrix.size:
        return np.ones(matrix.shape[1])
    largest = matrix[np.abs(matrix).argmax(axis=0), np.arange(matrix.shape[1])]
    return np.where(largest < 0, -1.0, 1.0)


def leading(matrix: Array, rank: int) -> Array:
    """Return the leading left singular vectors [m, r], from the smaller Gram matrix side."""
    return truncated_svd(matrix, rank)[0]
