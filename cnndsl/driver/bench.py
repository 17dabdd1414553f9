"""Time a compiled network against ONNX Runtime: same process, same threads, turn by turn."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
_BLOCK = 5
"""Timed calls of one backend before the other has its turn."""

_UNTIMED = 2
"""Calls at the start of a turn that are not timed: they bring code and weights back to cache."""

_PAUSE_S = 0.05
"""Wait before a turn: ONNX Runtime's threads spin for a while after a call, and would disturb."""


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
        low, _, high = quantiles(self.milliseconds, n=4)
        return low, high

    @property
    def fastest(self) -> float:
        return min(self.milliseconds)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What was measured, and how far the outputs differ."""

    network: str
    threads: int
    batch: int
    processor: str
    ours: Timing
    other: Timing
    differences: tuple[Difference, ...]

    @property
    def ratio(self) -> float:
        """Our speed over the other's: the ratio of median times."""
        return self.other.median / self.ours.median


def bench(
    prepared: Prepared,
    against: str,
    *,
    threads: int | None = None,
    runs: int = 100,
    seed: int = 0,
    batch: int = 1,
    notify: Callable[[str], None] = lambda _: None,
) -> Benchmark:
    """Compare outputs, then time both backends in turns of a few calls, on pinned threads.

    Raises CompileError (CNN703) when the outputs differ: a wrong answer has no speed.
    """
    inputs = random_inputs(prepared.graph, seed, usual_sizes(prepared.graph, batch))
    with pinned(threads) as count, tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        run = {}
        for name in (OURS, against):
            notify(f"compiling for {name}")
            run[name] = runner(name, prepared, Path(folder), count)
        ours, other = run[OURS](inputs), run[against](inputs)
        differences = tuple(compare(OURS, name, ours[name], other[name]) for name in other)
        if not all(d.agrees for d in differences):
            raise CompileError(_disagreement(d, against) for d in differences if not d.agrees)
        times: dict[str, list[float]] = {name: [] for name in run}
        for first in range(0, runs, _BLOCK):
            notify(f"run {first} of {runs}")
            for name, call in run.items():
                sleep(_PAUSE_S)
                for _ in range(_UNTIMED):
                    call(inputs)
                times[name] += [
                    _milliseconds(call, inputs) for _ in range(min(_BLOCK, runs - first))
                ]
    return Benchmark(
        network=prepared.graph.name,
        threads=count,
        batch=batch,
        processor=processor(),
        ours=Timing(OURS, tuple(times[OURS])),
        other=Timing(against, tuple(times[against])),
        differences=differences,
    )


def _milliseconds(call: Runner, inputs: Mapping[str, Array]) -> float:
    start = perf_counter()
    call(inputs)
    return (perf_counter() - start) * 1e3


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
