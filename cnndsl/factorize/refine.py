"""Improve the tensors of any chain, one factor at a time, by conjugate gradients.

The kernel of a chain is linear in each factor, so what it loses, trace((K - B) M (K - B)^T), is a
quadratic in it: conjugate gradients from where it stands never make it worse.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnndsl.factorize.kernels import before, composed, spread
from cnndsl.ops.base import Array

_MACS = 1e11
"""Multiply-accumulates to spend, about."""
_FEWEST_STEPS = 3
_STEPS = 10
"""Steps of conjugate gradients for a factor in a sweep."""
_SETTLED = 1e-4
"""Relative change of the loss in a sweep below which sweeping ends."""


def refined(
    kernels: Sequence[Array], target: Array, moment: Array | None = None, *, sweeps: int = 4
) -> tuple[Array, ...]:
    """Return the tensors of a chain after some sweeps that bring it closer to a target.

    `target` is [T, S, taps...]; `moment` [P, P] the metric, None for the plain Frobenius norm.
    """
    found = list(kernels)
    work = target.size * (target[0].size if moment is not None else len(target))
    steps = min(max(int(_MACS / (work * len(found))), _FEWEST_STEPS), sweeps * _STEPS)
    before_ = np.inf
    for _ in range(-(-steps // _STEPS)):
        for place in range(len(found)):
            found[place] = _improved(found, place, target, moment, min(steps, _STEPS))
        residual = composed(found, target.shape[1]) - target
        loss = float(np.vdot(residual, _measured(residual, moment)))
        if before_ - loss <= _SETTLED * loss:
            break
        before_ = loss
    return tuple(found)


def _improved(
    kernels: Sequence[Array], place: int, target: Array, moment: Array | None, steps: int
) -> Array:
    """Return one factor after some steps of conjugate gradients, the others fixed."""
    chain = _Behind(kernels, place, target.shape[1])
    own = kernels[place]
    residual = _measured(target - chain.forward(own), moment)
    gradient = chain.adjoint(residual)
    direction = gradient
    squared = first = float(np.vdot(gradient, gradient))
    for _ in range(steps):
        if squared <= 1e-24 * first or squared == 0:
            break
        change = chain.forward(direction)
        measured = _measured(change, moment)
        curvature = float(np.vdot(change, measured))
        if curvature <= 0:
            break
        step = squared / curvature
        own = own + step * direction
        residual = residual - step * measured
        gradient = chain.adjoint(residual)
        now = float(np.vdot(gradient, gradient))
        direction = gradient + now / squared * direction
        squared = now
    return own


class _Behind:
    """The kernel of a chain as a linear map of one factor, and the map's adjoint."""

    def __init__(self, kernels: Sequence[Array], place: int, in_channels: int) -> None:
        weight = kernels[place]
        self._shape = weight.shape
        entering = kernels[place - 1].shape[0] if place else in_channels
        self._entering = entering
        self._groups = entering // weight.shape[1]
        self._prefix = composed(kernels[:place], in_channels) if place else None
        later = kernels[place + 1 :]
        self._suffix = composed(later, weight.shape[0]) if later else None

    def forward(self, weight: Array) -> Array:
        if self._prefix is None:
            result = spread(weight, self._entering)
        else:
            result = before(self._prefix, weight)
        return result if self._suffix is None else before(result, self._suffix)

    def adjoint(self, gradient: Array) -> Array:
        if self._suffix is not None:
            gradient = _through_suffix(gradient, self._suffix)
        if self._prefix is None:
            return self._own_group(gradient)
        return self._through_prefix(gradient)

    def _own_group(self, gradient: Array) -> Array:
        """Return, of [out, in, taps...], for each output the inputs of its group."""
        out, per_group, *taps = self._shape
        split = gradient.reshape(self._groups, out // self._groups, self._groups, per_group, *taps)
        return np.stack([split[g, :, g] for g in range(self._groups)]).reshape(self._shape)

    def _through_prefix(self, gradient: Array) -> Array:
        prefix = self._prefix
        assert prefix is not None
        out, per_group, *taps = self._shape
        result = np.zeros((self._groups, out // self._groups, per_group, *taps))
        rows = prefix.reshape(self._groups, per_group, -1)
        for at in np.ndindex(*taps):
            window = gradient[(slice(None), slice(None), *_at(at, prefix.shape[2:]))]
            seen = window.reshape(self._groups, out // self._groups, -1)
            result[(slice(None), slice(None), slice(None), *at)] = seen @ rows.transpose(0, 2, 1)
        return result.reshape(self._shape)


def _through_suffix(gradient: Array, suffix: Array) -> Array:
    """Return [r, S, i...] = sum over o, j of suffix[o, r, j] gradient[o, S, i + j]."""
    taps = suffix.shape[2:]
    inner = tuple(n - k + 1 for n, k in zip(gradient.shape[2:], taps, strict=True))
    result = np.zeros((suffix.shape[1], gradient.shape[1], *inner))
    for at in np.ndindex(*taps):
        window = gradient[(slice(None), slice(None), *_at(at, inner))]
        columns = suffix[(slice(None), slice(None), *at)]
        result += np.tensordot(columns, window, (0, 0))
    return result


def _measured(residual: Array, moment: Array | None) -> Array:
    if moment is None:
        return residual
    return (residual.reshape(len(residual), -1) @ moment).reshape(residual.shape)


def _at(start: Sequence[int], extents: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(i, i + n) for i, n in zip(start, extents, strict=True))
