"""The multiple-choice knapsack: one option for each group, of least error, within a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Option:
    """One way to do a group's work: what it costs, and its error; both add up over groups."""

    cost: float
    error: float


Groups: TypeAlias = Sequence[Sequence[Option]]
"""The options of each group; exactly one of each is chosen."""

Choice: TypeAlias = tuple[int, ...]
"""The place of the chosen option in each group."""


class Unreachable(Exception):  # noqa: N818 - the name says what is wrong
    """No choice costs as little as the budget; `least` is what the cheapest one costs."""

    def __init__(self, least: float) -> None:
        super().__init__(f"the least cost is {least:g}")
        self.least = least


def cost(groups: Groups, choice: Choice) -> float:
    """Return what a choice costs."""
    return sum(group[place].cost for group, place in zip(groups, choice, strict=True))


def error(groups: Groups, choice: Choice) -> float:
    """Return the error of a choice."""
    return sum(group[place].error for group, place in zip(groups, choice, strict=True))


def cheapest(groups: Groups) -> Choice:
    """Return the choice of least cost, and of those the one of least error."""
    return tuple(
        min(range(len(group)), key=lambda place: (group[place].cost, group[place].error))
        for group in groups
    )


def frontier(group: Sequence[Option]) -> list[int]:
    """Return the options that no other one beats, from the cheapest to the one of least error.

    An option whose cost or error is not finite is none.
    """
    order = sorted(
        (i for i, o in enumerate(group) if isfinite(o.cost) and isfinite(o.error)),
        key=lambda i: (group[i].cost, group[i].error, i),
    )
    kept: list[int] = []
    for i in order:
        if not kept or group[i].error < group[kept[-1]].error:
            kept.append(i)
    return kept
