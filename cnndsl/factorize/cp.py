"""Canonical polyadic decompositions: a tensor as a sum of R outer products, kept stable.

Alternating least squares (ALS) from a Tucker-compressed start; terms that grow while they cancel
each other make a sum useless in float32, so the sensitivity, the loss that noise on the factors
causes, is lowered at an unchanged error (error-preserving correction, Phan et al. 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np

from cnndsl.factorize.truncated import leading
from cnndsl.ops.base import Array

Matrices: TypeAlias = tuple[Array, ...]
"""One matrix [extent, R] for each axis of the tensor."""

SLACK = 1e-3
"""How much the error may grow, relatively, in a correction."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to iterate: sweeps on the compressed core, corrections, sweeps on the tensor."""

    core_sweeps: int = 200
    corrections: int = 3
    sweeps: int = 20
    settled: float = 1e-6  # relative change of the error below which sweeping ends


def exact_rank(shape: Sequence[int]) -> int:
    """Return a rank with which any tensor of a shape is a sum exactly: all axes but the largest."""
    return prod(shape) // max(shape)


def decompose(tensor: Array, rank: int, effort: Effort = Effort()) -> Matrices:
    """Return matrices whose columns' outer products sum to nearly the tensor (least squares)."""
    if not tensor.any():
        return tuple(np.zeros((n, rank)) for n in tensor.shape)
    if rank >= exact_rank(tensor.shape):
        return _sliced(tensor, rank)
    bases = [leading(unfolded(tensor, a), min(n, rank)) for a, n in enumerate(tensor.shape)]
    core = tensor
    for axis, basis in enumerate(bases):
        core = np.moveaxis(np.tensordot(core, basis, (axis, 0)), -1, axis)
    inner = sweeps(core, _start(core, rank), effort.core_sweeps, effort.settled)
    found = tuple(basis @ m for basis, m in zip(bases, inner, strict=True))
    found = sweeps(tensor, found, effort.sweeps, effort.settled)
    for _ in range(effort.corrections):
        found = corrected(tensor, found)
    return sweeps(tensor, found, effort.sweeps, effort.settled)


def sweeps(tensor: Array, matrices: Matrices, most: int, settled: float) -> Matrices:
    """Return the matrices after at most so many sweeps of alternating least squares."""
    squared = float(np.vdot(tensor, tensor))
    unfoldings = [unfolded(tensor, axis) for axis in range(tensor.ndim)]
    found = list(balanced(matrices))
    before = np.inf
    for _ in range(most):
        for axis, own in enumerate(unfoldings):
            others = [m for a, m in enumerate(found) if a != axis]
            gram = _gram(others)
            seen = own @ khatri_rao(others)
            # A trace of the last solution keeps the normal equations solvable.
            ridge = 1e-10 * float(np.trace(gram)) / len(gram) + np.finfo(float).tiny
            found[axis] = np.linalg.solve(
                gram + ridge * np.eye(len(gram)), (seen + ridge * found[axis]).T
            ).T
        loss = (
            squared
            - 2 * float(np.vdot(seen, found[-1]))
            + float(np.vdot(gram, found[-1].T @ found[-1]))
        )
        found = list(balanced(found))
        error = np.sqrt(max(loss, 0.0) / squared)
        if before - error <= settled * error:
            break
        before = error
    return tuple(found)


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
        seen = unfolded(tensor, axis) @ khatri_rao(others)
        weights = _weights(others)
        low, high = -40.0, 10.0
        best = None
        for _ in range(40):
            middle = (low + high) / 2
            trial = np.linalg.solve(gram + np.diag(10.0**middle * weights), seen.T).T
            loss = squared - 2 * np.vdot(seen, trial) + np.vdot(gram, trial.T @ trial)
            if loss <= bound:
                best, low = trial, middle
            else:
                high = middle
        if best is not None:
            found[axis] = best
    return balanced(found)


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
