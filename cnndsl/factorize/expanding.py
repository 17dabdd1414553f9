"""Schemes that end in a 1x1 which expands a few channels: reduced-rank regression solves them."""

from __future__ import annotations

from abc import abstractmethod

from cnndsl.factorize.decompose import Kernels, WeightScheme
from cnndsl.factorize.fit import Fit
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.reduced_rank import features, reduced_rank
from cnndsl.factorize.scheme import Ranks
from cnndsl.ops.base import Array


class Expanding(WeightScheme):
    """A scheme whose last two factors are a kernel to few channels, the last rank, and a 1x1.

    Behind given first factors the two are, as one kernel, of that rank: their best values for any
    outputs are in closed form.
    """

    @abstractmethod
    def before_expansion(self, layer: Layer, fit: Fit, ranks: Ranks) -> tuple[Kernels, Array]:
        """Return the first factors, and the last two as one kernel [T, r, taps...] of full rank."""

    def fitted(self, layer: Layer, fit: Fit, ranks: Ranks) -> Kernels:
        first, best = self.before_expansion(layer, fit, ranks)
        moment = fit.moment
        if first:
            rows = features(layer, first, best.shape[2:])
            moment = rows @ fit.moment @ rows.T
        expand, inner = reduced_rank(best.reshape(len(best), -1), moment, ranks[-1])
        return expanded(first, expand, inner.reshape(-1, *best.shape[1:]))


def expanded(first: Kernels, expand: Array, inner: Array) -> Kernels:
    """Return the chain of first factors, an inner kernel [r, c, taps...] and a 1x1 [T, r]."""
    return (*first, inner, expand.reshape(*expand.shape, *(1,) * (inner.ndim - 2)))
