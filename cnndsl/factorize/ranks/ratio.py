"""Ranks that make a layer cheaper by a fixed ratio."""

from __future__ import annotations

from collections.abc import Callable

from cnndsl.analysis.cost import Cost
from cnndsl.factorize.factors import layer_cost
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.scheme import Ranks, Scheme, ranks_within


def ratio_ranks(
    scheme: Scheme, layer: Layer, ratio: float, measure: Callable[[Cost], int]
) -> Ranks | None:
    """Return the largest ranks, all at one fraction of their maxima, at which a layer costs less.

    That is at most its own cost divided by `ratio`, e.g. 2 for half. None where even the least
    ranks cost more.
    """
    return ranks_within(scheme, layer, measure, measure(layer_cost(layer)) / ratio)
