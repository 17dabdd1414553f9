"""What a factorization scheme is: where it applies, its ranks, and the chain it makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, TypeAlias

from cnndsl.analysis.cost import Cost
from cnndsl.factorize.factors import Factors, Tensors, chain_cost, layer_cost
from cnndsl.factorize.layer import Layer

Ranks: TypeAlias = tuple[int, ...]
"""A number for each of `Scheme.rank_limits`, in their order."""

EXACT_BELOW = 1e-6
"""Relative error of a kernel up to which it counts as the same: what float32 rounds off anyway."""


class Label(Enum):
    """What a factorization does to results."""

    EXACT = "EXACT"  # the same function, up to rounding
    APPROXIMATE = "APPROXIMATE"  # close, by the error that is reported
    RETRAIN = "RETRAIN"  # another network: useless before training


@dataclass(frozen=True, slots=True)
class RankLimit:
    """A rank that a scheme leaves open: 1 to `maximum`, beyond which nothing is gained.

    `is_width` tells whether it is a number of channels between factors, as most are.
    """

    name: str
    maximum: int
    is_width: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposition:
    """The chain of a scheme for one layer, with its tensors, and what it loses.

    `error` is ||W - W~|| / ||W|| (Frobenius) of the kernel W~ that the chain amounts to.
    With statistics, `output_error` is the root of E||y - y~||^2 / E||y||^2 over the inputs that
    were seen, y taken about its mean where the layer has a bias; `rectified_error`, where asked
    for, the same of what a ReLU lets through (not about the mean, over the rows that were kept).
    """

    factors: Factors
    tensors: Tensors
    ranks: Ranks
    error: float
    output_error: float | None = None
    rectified_error: float | None = None

    @property
    def label(self) -> Label:
        return Label.EXACT if self.error <= EXACT_BELOW else Label.APPROXIMATE


class Scheme(ABC):
    """A way to replace a layer by a chain; its fields are its options."""

    name: ClassVar[str]
    """The word for it in programs, files and on the command line."""
    title: ClassVar[str]
    """One line for people, with the form of the chain and the source."""

    @abstractmethod
    def refusal(self, layer: Layer) -> str | None:
        """Return why the scheme does not apply to a layer; None where it does."""

    @abstractmethod
    def rank_limits(self, layer: Layer) -> tuple[RankLimit, ...]:
        """Return the ranks to choose for a layer that is not refused; none for a fixed form."""

    @abstractmethod
    def factors(self, layer: Layer, ranks: Ranks) -> Factors:
        """Return the chain for a layer that is not refused and ranks within their limits."""

    def cost(self, layer: Layer, ranks: Ranks) -> Cost:
        """Return what the chain costs, at the layer's sizes."""
        return chain_cost(self.factors(layer, ranks), layer)

    def ranks_at(self, layer: Layer, fraction: float) -> Ranks:
        """Return each rank at a fraction of its maximum, at least 1."""
        return tuple(
            min(max(round(limit.maximum * fraction), 1), limit.maximum)
            for limit in self.rank_limits(layer)
        )


def break_even(scheme: Scheme, layer: Layer, measure: Callable[[Cost], int]) -> Ranks | None:
    """Return the largest ranks, all at one fraction of their maxima, that cost less than the layer.

    None where even the least ranks do not. `measure` picks the cost: parameters, or MACs.
    """
    return ranks_within(scheme, layer, measure, measure(layer_cost(layer)) - 1)


def ranks_within(
    scheme: Scheme, layer: Layer, measure: Callable[[Cost], int], most: float
) -> Ranks | None:
    """Return the largest ranks, all at one fraction of their maxima, that cost at most so much.

    None where even the least ranks cost more.
    """
    steps = max((limit.maximum for limit in scheme.rank_limits(layer)), default=1)

    def fits(step: int) -> bool:
        return measure(scheme.cost(layer, scheme.ranks_at(layer, step / steps))) <= most

    if not fits(1):
        return None
    low, high = 1, steps + 1  # fits(low) holds; high does not fit, or is out of range
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return scheme.ranks_at(layer, low / steps)
