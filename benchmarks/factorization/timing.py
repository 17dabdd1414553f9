"""Networks timed side by side: they take turns, and who begins changes from round to round."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import Any

from cnndsl.driver.prepare import Prepared
from cnndsl.driver.profile import loaded
from cnndsl.driver.samples import random_inputs, usual_sizes

_PAUSE_S = 0.01
_UNTIMED = 2
"""Calls before the timed ones of a turn: another network has had the caches."""
_TIMED = 5

Calls = Mapping[str, Callable[[], object]]


def ready(prepared: Prepared, folder: Path, threads: int, batch: int) -> Callable[[], object]:
    """Compile a network and return what runs it on a random input; it has run once."""
    _, net = loaded(prepared, folder, threads)
    inputs = random_inputs(prepared.graph, 0, usual_sizes(prepared.graph, batch))

    def call() -> object:
        return net(**inputs)

    call()
    return call


def side_by_side(calls: Calls, rounds: int) -> dict[str, dict[str, float]]:
    """Return each network's median and quartiles in milliseconds."""
    names = list(calls)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            call = calls[name]
            sleep(_PAUSE_S)
            for _ in range(_UNTIMED):
                call()
            for _ in range(_TIMED):
                start = perf_counter()
                call()
                taken[name].append((perf_counter() - start) * 1e3)
    return {name: spread(times) for name, times in taken.items()}


def spread(times: list[float]) -> dict[str, Any]:
    """Return the median and the quartiles."""
    low, _, high = quantiles(times, n=4, method="inclusive")
    return {"median": median(times), "lower_quartile": low, "upper_quartile": high}
