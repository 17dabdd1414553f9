"""One scheme for one layer of a block, in all its uses: so a block stays one, its ranks arguments.

Which one is the best of those that would be chosen freely. Each use keeps its own ranks, and may be
left as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace

from cnndsl.factorize.candidates import Place
from cnndsl.factorize.choosing.choose import Problem, chosen
from cnndsl.factorize.choosing.option import Choice, Unreachable, error
from cnndsl.factorize.choosing.option import cost as cost_of


def alike(problem: Problem, solve: Callable[[Problem], Choice]) -> tuple[Problem, Choice]:
    """Return a problem of which solutions have one scheme for each layer of a block, and its own.

    That is the same line of a program, of the same shape. Where no scheme alone leaves a solution,
    the uses of that layer stay free.
    """
    choice = solve(problem)
    for members in _uses(problem.places).values():
        picked = chosen(problem, choice)
        names = sorted({picked[i].name for i in members if picked[i].scheme is not None})
        if len(names) > 1:
            problem, choice = _best(problem, members, names, solve) or (problem, choice)
    return problem, choice


def _uses(places: Sequence[Place]) -> Mapping[Hashable, Sequence[int]]:
    found: dict[Hashable, list[int]] = defaultdict(list)
    for i, place in enumerate(places):
        layer = place.uses[0]
        if place.origin is not None:
            found[place.origin, layer.op, layer.weight_shape].append(i)
    return {key: members for key, members in found.items() if len(members) > 1}


def _best(
    problem: Problem,
    members: Sequence[int],
    names: Sequence[str],
    solve: Callable[[Problem], Choice],
) -> tuple[Problem, Choice] | None:
    """Return the problem with that one of some schemes for some layers that is best in all.

    And its solution; None where there is none.
    """
    best: tuple[tuple[float, float], Problem, Choice] | None = None
    for name in names:
        candidates = tuple(
            tuple(c for c in found if c.scheme is None or c.name == name) if i in members else found
            for i, found in enumerate(problem.candidates)
        )
        tried = replace(problem, candidates=candidates)
        try:
            choice = solve(tried)
        except Unreachable:
            continue
        groups = tried.groups
        rank = error(groups, choice), cost_of(groups, choice)
        if best is None or rank < best[0]:
            best = rank, tried, choice
    return None if best is None else best[1:]
