"""Engines take turns on one stream, timed by the device's events, outputs compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from benchmarks.gpu.cases import ENGINES, OURS
from cnndsl.driver.verify import compare
from cnndsl.ops.base import Array


class WrongAnswerError(Exception):
    """Our output is not what PyTorch's is: there is no speed to speak of."""


class Contender(Protocol):
    """An engine with a network, its inputs on the device."""

    def load(self, inputs: Mapping[str, Any]) -> None:
        """Copy new values into the inputs."""

    def run(self) -> None:
        """Start a run on the stream, and do not wait."""

    def outputs(self) -> dict[str, Array]:
        """Wait, and return what the last run made, in float32 on the host."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Rounds of turns: some runs that are not timed, then some that are.

    Rounds go on until there are `runs` for each, or `seconds` are over and two rounds done.
    """

    runs: int = 100
    untimed: int = 3
    timed: int = 10
    seconds: float = 30.0


@dataclass
class Race:
    """What has been found so far."""

    expected: Callable[[Mapping[str, Any]], dict[str, Array]]
    """From inputs to the outputs of PyTorch in fp32."""

    tolerance: float
    times: dict[str, list[float]]
    differences: dict[str, float]
    left_out: dict[str, str]
    """Engines without a time, and why."""

    def entry(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "milliseconds": {n: summary(taken) for n, taken in self.times.items() if taken},
            "differences": self.differences,
            "left_out": self.left_out,
        }

    def check(self, name: str, got: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
        """Compare outputs: ours must agree; others are left out if they do not."""
        found = [
            compare(name, output, got[output], value).relative if output in got else np.inf
            for output, value in expected.items()
        ]
        worst = float(np.max(found))  # NaN if there is one
        if worst <= self.tolerance:
            self.differences[name] = max(worst, self.differences.get(name, 0.0))
            return
        message = f"output is off by {worst:.3g} of its largest value, not {self.tolerance:g}"
        if ENGINES[name].ours:
            raise WrongAnswerError(f"{ENGINES[name].label}: {message}")
        del self.times[name]
        self.differences.pop(name, None)
        self.left_out[name] = message


def race(
    contenders: Mapping[str, Contender],
    fresh: Callable[[int], Mapping[str, Any]],
    race: Race,
    elapsed_ms: Callable[[Callable[[], None]], float],
    pace: Pace,
) -> None:
    """Compare outputs, then time in turns; every round has new inputs and another beginner.

    Raises WrongAnswerError before anything is timed if ours are off, and after a round, too.
    """
    race.times |= {name: [] for name in contenders}
    start, done, number = perf_counter(), 0, 0
    while done < pace.runs and (number < 2 or perf_counter() - start < pace.seconds):
        inputs = fresh(number)
        expected = race.expected(inputs)
        for name in [n for n in contenders if n in race.times]:
            contenders[name].load(inputs)
            contenders[name].run()
            race.check(name, contenders[name].outputs(), expected)
        for name in _turns(list(race.times), number):
            one = contenders[name]
            for _ in range(pace.untimed):
                one.run()
            taken = [elapsed_ms(one.run) for _ in range(min(pace.timed, pace.runs - done))]
            race.times[name] += taken
            race.check(name, one.outputs(), expected)  # what was timed is what was right
        number, done = number + 1, done + pace.timed


def _turns(names: Sequence[str], number: int) -> list[str]:
    first = number % len(names) if names else 0
    return [*names[first:], *names[:first]]


def summary(milliseconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the spread of some times."""
    low, _, high = (
        quantiles(milliseconds, n=4, method="inclusive")
        if len(milliseconds) > 1
        else (milliseconds[0],) * 3
    )
    return {
        "median": median(milliseconds),
        "lower_quartile": low,
        "upper_quartile": high,
        "fastest": min(milliseconds),
        "runs": len(milliseconds),
    }


def ratio(entry: Mapping[str, Any], against: Sequence[str]) -> float | None:
    """Return the time of the fastest of some engines over ours; None if there is none."""
    times = entry.get("milliseconds", {})
    others = [times[name]["median"] for name in against if name in times]
    return min(others) / times[OURS]["median"] if others and OURS in times else None
