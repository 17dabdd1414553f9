"""Least squares of a layer's outputs: the kernel to aim at, and the metric to measure it in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cnndsl.factorize.statistics import Statistics
from cnndsl.ops.base import Array

RIDGE = 1e-6
"""Weight of staying near the layer's own kernel, against the inputs' mean square."""


@dataclass(frozen=True)
class Fit:
    """min over K, b of E||y - K x - b||^2 + ridge ||K - W||^2, for kernels K [T, P].

    The ridge decides what no input tells, and there the layer's own kernel W is kept. With a bias
    everything is about the means; without one b = 0. As a quadratic form in K the problem is
    ||(K - target) root(moment)||^2 + a constant.
    """

    own: Array  # W, [T, P]
    moment: Array  # [P, P], with the ridge
    cross: Array  # [T, P], with the ridge
    outputs_square: float  # E||y||^2, about the mean where there is a bias
    input_mean: Array
    output_mean: Array
    has_bias: bool
    ridge: float

    @staticmethod
    def of(weight: Array, bias: Array | None, statistics: Statistics) -> Fit:
        """Return the problem for a layer's tensors and what it saw.

        The last one is remembered: a layer's is the same for all schemes and ranks.
        """
        if _last:
            seen, last_weight, had_bias, fit = _last[0]
            same = seen is statistics and had_bias == (bias is not None)
            if same and np.array_equal(last_weight, weight):
                return fit
        fit = Fit._of(weight, bias, statistics)
        _last[:] = [(statistics, weight.copy(), bias is not None, fit)]
        return fit

    @staticmethod
    def _of(weight: Array, bias: Array | None, statistics: Statistics) -> Fit:
        own = weight.reshape(weight.shape[0], -1)
        moment = statistics.input_moment
        cross = statistics.cross_moment
        square = float(statistics.output_square.sum())
        if bias is not None:
            moment = moment - np.outer(statistics.input_mean, statistics.input_mean)
            cross = cross - np.outer(statistics.output_mean, statistics.input_mean)
            square -= float(statistics.output_mean @ statistics.output_mean)
        # Inputs that never vary say nothing: then any ridge keeps the layer's own kernel.
        ridge = RIDGE * max(float(np.trace(moment)), 0.0) / len(moment) or 1.0
        return Fit(
            own=own,
            moment=moment + ridge * np.eye(len(moment)),
            cross=cross + ridge * own,
            outputs_square=square,
            input_mean=statistics.input_mean,
            output_mean=statistics.output_mean,
            has_bias=bias is not None,
            ridge=ridge,
        )

    @cached_property
    def target(self) -> Array:
        """The best kernel of full rank, [T, P]: cross @ inverse(moment)."""
        return np.linalg.solve(self.moment, self.cross.T).T

    def bias(self, kernel: Array) -> Array | None:
        """Return the best bias for a kernel [T, P]; None where the layer has none."""
        return self.output_mean - kernel @ self.input_mean if self.has_bias else None

    def output_error(self, kernel: Array, bias: Array | None) -> float:
        """Return the root of E||y - K x - b||^2 / E||y||^2, with a bias about the mean of y."""
        moment = self.moment - self.ridge * np.eye(len(self.moment))
        cross = self.cross - self.ridge * self.own
        loss = self.outputs_square + float(np.vdot(kernel @ moment - 2 * cross, kernel))
        best = self.bias(kernel)
        if bias is not None and best is not None:
            loss += float(((bias - best) ** 2).sum())
        if self.outputs_square <= 0:
            return 0.0 if loss <= 0 else float("inf")
        return float(np.sqrt(max(loss, 0.0) / self.outputs_square))


_last: list[tuple[Statistics, Array, bool, Fit]] = []
