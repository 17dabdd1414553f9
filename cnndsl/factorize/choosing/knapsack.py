"""Solve the multiple-choice knapsack by dynamic programming over a quantised budget."""

from __future__ import annotations

import numpy as np

from cnndsl.factorize.choosing.convex import best_on_path
from cnndsl.factorize.choosing.option import (
    Choice,
    Groups,
    Option,
    Unreachable,
    cheapest,
    cost,
    error,
    frontier,
)

BINS = 4096
"""Parts that what the budget leaves above the least cost is divided into."""


def least_error(groups: Groups, budget: float, bins: int = BINS) -> Choice:
    """Return a choice of least error whose cost is within the budget; raises Unreachable.

    What each option costs above the cheapest of its group is rounded up to a whole number of
    parts, so the choice never costs more than the budget, and its error is at most the least one
    for a budget smaller by as many parts as there are groups. Where costs are whole numbers and
    no more parts are needed, it is the least one. Then what rounding left over is spent.
    """
    least = cost(groups, cheapest(groups))
    if least > budget:
        raise Unreachable(least)
    kept = [frontier(group) for group in groups]
    slack = budget - least
    unit = _unit(groups, slack, bins)
    rows = int(slack / unit) if unit else 0
    # best[b] is the least error of the groups so far for b parts; picks[g][b] what g takes then.
    best = np.zeros(rows + 1)
    picks: list[np.ndarray[tuple[int], np.dtype[np.int32]]] = []
    parts: list[list[int]] = []
    for group, places in zip(groups, kept, strict=True):
        above = [group[i].cost - group[places[0]].cost for i in places]
        taken = [_ceil(a / unit) if unit else (0 if a <= 0 else rows + 1) for a in above]
        found = np.full(rows + 1, np.inf)
        pick = np.zeros(rows + 1, np.int32)
        for index, (i, part) in enumerate(zip(places, taken, strict=True)):
            if part > rows:
                break
            errors = best[: rows + 1 - part] + group[i].error
            better = errors < found[part:]
            found[part:][better] = errors[better]
            pick[part:][better] = index
        best = found
        picks.append(pick)
        parts.append(taken)
    left = rows
    chosen: list[int] = []
    for places, pick, taken in zip(reversed(kept), reversed(picks), reversed(parts), strict=True):
        index = int(pick[left])
        left -= taken[index]
        chosen.append(places[index])
    by_table = _spend(groups, tuple(reversed(chosen)), budget)
    by_slope = _spend(groups, best_on_path(groups, budget), budget)
    return min(by_table, by_slope, key=lambda choice: (error(groups, choice), choice))


def _unit(groups: Groups, slack: float, bins: int) -> float:
    """Return the size of a part: one if costs are whole numbers and one is enough."""
    whole = all(float(o.cost).is_integer() for group in groups for o in group)
    return 1.0 if whole and slack <= bins else slack / bins


def _ceil(parts: float) -> int:
    # A quotient that is a whole number but for its last bits is that number.
    nearest = round(parts)
    if abs(parts - nearest) <= 1e-12 * max(1.0, abs(parts)):
        return nearest
    return int(parts) + 1


def _spend(groups: Groups, choice: Choice, budget: float) -> Choice:
    """Return a choice that no change in one group alone makes better within the budget."""
    chosen = list(choice)
    while True:
        left = budget - cost(groups, tuple(chosen))
        gain, group, place = max(
            (
                (groups[g][now].error - o.error, -g, -i)
                for g, now in enumerate(chosen)
                for i, o in enumerate(groups[g])
                if _is_gain(groups[g][now], o, left)
            ),
            default=(0.0, 0, 0),
        )
        if gain <= 0:
            return tuple(chosen)
        chosen[-group] = -place


def _is_gain(now: Option, other: Option, left: float) -> bool:
    return other.error < now.error and other.cost - now.cost <= left
