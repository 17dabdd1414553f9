"""Ranks of a fixed rate of parameters, with Tucker-2's two ranks balanced (MUSCO, 2019)."""

from __future__ import annotations

from math import sqrt

from cnndsl.analysis.cost import Cost
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.ranks.ratio import ratio_ranks
from cnndsl.factorize.scheme import Ranks, Scheme
from cnndsl.factorize.schemes.tucker import Tucker2


def rate_ranks(scheme: Scheme, layer: Layer, rate: float) -> Ranks | None:
    """Return ranks with `rate` times fewer parameters in the kernels.

    Tucker-2 with output rank beta R and input rank R, beta = max(0.8 T / S, 1): the positive root
    of beta taps R^2 + (S + beta T) R = parameters / rate. Others as `ratio_ranks`.
    """
    if not isinstance(scheme, Tucker2):
        return ratio_ranks(scheme, layer, rate, _params)
    S, T, taps = layer.in_channels, layer.out_channels, layer.taps
    beta = max(0.8 * T / S, 1.0)
    a, b, c = beta * taps, S + beta * T, S * T * taps / rate
    root = (-b + sqrt(b * b + 4 * a * c)) / (2 * a)
    if root < 1:
        return None
    input_rank, output_rank = scheme.rank_limits(layer)
    return (
        min(int(root), input_rank.maximum),
        min(int(beta * root), output_rank.maximum),
    )


def _params(cost: Cost) -> int:
    return cost.params
