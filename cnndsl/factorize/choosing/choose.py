"""Choose a candidate for every layer of a network, within a budget for the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, log1p

from cnndsl.factorize.candidates import Candidate, Place
from cnndsl.factorize.choosing.budget import Budget, Quantity
from cnndsl.factorize.choosing.convex import path
from cnndsl.factorize.choosing.knapsack import least_error
from cnndsl.factorize.choosing.option import Choice, Option
from cnndsl.factorize.scheme import EXACT_BELOW, Label


@dataclass(frozen=True, slots=True)
class Problem:
    """The layers of a network, the candidates of each, and what the rest of the network costs."""

    places: tuple[Place, ...]
    candidates: tuple[tuple[Candidate, ...], ...]
    quantity: Quantity
    rest: float

    @property
    def groups(self) -> list[list[Option]]:
        return [[option(c, found[0], self.quantity) for c in found] for found in self.candidates]

    @property
    def dense(self) -> float:
        """What the whole network costs if nothing is changed."""
        return self.rest + sum(
            amount(c, self.quantity) for found in self.candidates for c in found if c.scheme is None
        )


def within(problem: Problem, budget: Budget) -> Choice:
    """Return the choice of least error within a budget; raises Unreachable, of the groups alone."""
    return least_error(problem.groups, budget.amount(problem.dense) - problem.rest)


def ladder(problem: Problem) -> list[Choice]:
    """Return choices from the least error to the least cost, each step the one that pays most."""
    return path(problem.groups)


def option(candidate: Candidate, dense: Candidate, quantity: Quantity) -> Option:
    """Return what a candidate costs and loses, so that losses add up over layers.

    The loss is -log of the share of the energy that is kept, 1 - error^2: the sum over layers is
    the product of what each keeps (Zhang et al., 2016), and no layer is given up for the others.
    Of a layer that must be trained anew no error is known: the share of its parameters that it
    keeps stands for it.
    """
    if candidate.label is Label.RETRAIN:
        lost = log(dense.cost.params / candidate.cost.params)
    else:
        lost = loss(candidate.error)
    return Option(amount(candidate, quantity), lost)


def loss(error: float | None) -> float:
    """Return the loss of a relative error; none where it is rounding."""
    if error is None or error <= EXACT_BELOW:
        return 0.0
    return -log1p(-(error**2)) if error < 1 else inf


def amount(candidate: Candidate, quantity: Quantity) -> float:
    """Return what a candidate takes of a quantity."""
    match quantity:
        case Quantity.MACS:
            return candidate.cost.macs
        case Quantity.PARAMS:
            return candidate.cost.params
        case Quantity.WEIGHT_BYTES:
            return 4 * candidate.cost.params
        case Quantity.LATENCY:
            assert candidate.seconds is not None
            return candidate.seconds


def chosen(problem: Problem, choice: Choice) -> Sequence[Candidate]:
    """Return the candidate of each layer."""
    return [found[i] for found, i in zip(problem.candidates, choice, strict=True)]
