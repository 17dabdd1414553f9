"""Canonical polyadic decompositions: a tensor as a sum of R outer products, kept stable.

Alternating least squares (ALS) from a Tucker-compressed start; terms that grow while they cancel
each other make a sum useless in float32, so the sensitivity, the loss that noise on the factors
causes, is lowered at an unchanged error (error-preserving correction, Phan et al. 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TypeAlias

import numpy as np

from cnndsl.factorize.truncated import leading
from cnndsl.ops.base import Array

Matrices: TypeAlias = tuple[Array, ...]
"""One matrix [extent, R] for each axis of the tensor."""

SLACK = 1e-3
"""How much the error may grow, relatively, in a correction."""


_MOST_SWEEPS = 100
_MACS = 1e11
"""Multiply-accumulates for a decomposition: sweeps over large tensors are fewer."""
_FEWEST_SWEEPS = 5
_SETTLED = 1e-5
"""Relative change of the error in a sweep below which sweeping ends."""
_CORRECTIONS = 3


def exact_rank(shape: Sequence[int]) -> int:
    """Return a rank with which any tensor of a shape is a sum exactly: all axes but the largest."""
    return prod(shape) // max(shape)


def decompose(tensor: Array, rank: int, effort: float = 1.0) -> Matrices:
    """Return matrices whose columns' outer products sum to nearly the tensor (least squares).

    With less `effort` there are fewer sweeps, and no correction.
    """
    if not tensor.any():
        return tuple(np.zeros((n, rank)) for n in tensor.shape)
    if rank >= exact_rank(tensor.shape):
        return _sliced(tensor, rank)
    bases = [leading(unfolded(tensor, a), min(n, rank)) for a, n in enumerate(tensor.shape)]
    core = tensor
    for axis, basis in enumerate(bases):
        core = np.moveaxis(np.tensordot(core, basis, (axis, 0)), -1, axis)
    inner = sweeps(core, _start(core, rank), _affordable(core, rank, effort))
    found = tuple(basis @ m for basis, m in zip(bases, inner, strict=True))
    if effort < 1:
        return found
    for _ in range(_CORRECTIONS):
        found = corrected(tensor, found)
    return sweeps(tensor, found, max(_affordable(tensor, rank, effort) // 4, 2))


def _affordable(tensor: Array, rank: int, effort: float) -> int:
    """Return how many sweeps to make at most."""
    most = effort * min(_MACS / (tensor.ndim * tensor.size * rank), _MOST_SWEEPS)
    return max(int(most), _FEWEST_SWEEPS)


def sweeps(tensor: Array, matrices: Matrices, most: int) -> Matrices:
    """Return the matrices after at most so many sweeps of alternating least squares."""
    squared = float(np.vdot(tensor, tensor))
    found = list(balanced(matrices))
    before = np.inf
    for _ in range(most):
        for axis in range(tensor.ndim):
            gram = _gram([m for a, m in enumerate(found) if a != axis])
            seen = _contracted(tensor, found, axis)
            # A trace of the last solution keeps the normal equations solvable.
            ridge = 1e-10 * float(np.trace(gram)) / len(gram) + np.finfo(float).tiny
            found[axis] = np.linalg.solve(
                gram + ridge * np.eye(len(gram)), (seen + ridge * found[axis]).T
            ).T
        loss = _loss(squared, seen, gram, found[-1])
        found = list(balanced(found))
        error = np.sqrt(max(loss, 0.0) / squared)
        if before - error <= _SETTLED * error:
            break
        before = error
    return tuple(found)


def _contracted(tensor: Array, matrices: Sequence[Array], axis: int) -> Array:
    """Return unfolded(tensor, axis) @ khatri_rao(the other matrices), [extent, R]."""
    others = sorted((a for a in range(tensor.ndim) if a != axis), key=lambda a: -tensor.shape[a])
    left = list(range(tensor.ndim))
    result = np.tensordot(tensor, matrices[others[0]], (others[0], 0))
    left.remove(others[0])
    for a in others[1:]:
        along = np.moveaxis(result, left.index(a), -2)
        result = np.einsum("...nr,nr->...r", along, matrices[a])
        left.remove(a)
    return result


def _loss(squared: float, seen: Array, gram: Array, matrix: Array) -> float:
    """Return ||X - X'||^2 from what normal equations hold."""
    return squared - 2 * float(np.vdot(seen, matrix)) + float(np.vdot(gram, matrix.T @ matrix))


def corrected(tensor: Array, matrices: Matrices) -> Matrices:
    """Return matrices of lower sensitivity, and an error at most 1 + SLACK times as large.

    For one matrix at a time: min over A of sum_r w_r |a_r|^2 with |X - A Z^T|^2 <= bound, where w_r
    is what noise on the other matrices costs for each unit of |a_r|^2. The multiplier is found by
    bisection: more weight on the sum, a larger error.
    """
    squared = float(np.vdot(tensor, tensor))
    found = list(balanced(matrices))
    bound = loss_of(tensor, found) * (1 + SLACK) ** 2
    for axis in range(tensor.ndim):
        others = [m for a, m in enumerate(found) if a != axis]
        gram = _gram(others)
        seen = _contracted(tensor, found, axis)
        weights = _weights(others)
        found[axis] = _least_within(squared, seen, gram, weights, bound, found[axis])
    return balanced(found)


def _least_within(
    squared: float, seen: Array, gram: Array, weights: Array, bound: float, current: Array
) -> Array:
    """Return the matrix A of least sum_r w_r |a_r|^2 with a loss of at most the bound.

    It is seen @ inverse(gram + multiplier * diag(w)); in the eigenbasis of the gram, scaled by
    the roots of w, the loss is a sum over eigenvalues that grows with the multiplier.
    """
    if not weights.all():
        return current
    root = 1 / np.sqrt(weights)
    values, vectors = np.linalg.eigh(gram * root * root[:, None])
    values = np.maximum(values, 0.0)
    rotated = (seen * root) @ vectors
    gains = (rotated**2).sum(axis=0)

    def loss(multiplier: float) -> float:
        shrunk = 1 / (values + multiplier)
        return squared - float(gains @ (2 * shrunk - values * shrunk**2))

    low, high = values.max() * 1e-14, values.max() * 1e6
    if not low or loss(low) > bound:
        return current
    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if loss(middle) <= bound else (low, middle)
    found: Array = (rotated / (values + low)) @ vectors.T * root
    return found


def sensitivity(matrices: Sequence[Array]) -> float:
    """Return E|X - X'|^2 / s^2 for noise of variance s^2 on each element of each matrix."""
    return sum(
        len(m) * float(np.trace(_gram([o for a, o in enumerate(matrices) if a != axis])))
        for axis, m in enumerate(matrices)
    )


def reconstructed(matrices: Sequence[Array]) -> Array:
    """Return the tensor that matrices stand for."""
    first, *others = matrices
    return (first @ khatri_rao(others).T).reshape([len(m) for m in matrices])


def loss_of(tensor: Array, matrices: Sequence[Array]) -> float:
    """Return ||X - X'||^2."""
    return float(np.linalg.norm(tensor - reconstructed(matrices)) ** 2)


def unfolded(tensor: Array, axis: int) -> Array:
    """Return the tensor as [extent of the axis, everything else in order]."""
    return np.moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1)


def khatri_rao(matrices: Sequence[Array]) -> Array:
    """Return the products of all rows, [product of extents, R], the last matrix fastest."""
    result = matrices[0]
    for m in matrices[1:]:
        result = (result[:, None, :] * m[None, :, :]).reshape(-1, m.shape[1])
    return result


def balanced(matrices: Sequence[Array]) -> Matrices:
    """Return the same terms with columns of equal norm in all matrices, largest term first."""
    norms = np.stack([np.linalg.norm(m, axis=0) for m in matrices])
    size = norms.prod(axis=0) ** (1 / len(matrices))
    scale = np.where(norms > 0, size / np.where(norms > 0, norms, 1.0), 0.0)
    order = np.argsort(-size, kind="stable")
    return tuple((m * s)[:, order] for m, s in zip(matrices, scale, strict=True))


def _weights(others: Sequence[Array]) -> Array:
    """Return, per term, what sensitivity gains for each unit of the remaining column's square."""
    squares = [(m**2).sum(axis=0) for m in others]
    terms = [
        len(m) * np.prod([s for b, s in enumerate(squares) if b != a], axis=0)
        for a, m in enumerate(others)
    ]
    total: Array = np.sum(terms, axis=0)
    return total


def _gram(matrices: Sequence[Array]) -> Array:
    result = matrices[0].T @ matrices[0]
    for m in matrices[1:]:
        result = result * (m.T @ m)
    return result


def _start(core: Array, rank: int) -> Matrices:
    """Return leading vectors of each unfolding; where they are too few, noise of a fixed seed."""
    rng = np.random.default_rng(0)
    found = []
    for axis, extent in enumerate(core.shape):
        vectors = leading(unfolded(core, axis), min(extent, rank))
        noise = rng.standard_normal((extent, rank - vectors.shape[1])) / np.sqrt(extent)
        found.append(np.concatenate([vectors, noise], axis=1))
    return tuple(found)


def _sliced(tensor: Array, rank: int) -> Matrices:
    """Return the terms of a tensor's fibres along its largest axis, one each; zeros after them."""
    longest = int(np.argmax(tensor.shape))
    fibres = unfolded(tensor, longest)
    rest = [n for a, n in enumerate(tensor.shape) if a != longest]
    places = np.indices(rest).reshape(len(rest), -1)
    found: list[Array] = [np.eye(n)[:, at] for n, at in zip(rest, places, strict=True)]
    found.insert(longest, fibres)
    empty = rank - fibres.shape[1]
    return balanced([np.pad(m, ((0, 0), (0, empty))) for m in found])
