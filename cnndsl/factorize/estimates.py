"""Errors of a scheme at many ranks at once, for choosing among them.

Truncated singular value decompositions lose the energy of what is cut off, so one decomposition
tells the error of every rank. Of Tucker-2 it is that of the higher-order SVD, which iteration then
improves a little. The other schemes are computed at a few ranks, with less effort; in between, the
logarithm of the error is taken to be linear in the rank. With statistics of what a layer sees,
schemes are computed at a few ranks, too; in between, it is linear in the error that they have
without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cnndsl.factorize.decompose import WeightScheme, checked
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.scheme import Ranks
from cnndsl.factorize.schemes.asymmetric import Asymmetric3d
from cnndsl.factorize.schemes.spatial import SpatialVertical
from cnndsl.factorize.schemes.tucker import Tucker2
from cnndsl.factorize.statistics import Statistics
from cnndsl.factorize.truncated import truncated_svd
from cnndsl.ops.base import Array

_COMPUTED = 6
"""Ranks of one scheme at which the error is computed, where it is not known for all."""

_LEAST = 1e-12


def estimated_errors(
    scheme: WeightScheme,
    layer: Layer,
    weight: Array,
    bias: Array | None,
    ranks: Sequence[Ranks],
    statistics: Statistics | None = None,
) -> tuple[float, ...]:
    """Return about the errors that `decompose` reports, for each of several ranks.

    With statistics that is the output's error, without the kernel's. Raises CompileError (CNN661).
    """
    scheme = scheme.quick()
    exact = checked(layer, weight, bias)
    if statistics is None:
        return _without(scheme, layer, exact, bias, ranks)
    if len(ranks) <= _COMPUTED:
        return scheme.errors(layer, weight, bias, ranks, statistics)
    return _between(
        _without(scheme, layer, exact, bias, ranks),
        lambda chosen: scheme.errors(layer, weight, bias, chosen, statistics),
        ranks,
    )


def _without(
    scheme: WeightScheme, layer: Layer, weight: Array, bias: Array | None, ranks: Sequence[Ranks]
) -> tuple[float, ...]:
    """Return the errors of the kernel."""
    if isinstance(scheme, Tucker2):
        return _tucker(weight, ranks)
    if isinstance(scheme, Asymmetric3d):
        return _asymmetric(layer, weight, ranks)
    unfoldings = scheme.unfoldings(layer, weight)
    if len(unfoldings) == 1 and len(scheme.rank_limits(layer)) == 1:
        lost = _lost(unfoldings[0])
        return tuple(float(lost[min(rank, len(lost) - 1)]) for (rank,) in ranks)
    if len(ranks) <= _COMPUTED or len(ranks[0]) > 1:
        return scheme.errors(layer, weight, bias, ranks)
    return _between(
        [float(rank) for (rank,) in ranks],
        lambda chosen: scheme.errors(layer, weight, bias, chosen),
        ranks,
    )


def _between(
    along: Sequence[float],
    compute: Callable[[Sequence[Ranks]], Sequence[float]],
    ranks: Sequence[Ranks],
) -> tuple[float, ...]:
    """Return errors that are computed at some ranks, spread over `along`, and read off between."""
    order = sorted(range(len(ranks)), key=lambda i: along[i])
    wanted = np.linspace(along[order[0]], along[order[-1]], _COMPUTED)
    at = np.asarray([along[i] for i in order])
    places = sorted({int(np.abs(at - x).argmin()) for x in wanted})
    known = np.maximum(compute([ranks[order[i]] for i in places]), _LEAST)
    logs = np.interp(at, at[places], np.log(known))
    found = np.empty(len(ranks))
    found[order] = np.exp(logs)
    return tuple(float(e) for e in found)


def _lost(unfolding: Array) -> Array:
    """Return the relative error of a matrix, or of a stack of them, cut off at each rank from 0."""
    wide = unfolding if unfolding.shape[-2] <= unfolding.shape[-1] else unfolding.swapaxes(-1, -2)
    energy = np.linalg.eigvalsh(wide @ wide.swapaxes(-1, -2))[..., ::-1]
    energy = np.maximum(energy, 0.0).reshape(-1, energy.shape[-1]).sum(axis=0)
    return _relative(np.append(np.cumsum(energy[::-1])[::-1], 0.0))


def _tucker(weight: Array, ranks: Sequence[Ranks]) -> tuple[float, ...]:
    """Return the errors of cutting off the core of the higher-order SVD, [T, S, taps]."""
    tensor = weight.reshape(*weight.shape[:2], -1)
    bases = []
    for axis in (0, 1):
        along = np.moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1)
        bases.append(np.linalg.eigh(along @ along.T)[1][:, ::-1])
    core = np.einsum("tsk,tq,sr->qrk", tensor, bases[0], bases[1], optimize=True)
    kept = (core**2).sum(axis=2).cumsum(axis=0).cumsum(axis=1)
    lost = _relative(np.maximum(kept[-1, -1] - kept, 0.0), float(kept[-1, -1]))
    return tuple(float(lost[output - 1, into - 1]) for into, output in ranks)


def _asymmetric(layer: Layer, weight: Array, ranks: Sequence[Ranks]) -> tuple[float, ...]:
    """Return what the spatial SVD loses, and then the output's rank, which sees the rest alone."""
    (unfolded,) = SpatialVertical().unfoldings(layer, weight)
    _, s, vt = truncated_svd(unfolded, max(spatial for spatial, _ in ranks))
    rows = (s[:, None] * vt).reshape(len(s), layer.out_channels, -1)
    whole = float(np.vdot(unfolded, unfolded))
    kept = {}
    for spatial in {spatial for spatial, _ in ranks}:
        second = np.moveaxis(rows[:spatial], 1, 0).reshape(layer.out_channels, -1)
        kept[spatial] = np.cumsum(np.linalg.eigvalsh(second @ second.T)[::-1])
    lost = np.asarray([whole - kept[spatial][output - 1] for spatial, output in ranks])
    return tuple(map(float, _relative(np.maximum(lost, 0.0), whole)))


def _relative(lost: Array, whole: float | None = None) -> Array:
    whole = float(lost[0]) if whole is None else whole
    result: Array = np.sqrt(lost / whole) if whole > 0 else np.zeros_like(lost)
    return result
