"""Backends take turns, and only what shall be timed is: with fake backends and a fake clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from cnndsl.diagnostics import CompileError
from cnndsl.driver import bench
from cnndsl.driver.bench import OURS, Benchmark, Pace, Timing, take_turns

Call = Callable[[Mapping[str, Any]], dict[str, Any]]


class Clock:
    """Time that passes only where someone sleeps or works; and what happened."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.log.append(f"pause {seconds:g}")

    def backend(self, name: str, *seconds: float, wrong: tuple[int, ...] = ()) -> Call:
        """Return a backend whose calls take so long, the last time for ever.

        Its answers to inputs of `wrong` are off.
        """
        left = list(seconds)

        def call(inputs: Mapping[str, Any]) -> dict[str, Any]:
            self.now += left.pop(0) if len(left) > 1 else left[0]
            self.log.append(name)
            x = inputs["x"]
            return {"y": x + (0.01 if int(x[0]) in wrong else 0)}

        return call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(bench, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(bench, "sleep", clock.sleep)
    return clock


def numbered(number: int) -> dict[str, Any]:
    """Return inputs that tell the round they are for."""
    return {"x": np.array([number + 1.0], np.float32)}


def test_backends_take_turns_and_another_begins_each_round(clock: Clock) -> None:
    calls = {name: clock.backend(name, 1.0) for name in (OURS, "b", "c")}
    take_turns(calls, numbered, Pace(runs=6, untimed=1, timed=2))

    def turn(name: str) -> list[str]:
        return ["pause 0.05", name, name, name]

    rounds = [[OURS, "b", "c"], ["b", "c", OURS], ["c", OURS, "b"]]
    assert clock.log == [step for names in rounds for name in names for step in turn(name)]


def test_calls_that_warm_up_are_not_timed(clock: Clock) -> None:
    calls = {OURS: clock.backend(OURS, 9.0, 9.0, 0.001), "b": clock.backend("b", 8.0, 7.0, 0.002)}
    times, _ = take_turns(calls, numbered, Pace(runs=5))
    assert times[OURS] == pytest.approx([1.0] * 5)
    assert times["b"] == pytest.approx([2.0] * 5)


def test_there_are_as_many_runs_as_asked(clock: Clock) -> None:
    calls = {OURS: clock.backend(OURS, 1.0), "b": clock.backend("b", 1.0)}
    times, _ = take_turns(calls, numbered, Pace(runs=12))
    assert [len(t) for t in times.values()] == [12, 12]


@pytest.mark.parametrize(
    ("seconds", "least_rounds", "rounds"), [(0.0, 1, 1), (0.0, 3, 3), (29.0, 1, 3), (1e9, 1, 20)]
)
def test_no_round_starts_when_time_is_up(
    clock: Clock, seconds: float, least_rounds: int, rounds: int
) -> None:
    # A round takes 2 * (0.05 + 7 * 1) = 14.1 s.
    calls = {OURS: clock.backend(OURS, 1.0), "b": clock.backend("b", 1.0)}
    times, _ = take_turns(
        calls, numbered, Pace(runs=100, seconds=seconds, least_rounds=least_rounds)
    )
    assert len(times[OURS]) == len(times["b"]) == 5 * rounds


def test_every_round_has_new_inputs_which_all_share(clock: Clock) -> None:
    seen: dict[str, list[float]] = {OURS: [], "b": []}

    def backend(name: str) -> Call:
        def call(inputs: Mapping[str, Any]) -> dict[str, Any]:
            seen[name].append(float(inputs["x"][0]))
            return {"y": inputs["x"]}

        return call

    take_turns({n: backend(n) for n in seen}, numbered, Pace(runs=3, untimed=1, timed=1))
    assert seen[OURS] == seen["b"] == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("name", [OURS, "b"])
def test_an_answer_that_is_wrong_in_a_later_round_ends_it(clock: Clock, name: str) -> None:
    calls = {n: clock.backend(n, 1.0, wrong=(3,) if n == name else ()) for n in (OURS, "b", "c")}
    with pytest.raises(CompileError) as error:
        take_turns(calls, numbered, Pace(runs=20))
    assert {d.code for d in error.value.diagnostics} == {"CNN703"}
    messages = [d.message for d in error.value.diagnostics]
    against = ["b", "c"] if name == OURS else ["b"]
    found = [m for n in against for m in messages if f"differs from {n}'s by 0.01" in m]
    assert sorted(found) == sorted(messages)
    assert len(found) == len(against)


def test_the_largest_difference_is_reported(clock: Clock) -> None:
    def near(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {"y": inputs["x"] + np.float32(1e-5 if inputs["x"][0] == 2 else 0)}

    calls = {OURS: near, "b": clock.backend("b", 1.0)}
    _, (difference,) = take_turns(calls, numbered, Pace(runs=15))
    assert difference.relative == pytest.approx(5e-6, rel=0.05)


def test_the_ratio_is_that_of_medians_to_the_fastest_other() -> None:
    result = Benchmark(
        network="net",
        threads=1,
        batch=1,
        processor="",
        ours=Timing(OURS, (1.0, 2.0, 90.0)),
        others=(Timing("b", (9.0, 9.0, 9.0)), Timing("c", (1.0, 3.0, 80.0))),
        differences=(),
    )
    assert result.best_other.backend == "c"
    assert result.ratio == 1.5


def test_quartiles_stay_within_what_was_measured() -> None:
    assert Timing("b", (4.0, 1.0, 2.0, 3.0, 5.0)).quartiles == (2.0, 4.0)
    assert Timing("b", (1.0, 3.0)).quartiles == (1.5, 2.5)
