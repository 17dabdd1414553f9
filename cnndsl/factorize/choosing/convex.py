"""Choices on the lower convex hull: Lagrange's multiplier, from none to as large as it gets.

For a multiplier m every group takes the option of least error + m * cost. All of these choices lie
on one path from the least error to the least cost, on which each step changes one group and saves
the most cost for what it adds to the error. No choice at all lies below the line through them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import inf

from cnndsl.factorize.choosing.option import Choice, Groups, Option, Unreachable, cost, frontier


def hull(group: Sequence[Option]) -> list[int]:
    """Return the options on the lower convex hull, from the least error to the least cost."""
    kept: list[int] = []
    for i in reversed(frontier(group)):
        while len(kept) > 1 and _slope(group, kept[-2], kept[-1]) >= _slope(group, kept[-1], i):
            kept.pop()
        kept.append(i)
    return kept


def path(groups: Groups) -> list[Choice]:
    """Return the choices from the least error to the least cost, each step the one that pays."""
    hulls = [hull(group) for group in groups]
    steps = sorted(
        (_slope(group, kept[i], kept[i + 1]), g, i)
        for g, (group, kept) in enumerate(zip(groups, hulls, strict=True))
        for i in range(len(kept) - 1)
    )
    chosen = [kept[0] for kept in hulls]
    found = [tuple(chosen)]
    for _, g, i in steps:
        chosen[g] = hulls[g][i + 1]
        found.append(tuple(chosen))
    return found


def best_on_path(groups: Groups, budget: float) -> Choice:
    """Return the first choice on the path within the budget; raises Unreachable."""
    choices = path(groups)
    for choice in choices:
        if cost(groups, choice) <= budget:
            return choice
    raise Unreachable(cost(groups, choices[-1]))


def lower_bound(groups: Groups, budget: float) -> float:
    """Return an error that no choice within the budget is below: options may be taken in parts."""
    total = [0.0, 0.0]
    steps: list[tuple[float, float, float]] = []
    for group in groups:
        kept = hull(group)
        total[0] += group[kept[0]].cost
        total[1] += group[kept[0]].error
        for i, j in itertools.pairwise(kept):
            saved = group[i].cost - group[j].cost
            steps.append((_slope(group, i, j), saved, group[j].error - group[i].error))
    spent, error = total
    for slope, saved, added in sorted(steps):
        if spent <= budget:
            break
        if spent - saved >= budget:
            spent, error = spent - saved, error + added
        else:
            error += slope * (spent - budget)
            spent = budget
    return error if spent <= budget else inf


def _slope(group: Sequence[Option], before: int, after: int) -> float:
    """Return the error that is added for each unit of cost that is saved."""
    return (group[after].error - group[before].error) / (group[before].cost - group[after].cost)
