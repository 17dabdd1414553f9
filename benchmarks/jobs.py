"""The pieces of work that have a process of their own: `python -m benchmarks.jobs NAME ARGUMENTS`.

The arguments are one JSON object; the result is printed as another.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.factorization import jobs as factorization
from cnndsl.analysis.cost import summarize
from cnndsl.cli.bench import as_json
from cnndsl.driver.bench import Pace, bench, pinned
from cnndsl.driver.choice import Choice
from cnndsl.driver.compile import compile_program
from cnndsl.driver.peaks import measure_peaks
from cnndsl.driver.prepare import prepare
from cnndsl.driver.profile import loaded
from cnndsl.driver.samples import random_inputs, usual_sizes
from cnndsl.files import write_files


def speed(
    program: str,
    settings: dict[str, int],
    against: Sequence[str],
    batch: int,
    threads: int | None,
    pace: dict[str, Any],
    folder: str,
    neighbours: int = 0,
) -> dict[str, Any]:
    """Time a network against its peers, beside so many busy processes."""
    prepared = prepare(Path(program), Choice(settings))
    with busy(neighbours):
        result = bench(
            prepared,
            against,
            threads=threads,
            batch=batch,
            pace=Pace(**pace),
            folder=Path(folder),
        )
    return as_json(result)


NEIGHBOUR = """
import os, sys
while os.getppid() == int(sys.argv[1]):
    for _ in range(100_000):
        pass
"""
"""A program that never rests, and ends if the benchmark is gone before it could end it."""


@contextmanager
def busy(neighbours: int) -> Iterator[None]:
    """Let so many processes run that never rest."""
    command = [sys.executable, "-c", NEIGHBOUR, str(os.getpid())]
    loops = [subprocess.Popen(command) for _ in range(neighbours)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def files(program: str, settings: dict[str, int], folder: str) -> dict[str, str]:
    """Write what users of each engine start from, and an input."""
    prepared = prepare(Path(program), Choice(settings))
    base = Path(folder) / f"{prepared.graph.name}.py"
    written = compile_program(prepared, ("numba-cpu", "onnx"), base)
    write_files(written)
    arrays = base.with_suffix(".npz")
    inputs: dict[str, Any] = random_inputs(prepared.graph, 0, usual_sizes(prepared.graph))
    np.savez(arrays, **inputs)
    onnx = str(base.with_suffix(".onnx"))
    return {"numba-cpu": str(base), "onnxruntime": onnx, "openvino": onnx, "inputs": str(arrays)}


def compile_time(program: str, runs: int) -> dict[str, float]:
    """Time what `cnndsl compile` does, in this process, and the command as a user types it.

    Weights are not part of the first: reading, drawing or writing them takes as long as there are
    bytes of them.
    """
    from cnndsl.backends.header import Header
    from cnndsl.backends.numba_cpu.emit import emit
    from cnndsl.driver.load import load
    from cnndsl.passes.pipeline import optimize

    header = Header("0", "x.cnn", "", "", ())

    def text() -> None:
        emit(optimize(load(Path(program)).graph).graph, "network", header=header)

    text()  # imports
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "network.py")
        command = [sys.executable, "-m", "cnndsl", "compile", program, "-o", output]

        def whole() -> None:
            subprocess.run(command, check=True, capture_output=True)

        return {
            "text_s": median(seconds(text) for _ in range(runs)),
            "command_s": median(seconds(whole) for _ in range(runs)),
        }


def seconds(action: Callable[[], None]) -> float:
    """Return how long an action takes."""
    start = perf_counter()
    action()
    return perf_counter() - start


def width(program: str, folder: str, runs: int) -> dict[str, Any]:
    """Compare a network's arithmetic with the peak of this process's vectors, on one thread."""
    prepared = prepare(Path(program), Choice({}))
    inputs = random_inputs(prepared.graph, 0, usual_sizes(prepared.graph))
    macs = summarize(prepared.graph).macs
    assert isinstance(macs, int)
    with pinned(1):
        module, net = loaded(prepared, Path(folder), threads=1)
        peaks = [macs_per_s(module)]  # and after the network, too: the clock may change
        net(**inputs)
        fastest = min(seconds(lambda: net(**inputs)) for _ in range(runs))
        peaks.append(macs_per_s(module))
    (plan,) = net._plans.values()  # what an algorithm saves is known there alone
    return {
        "network": prepared.graph.name,
        "lanes": module.LANES,
        "milliseconds": fastest * 1e3,
        "done_gflops": 2 * sum(step.macs for step in plan.steps) / fastest / 1e9,
        "defined_gflops": 2 * macs / fastest / 1e9,
        "peak_gflops": 2 * max(peaks) / 1e9,
    }


def macs_per_s(module: ModuleType) -> float:
    """Measure the peak of multiply-adds on one thread."""
    return measure_peaks(module, 1, working_sets_bytes=()).macs_per_s


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    **{job.__name__: job for job in (speed, files, compile_time, width)},
    **factorization.JOBS,
}

if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](**json.loads(sys.argv[2]))))
