"""Regression of a chain's last factors on wanted values behind a scale, row by row.

The outputs behind the scale are features @ coefficients^T + constant; what of the coefficients is
free depends on the chain.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from cnndsl.factorize.decompose import Kernels
from cnndsl.factorize.expanding import expanded
from cnndsl.factorize.fit import Fit
from cnndsl.factorize.kernels import composed, spread
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.rectifier import Rectifier
from cnndsl.factorize.reduced_rank import features, least_squares, regressed
from cnndsl.factorize.statistics import Statistics
from cnndsl.factorize.truncated import leading_eigenvectors
from cnndsl.ops.base import Array

_RIDGE = 1e-4
"""Weight of staying near the chain's own coefficients, against the features' mean square."""

_SUBSPACE_STEPS = 2


class Regression(ABC):
    """The state of a fit: features [n, F], coefficients [T, F] and a constant [T]."""

    def __init__(
        self,
        rows: Array,
        fitted: Array,
        coefficients: Array,
        bias: Array | None,
        rectifier: Rectifier,
    ) -> None:
        """Start with the coefficients [T, F] and bias of a chain; `fitted` marks rows to fit to."""
        self._features = rows
        self._has_bias = bias is not None
        self._rectifier = rectifier
        self._start = coefficients * rectifier.scale[:, None]
        self._coefficients = self._start
        own = np.zeros(len(coefficients)) if bias is None else bias
        self._constant: Array = own * rectifier.scale + rectifier.shift
        # Without a bias the constant is the norm's shift, and nothing can be centred.
        chosen = rows[fitted]
        self._fitted = fitted
        self._mean = chosen.mean(axis=0) if self._has_bias else np.zeros(rows.shape[1])
        self._centred = chosen - self._mean

    def outputs(self) -> Array:
        """Return the outputs behind the scale, [n, T]."""
        result: Array = self._features @ self._coefficients.T + self._constant
        return result

    def fit_to(self, latent: Array) -> None:
        """Fit to wanted outputs [n, T]."""
        z = latent[self._fitted]
        mean = z.mean(axis=0) if self._has_bias else self._rectifier.shift
        self._coefficients = self._regressed(z - mean)
        self._constant = mean - self._coefficients @ self._mean

    @property
    def bias(self) -> Array | None:
        """The last factor's bias; None where it has none."""
        if not self._has_bias:
            return None
        found: Array = (self._constant - self._rectifier.shift) / self._rectifier.scale
        return found

    @property
    @abstractmethod
    def kernels(self) -> Kernels:
        """The chain's kernels that the coefficients stand for."""

    @abstractmethod
    def _regressed(self, z: Array) -> Array:
        """Return the best coefficients for centred outputs [n, T] of the centred features."""


class LastFactor(Regression):
    """Features are what the last factor reads; its kernel is free, group by group."""

    def __init__(
        self,
        layer: Layer,
        kernels: Kernels,
        bias: Array | None,
        statistics: Statistics,
        fitted: Array,
        rectifier: Rectifier,
    ) -> None:
        *first, self._last = kernels
        self._first = tuple(first)
        entering = len(first[-1])
        self._groups = entering // self._last.shape[1]
        rows = features(layer, self._first, self._last.shape[2:])
        linear = spread(self._last, entering).reshape(len(self._last), -1)
        super().__init__(statistics.patches @ rows.T, fitted, linear, bias, rectifier)
        columns = np.split(np.arange(len(rows)), self._groups)
        outputs = np.split(np.arange(len(linear)), self._groups)
        self._places = [
            (inside, out, _Ridge(self._centred[:, inside], self._start[np.ix_(out, inside)]))
            for inside, out in zip(columns, outputs, strict=True)
        ]

    @property
    def kernels(self) -> Kernels:
        scaled = self._coefficients / self._rectifier.scale[:, None]
        split = scaled.reshape(self._groups, len(scaled) // self._groups, self._groups, -1)
        last = np.stack([split[group, :, group] for group in range(self._groups)])
        return (*self._first, last.reshape(self._last.shape))

    def _regressed(self, z: Array) -> Array:
        found = np.zeros_like(self._coefficients)
        for inside, out, ridge in self._places:
            found[np.ix_(out, inside)] = ridge.solved(z[:, out])
        return found


class Expansion(Regression):
    """Features are the outputs of full rank; a matrix of the chain's last rank follows them.

    Behind the first factors given stands the best kernel of full rank, [T, r, taps...].
    """

    def __init__(
        self,
        layer: Layer,
        fit: Fit,
        kernels: Kernels,
        bias: Array | None,
        statistics: Statistics,
        fitted: Array,
        rectifier: Rectifier,
    ) -> None:
        *first, inner, _ = kernels
        self._first = tuple(first)
        self._rank = len(inner)
        taps = inner.shape[2:]
        if self._first:
            self._best = regressed(layer, fit, self._first, taps)
            flat = self._best.reshape(len(self._best), -1)
            whole = flat @ features(layer, self._first, taps)
        else:
            whole = fit.target
            self._best = whole.reshape(-1, *inner.shape[1:])
        # What the chain given does, as a function of the outputs of full rank.
        given = composed(kernels, layer.in_channels).reshape(len(whole), -1)
        linear = least_squares(whole @ fit.moment @ whole.T, whole @ fit.moment @ given.T).T
        super().__init__(statistics.patches @ whole.T, fitted, linear, bias, rectifier)
        self._ridge = _Ridge(self._centred, self._start)
        self._factors = (self._start, np.eye(len(whole)))

    @property
    def kernels(self) -> Kernels:
        expand, inner = self._factors
        kernel = np.tensordot(inner, self._best, (1, 0))
        return expanded(self._first, expand / self._rectifier.scale[:, None], kernel)

    def _regressed(self, z: Array) -> Array:
        target = self._ridge.solved(z)
        moment = target @ self._ridge.moment @ target.T
        expand, inner = self._factors
        if len(inner) > self._rank:
            expand = leading_eigenvectors(moment, self._rank)
        else:
            # The outputs move little from one round to the next: so do their main directions.
            for _ in range(_SUBSPACE_STEPS):
                expand, _ = np.linalg.qr(moment @ expand)
        self._factors = (expand, expand.T @ target)
        result: Array = expand @ self._factors[1]
        return result


class _Ridge:
    """Least squares from the same rows again and again, held a little to a start [T, F]."""

    def __init__(self, rows: Array, start: Array) -> None:
        self._rows = rows
        self._start = start
        self.moment: Array = rows.T @ rows
        size = len(self.moment)
        self._weight = max(_RIDGE * float(np.trace(self.moment)) / size, np.finfo(float).tiny)
        self._inverse = np.linalg.inv(self.moment + self._weight * np.eye(size))

    def solved(self, z: Array) -> Array:
        """Return the coefficients [T, F] for outputs [n, T]."""
        result: Array = (z.T @ self._rows + self._weight * self._start) @ self._inverse
        return result
