"""Time a compiled network against other runtimes: same process, same threads, turn by turn."""

from __future__ import annotations

import math
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, sleep

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.backends import Runner, runner
from cnndsl.driver.prepare import Prepared
from cnndsl.driver.samples import random_inputs, usual_sizes
from cnndsl.driver.verify import Difference, compare
from cnndsl.ops.base import Array

OURS = "numba-cpu"

_PAUSE_S = 0.05
"""Wait before a turn: ONNX Runtime's threads spin for a while after a call, and would disturb."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much to measure, and how long a backend's turn is.

    A round gives every backend one turn: `untimed` calls, which bring code and weights back to
    cache, then `timed` ones. Rounds go on until each backend has `runs` timed calls; none starts
    after `seconds`, but there are `least_rounds`.
    """

    runs: int = 100
    seconds: float = math.inf
    least_rounds: int = 1
    untimed: int = 2
    timed: int = 5


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of one backend in milliseconds, in the order they were taken."""

    backend: str
    milliseconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.milliseconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        low, _, high = quantiles(self.milliseconds, n=4, method="inclusive")
        return low, high

    @property
    def fastest(self) -> float:
        return min(self.milliseconds)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What was measured, and how far our outputs were from the others' at most."""

    network: str
    threads: int
    batch: int
    processor: str
    ours: Timing
    others: tuple[Timing, ...]
    differences: tuple[Difference, ...]
    """One for each output."""

    @property
    def best_other(self) -> Timing:
        return min(self.others, key=lambda t: t.median)

    @property
    def ratio(self) -> float:
        """Our speed over the fastest other's: the ratio of median times."""
        return self.best_other.median / self.ours.median


def bench(
    prepared: Prepared,
    against: Sequence[str],
    *,
    threads: int | None = None,
    pace: Pace = Pace(),
    seed: int = 0,
    batch: int = 1,
    folder: Path | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> Benchmark:
    """Compare outputs, then time the backends in turns of a few calls, on pinned threads.

    Every round has new random inputs. `folder`, if given, keeps what is compiled. Raises
    CompileError (CNN703) when the outputs differ: a wrong answer has no speed.
    """
    sizes = usual_sizes(prepared.graph, batch)

    def fresh(number: int) -> dict[str, Array]:
        return random_inputs(prepared.graph, seed + number, sizes)

    inputs = fresh(0)  # before anything is compiled: it may not fit into memory
    place = nullcontext(folder) if folder else tempfile.TemporaryDirectory(prefix="cnndsl-")
    with pinned(threads) as count, place as modules:
        calls = {}
        for name in (OURS, *against):
            notify(f"compiling for {name}")
            calls[name] = runner(name, prepared, Path(modules), count)
        check({name: call(inputs) for name, call in calls.items()})
        times, differences = take_turns(calls, fresh, pace, notify)
    return Benchmark(
        network=prepared.graph.name,
        threads=count,
        batch=batch,
        processor=processor(),
        ours=Timing(OURS, times.pop(OURS)),
        others=tuple(Timing(name, taken) for name, taken in times.items()),
        differences=differences,
    )


def take_turns(
    calls: Mapping[str, Runner],
    fresh: Callable[[int], Mapping[str, Array]],
    pace: Pace,
    notify: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, tuple[float, ...]], tuple[Difference, ...]]:
    """Return each backend's times in milliseconds, and our largest differences.

    `fresh` makes the inputs of a round. Who comes first changes from round to round, and the
    outputs of each round are compared, too.
    """
    names = list(calls)
    times: dict[str, list[float]] = {name: [] for name in names}
    worst: dict[str, Difference] = {}
    start, number, done = perf_counter(), 0, 0
    while done < pace.runs and (
        number < pace.least_rounds or perf_counter() - start < pace.seconds
    ):
        notify(f"run {done} of {pace.runs}")
        inputs = fresh(number)
        results = {}
        first = number % len(names)
        for name in names[first:] + names[:first]:
            call = calls[name]
            sleep(_PAUSE_S)
            for _ in range(pace.untimed):
                results[name] = call(inputs)
            for _ in range(min(pace.timed, pace.runs - done)):
                begin = perf_counter()
                results[name] = call(inputs)
                times[name].append((perf_counter() - begin) * 1e3)
        for d in check(results):
            if d.output not in worst or d.relative > worst[d.output].relative:
                worst[d.output] = d
        number, done = number + 1, done + pace.timed
    return {name: tuple(taken) for name, taken in times.items()}, tuple(worst.values())


def check(results: Mapping[str, Mapping[str, Array]]) -> list[Difference]:
    """Compare our outputs with all others; raise CompileError (CNN703) if they differ."""
    ours = results[OURS]
    found, wrong = [], []
    for against, other in results.items():
        if against != OURS:
            for name in other:
                d = compare(OURS, name, ours[name], other[name])
                found.append(d)
                if not d.agrees:
                    wrong.append(_disagreement(d, against))
    if wrong:
        raise CompileError(wrong)
    return found


@contextmanager
def pinned(threads: int | None) -> Iterator[int]:
    """Bind this process to as many processors as there are threads; yield how many.

    Threads that start inside inherit the binding. Where the system cannot bind, only the count
    holds.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield threads or os.cpu_count() or 1
        return
    before = os.sched_getaffinity(0)
    chosen = sorted(before)[: threads or len(before)]
    os.sched_setaffinity(0, chosen)
    try:
        yield len(chosen)
    finally:
        os.sched_setaffinity(0, before)


def processor() -> str:
    """Return the processor's name as the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
            names = (line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
            return next(names, platform.processor() or platform.machine())
    except OSError:
        return platform.processor() or platform.machine()


def _disagreement(d: Difference, against: str) -> Diagnostic:
    return Diagnostic(
        code="CNN703",
        message=f"output {d.output} of {d.backend} differs from {against}'s by {d.absolute:.3g}, "
        f"{d.relative:.3g} of its largest value",
        help="cnndsl verify shows which backend is wrong",
    )
