"""The knapsack against every choice there is, and what bounds it where there are too many."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.factorize.choosing.baselines import greedy, uniform
from cnndsl.factorize.choosing.convex import best_on_path, hull, lower_bound, path
from cnndsl.factorize.choosing.knapsack import least_error
from cnndsl.factorize.choosing.option import Groups, Option, Unreachable, cheapest, cost, error

OPTIONS = st.builds(Option, st.integers(0, 60), st.integers(0, 40).map(float))
GROUPS = st.lists(st.lists(OPTIONS, min_size=1, max_size=5), min_size=1, max_size=5)
SOLVERS = (least_error, best_on_path, uniform, greedy)


def least_by_trying(groups: Groups, budget: float) -> float | None:
    errors = [
        sum(o.error for o in chosen)
        for chosen in product(*groups)
        if sum(o.cost for o in chosen) <= budget
    ]
    return min(errors, default=None)


def realistic(seed: int, layers: int = 14, ranks: int = 40) -> list[list[Option]]:
    """Return layers whose error falls with the rank as singular values do, dense ones last."""
    rng = np.random.default_rng(seed)
    groups = []
    for _ in range(layers):
        dense = float(rng.integers(10**7, 10**9))
        spectrum = np.exp(-rng.uniform(0.02, 0.2) * np.arange(ranks)) * rng.uniform(0.5, 2)
        tail = np.append(np.cumsum(spectrum[::-1])[::-1][1:], 0) / spectrum.sum()
        groups.append(
            [Option(round(dense * (r + 1) / ranks * 0.9), float(tail[r])) for r in range(ranks)]
            + [Option(dense, 0.0)]
        )
    return groups


@given(GROUPS, st.integers(0, 300))
def test_the_table_finds_the_least_error(groups: Groups, budget: int) -> None:
    least = least_by_trying(groups, budget)
    if least is None:
        with pytest.raises(Unreachable) as caught:
            least_error(groups, budget)
        assert caught.value.least == min(sum(o.cost for o in c) for c in product(*groups))
        return
    choice = least_error(groups, budget)
    assert cost(groups, choice) <= budget
    assert error(groups, choice) == least


@given(GROUPS, st.integers(0, 300), st.integers(1, 12))
def test_a_coarse_table_is_within_its_rounding(groups: Groups, budget: int, bins: int) -> None:
    least = sum(min(o.cost for o in group) for group in groups)
    if least > budget:
        return
    choice = least_error(groups, budget, bins)
    assert cost(groups, choice) <= budget
    rounding = len(groups) * (budget - least) / bins
    tighter = least_by_trying(groups, budget - rounding)
    assert tighter is None or error(groups, choice) <= tighter


@given(GROUPS, st.integers(0, 300))
def test_every_rule_keeps_to_the_budget(groups: Groups, budget: int) -> None:
    least = least_by_trying(groups, budget)
    for solve in SOLVERS:
        if least is None:
            with pytest.raises(Unreachable):
                solve(groups, budget)
        else:
            choice = solve(groups, budget)
            assert cost(groups, choice) <= budget, solve.__name__
            assert error(groups, choice) >= least


@given(GROUPS, st.integers(0, 300))
def test_no_choice_is_below_the_bound(groups: Groups, budget: int) -> None:
    least = least_by_trying(groups, budget)
    bound = lower_bound(groups, budget)
    assert (bound == float("inf")) if least is None else bound <= least + 1e-9


@given(GROUPS)
def test_the_path_is_what_multipliers_choose(groups: Groups) -> None:
    choices = path(groups)
    assert error(groups, choices[0]) == least_by_trying(groups, float("inf"))
    assert cost(groups, choices[-1]) == cost(groups, cheapest(groups))
    costs, errors = ([f(groups, c) for c in choices] for f in (cost, error))
    assert costs == sorted(costs, reverse=True)
    assert errors == sorted(errors)
    for multiplier in (0.01, 0.1, 0.5, 1, 3, 50):
        by_path = min(e + multiplier * c for c, e in zip(costs, errors, strict=True))
        by_group = sum(min(o.error + multiplier * o.cost for o in group) for group in groups)
        assert by_path == pytest.approx(by_group)


@given(st.lists(OPTIONS, min_size=1, max_size=12))
def test_options_of_the_hull_are_convex(group: list[Option]) -> None:
    kept = [group[i] for i in hull(group)]
    slopes = [(b.error - a.error) / (a.cost - b.cost) for a, b in pairwise(kept)]
    assert slopes == sorted(slopes)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", (0.75, 0.5, 0.25))
def test_on_layers_like_those_of_networks_the_table_beats_the_simpler_rules(
    seed: int, share: float
) -> None:
    groups = realistic(seed)
    budget = share * sum(group[-1].cost for group in groups)
    errors = {f.__name__: error(groups, f(groups, budget)) for f in SOLVERS}
    assert errors["least_error"] <= min(errors.values())
    assert errors["least_error"] < errors["uniform"]
    assert errors["least_error"] - lower_bound(groups, budget) < 0.02


def test_what_is_not_finite_is_no_option() -> None:
    groups = [[Option(1, float("nan")), Option(2, 3.0), Option(1, float("inf"))]]
    assert least_error(groups, 2) == (1,)


def test_fractions_of_costs_are_costs_too() -> None:
    """Latencies are seconds, and the budget a sum of some that rounds in its last bits."""
    groups = [[Option(0.1, 0.0), Option(0.05, 1.0)] for _ in range(3)]
    assert error(groups, least_error(groups, 0.1 + 0.1 + 0.1)) == 0
    assert error(groups, least_error(groups, 0.25)) == 1
