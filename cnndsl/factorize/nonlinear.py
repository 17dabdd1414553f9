"""Fit what is left of outputs behind a ReLU, not the outputs themselves (Zhang et al. 2016).

min over M, b, Z of |r(Y) - r(Z)|^2 + penalty |Z - (M phi + b)|^2, where phi is what the last
factors read and r the ReLU, behind a batch norm if there is one. With M, b fixed, each element of Z
is the better of its best negative and its best positive value; with Z fixed, M, b are a linear
regression, of reduced rank where the chain expands. The penalty rises from 0.1 to 1, as in the
authors' code.
"""

from __future__ import annotations

import numpy as np

from cnndsl.factorize.decompose import Kernels, WeightScheme
from cnndsl.factorize.expanding import Expanding
from cnndsl.factorize.fit import Fit
from cnndsl.factorize.latent import Expansion, LastFactor, Regression
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.rectifier import Rectifier
from cnndsl.factorize.statistics import Statistics
from cnndsl.ops.base import Array

_SCHEDULE = ((0.1, 30), (1.0, 20))
"""(penalty, rounds), one after the other."""
_CHECKED = 5
"""Every so many rows are not fitted, but tell whether the fit is better at all."""


def rectified(
    scheme: WeightScheme,
    layer: Layer,
    fit: Fit,
    kernels: Kernels,
    bias: Array | None,
    statistics: Statistics,
    rectifier: Rectifier,
) -> tuple[Kernels, Array | None]:
    """Return the chain's kernels and last bias, fitted behind a rectifier.

    Those given where the fit is no better on rows that it did not see.
    """
    wanted = rectifier.seen(statistics.outputs)
    checked = np.arange(len(wanted)) % _CHECKED == _CHECKED - 1
    if not checked.any():
        return kernels, bias
    problem: Regression
    if isinstance(scheme, Expanding):
        problem = Expansion(layer, fit, kernels, bias, statistics, ~checked, rectifier)
    else:
        problem = LastFactor(layer, kernels, bias, statistics, ~checked, rectifier)
    goal = np.maximum(wanted, 0.0)
    outputs = problem.outputs()
    before = _distance(goal[checked], outputs[checked])
    for penalty, rounds in _SCHEDULE:
        for _ in range(rounds):
            problem.fit_to(nearest_latent(wanted, outputs, penalty))
            outputs = problem.outputs()
    after = _distance(goal[checked], outputs[checked])
    return (problem.kernels, problem.bias) if after < before else (kernels, bias)


def rectified_error(
    rectifier: Rectifier, statistics: Statistics, kernel: Array, bias: Array | None
) -> float:
    """Return |r(y) - r(K x + b)| / |r(y)| over the rows that were kept."""
    outputs = statistics.patches @ kernel.T + (0.0 if bias is None else bias)
    return _distance(rectifier(statistics.outputs), rectifier.seen(outputs))


def nearest_latent(wanted: Array, predicted: Array, penalty: float) -> Array:
    """Return Z: per element the cheaper of the best value below zero and the best one above."""
    target = np.maximum(wanted, 0.0)
    below = np.minimum(predicted, 0.0)
    above = np.maximum((penalty * predicted + target) / (penalty + 1), 0.0)
    cost_below = target**2 + penalty * (below - predicted) ** 2
    cost_above = (above - target) ** 2 + penalty * (above - predicted) ** 2
    result: Array = np.where(cost_below <= cost_above, below, above)
    return result


def _distance(goal: Array, seen: Array) -> float:
    """Return how far the ReLU of what it reads is from a goal, relatively."""
    loss = float(np.linalg.norm(goal - np.maximum(seen, 0.0)))
    scale = float(np.linalg.norm(goal))
    if loss == 0:
        return 0.0
    return loss / scale if scale else float("inf")
