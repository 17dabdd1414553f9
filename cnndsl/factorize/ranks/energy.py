"""Ranks that keep a part of the energy: the sum of squared singular values."""

from __future__ import annotations

import numpy as np

from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.scheme import Ranks
from cnndsl.ops.base import Array


def energy_ranks(scheme: WeightScheme, layer: Layer, weight: Array, kept: float) -> Ranks | None:
    """Return the least ranks that each keep a part (0 to 1) of the energy of their unfolding.

    For a stack of matrices (network decoupling: one per channel) it is the mean of their parts
    that counts. None for schemes whose ranks are no ranks of matrices.
    """
    limits = scheme.rank_limits(layer)
    unfoldings = scheme.unfoldings(layer, np.asarray(weight, np.float64))
    if len(unfoldings) != len(limits):
        return None
    return tuple(
        min(rank_keeping(singular_values(matrix), kept), limit.maximum)
        for matrix, limit in zip(unfoldings, limits, strict=True)
    )


def rank_keeping(values: Array, kept: float) -> int:
    """Return the least rank, at least 1, whose singular values have a part of the energy.

    `values` are descending along the last axis; parts are averaged over the other axes.
    """
    energy = values.astype(np.float64) ** 2
    total = energy.sum(axis=-1, keepdims=True)
    parts = np.cumsum(energy, axis=-1) / np.where(total > 0, total, 1.0)
    parts = np.where(total > 0, parts, 1.0)
    mean = parts.reshape(-1, parts.shape[-1]).mean(axis=0)
    # Rounding must not keep the last of equal parts from reaching exactly 1.
    reached = np.flatnonzero(mean >= kept - 1e-12)
    return int(reached[0]) + 1 if reached.size else len(mean)


def singular_values(matrix: Array) -> Array:
    """Return the singular values of a matrix, or of each of a stack, descending."""
    return np.linalg.svd(matrix, compute_uv=False)
