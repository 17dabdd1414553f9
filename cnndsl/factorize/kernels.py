"""The one kernel that a chain amounts to: what its tensors, convolved with each other, make.

Strides and dilations are those of the layer that the chain replaces, so kernels add up tap by tap:
K[o, c, i + j] = sum over r of second[o, r, j] * first[r, c, i], within each group.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnndsl.ops.base import Array


def composed(weights: Sequence[Array], in_channels: int) -> Array:
    """Return the kernel [out, in, taps...] of a chain of kernels [out, in / groups, taps...]."""
    if len(weights) == 1:
        return spread(weights[0], in_channels)
    if weights[0].shape[1] < in_channels:
        # From the end: a grouped kernel by itself would be mostly zeros as [out, in, taps...].
        result = spread(weights[-1], weights[-2].shape[0])
        for i in range(len(weights) - 2, -1, -1):
            entering = weights[i - 1].shape[0] if i else in_channels
            result = after(result, weights[i], entering // weights[i].shape[1])
        return result
    result = weights[0]
    for weight in weights[1:]:
        result = before(result, weight)
    return result


def before(kernel: Array, weight: Array) -> Array:
    """Return the kernel of `kernel` [r, c, i...], then `weight` [o, r / groups, j...]."""
    per_group = weight.shape[1]
    groups = kernel.shape[0] // per_group
    taps = kernel.shape[2:]
    first = kernel.reshape(groups, per_group, -1)
    second = weight.reshape(groups, -1, *weight.shape[1:])
    result = _zeros((weight.shape[0], kernel.shape[1]), taps, weight.shape[2:])
    for at in np.ndindex(*weight.shape[2:]):
        # Contiguous, or NumPy multiplies without BLAS.
        term = np.ascontiguousarray(second[(..., *at)]) @ first
        result[_shifted(at, taps)] += term.reshape(-1, kernel.shape[1], *taps)
    return result


def after(kernel: Array, weight: Array, groups: int) -> Array:
    """Return the kernel of `weight` [r, c / groups, i...], then `kernel` [o, r, j...]."""
    out, taps = kernel.shape[0], kernel.shape[2:]
    last = np.moveaxis(kernel.reshape(out, groups, -1, *taps), (1, 2), (0, -1))
    first = weight.reshape(groups, -1, *weight.shape[1:])
    result = _zeros((out, groups * weight.shape[1]), weight.shape[2:], taps)
    rows = last.reshape(groups, -1, last.shape[-1])
    for at in np.ndindex(*weight.shape[2:]):
        columns = np.ascontiguousarray(first[(..., *at)])
        term = (rows @ columns).reshape(groups, out, *taps, -1)
        term = np.moveaxis(term, (0, -1), (1, 2)).reshape(out, -1, *taps)
        result[_shifted(at, taps)] += term
    return result


def spread(weight: Array, in_channels: int) -> Array:
    """Return a grouped kernel [r, c / groups, i...] as [r, c, i...], zero between groups."""
    per_group = weight.shape[1]
    groups = in_channels // per_group
    if groups == 1:
        return weight
    result = np.zeros((groups, weight.shape[0] // groups, groups, *weight.shape[1:]))
    for group, own in enumerate(weight.reshape(groups, -1, *weight.shape[1:])):
        result[group, :, group] = own
    return result.reshape(weight.shape[0], in_channels, *weight.shape[2:])


def relative_error(exact: Array, approximate: Array) -> float:
    """Return ||exact - approximate|| / ||exact||; 0 where both are zero."""
    loss = float(np.linalg.norm(exact - approximate))
    scale = float(np.linalg.norm(exact))
    if loss == 0:
        return 0.0
    return loss / scale if scale else float("inf")


def _zeros(channels: tuple[int, int], first: Sequence[int], second: Sequence[int]) -> Array:
    return np.zeros((*channels, *(a + b - 1 for a, b in zip(first, second, strict=True))))


def _shifted(at: Sequence[int], extents: Sequence[int]) -> tuple[slice, ...]:
    """Return the place of taps that start at `at` in a kernel [out, in, taps...]."""
    inside = (slice(i, i + n) for i, n in zip(at, extents, strict=True))
    return (slice(None), slice(None), *inside)
