"""Ranks by empirical variational Bayesian matrix factorization: how many directions are no noise.

Nakajima, Sugiyama, Babacan and Tomioka, JMLR 14 (2013): the global analytic solution, the noise's
variance found by a search over one number. Kim et al. (2016) choose Tucker-2's ranks so.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log, sqrt

import numpy as np

from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.ranks.energy import singular_values
from cnndsl.factorize.scheme import Ranks
from cnndsl.ops.base import Array

_TAU = 2.5129
_GRID = 400
_NEGLIGIBLE = 1e-12
"""Singular values below this part of the largest one are rounding."""


def evbmf_ranks(
    scheme: WeightScheme, layer: Layer, weight: Array, weakening: float = 1.0
) -> Ranks | None:
    """Return, for each unfolding, the number of its directions that are no noise, at least 1.

    With `weakening` w below 1 only the part w of the way is gone from the maximum down to it
    (MUSCO). None for schemes whose ranks are no ranks of single matrices.
    """
    limits = scheme.rank_limits(layer)
    unfoldings = scheme.unfoldings(layer, np.asarray(weight, np.float64))
    if len(unfoldings) != len(limits) or any(m.ndim != 2 for m in unfoldings):
        return None
    return tuple(
        max(limit.maximum - round(weakening * (limit.maximum - evbmf_rank(m))), 1)
        for m, limit in zip(unfoldings, limits, strict=True)
    )


def evbmf_rank(matrix: Array) -> int:
    """Return how many singular values of a matrix rise above noise; 0 if none does."""
    L, M = sorted(matrix.shape)
    s = singular_values(matrix)
    significant = int((s > _NEGLIGIBLE * s[0]).sum()) if s[0] > 0 else 0
    if significant < L:
        # Noise would have filled every direction.
        return significant
    alpha = L / M
    tau = _TAU * sqrt(alpha)
    x_bar = (1 + tau) * (1 + alpha / tau)
    variance = _noise_variance(s, L, M, x_bar)
    return int((s > sqrt(M * variance * x_bar)).sum())


def _noise_variance(s: Array, L: int, M: int, x_bar: float) -> float:
    """Return the variance of the noise on each element: where the free energy is least."""
    alpha = L / M
    first = min(ceil(L / (1 + alpha)) - 1, L - 1)
    low = max(s[first] ** 2 / (M * x_bar), float((s[first:] ** 2).mean()) / M)
    high = float((s**2).sum()) / (L * M)

    def free_energy(variance: float) -> float:
        x = s**2 / (M * variance)
        noise, signal = x[x <= x_bar], x[x > x_bar]
        shrunk = _tau(signal, alpha)
        return float(
            (noise - np.log(noise)).sum()
            + (signal - shrunk + np.log((shrunk + 1) / signal)).sum()
            + alpha * np.log(shrunk / alpha + 1).sum()
        )

    return _least(free_energy, low, max(low, high))


def _tau(x: Array, alpha: float) -> Array:
    middle = x - (1 + alpha)
    result: Array = (middle + np.sqrt(np.maximum(middle**2 - 4 * alpha, 0.0))) / 2
    return result


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function is least between two positive numbers.

    A grid finds the valley (there may be several), golden sections its ground.
    """
    grid = np.exp(np.linspace(log(low), log(high), _GRID))
    at = int(np.argmin([function(float(x)) for x in grid]))
    left, right = float(grid[max(at - 1, 0)]), float(grid[min(at + 1, _GRID - 1)])
    golden = (sqrt(5) - 1) / 2
    for _ in range(60):
        a, b = right - golden * (right - left), left + golden * (right - left)
        if function(a) <= function(b):
            right = b
        else:
            left = a
    return (left + right) / 2
