"""What is measured: parts, each a few pieces of work, each piece in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from benchmarks.networks import NETWORKS, ROOT, TWO_DIMENSIONAL, Network
from benchmarks.results import machine

SIZES_PX = (64, 128, 224, 512, 1024)
BATCHES = (1, 2, 4, 8, 16, 32)
NEIGHBOURS = (0, 1, 2)
SCALED = "resnet18"
"""The network whose size, batch and threads are varied, and which runs beside busy processes."""

STARTED = ("resnet50", "vgg16", "mobilenet_v2")
"""Networks whose cold start and memory are measured."""

RESTRICTED = ("resnet50", "vgg16")
"""Networks that are run with narrower vectors."""

WIDTHS = {
    "as it is": {},
    "AVX2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+sse2,+avx,+avx2,+fma"},
    "SSE2": {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"},
}
"""What LLVM is told of the processor."""

AVX2_ALONE = {**WIDTHS["AVX2"], "ONEDNN_MAX_CPU_ISA": "AVX2"}
"""Holds us and OpenVINO to vectors of 8; ONNX Runtime takes what the processor has."""


Found: TypeAlias = dict[str, Any]
"""What a piece of work found: values that JSON can hold."""


class JobError(Exception):
    """A piece of work that could not be done: what it printed last."""


@dataclass(frozen=True, slots=True)
class Session:
    """What holds for all pieces of one run of the benchmarks."""

    folder: Path
    """Keeps compiled modules until the run ends."""

    threads: int
    quick: bool = False

    def speed(
        self,
        network: Network,
        *,
        seconds: float,
        runs: int = 50,
        untimed: int = 2,
        timed: int = 5,
        threads: int | None = None,
        batch: int = 1,
        settings: Mapping[str, int] | None = None,
        neighbours: int = 0,
        against: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Found:
        """Time a network, for about so many seconds and two rounds at least."""
        pace = {"runs": runs, "seconds": seconds, "least_rounds": 2}
        if self.quick:
            untimed, timed = 1, 2
            pace = {"runs": 6, "seconds": 2.0, "least_rounds": 1}
        return job(
            "speed",
            program=str(network.path),
            settings={**network.settings, **(settings or {})},
            against=peers() if against is None else against,
            batch=batch,
            threads=threads or self.threads,
            pace={**pace, "untimed": untimed, "timed": timed},
            folder=str(self.folder),
            neighbours=neighbours,
            env=env,
        )


def job(name: str, *, env: Mapping[str, str] | None = None, **arguments: Any) -> Found:
    """Return what a job of `jobs.py` finds, run in a process of its own."""
    return child([sys.executable, "-m", "benchmarks.jobs", name, json.dumps(arguments)], env)


def child(command: list[str], env: Mapping[str, str] | None = None) -> Found:
    """Run a command; return the JSON value in the last line that it prints."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise JobError(lines[-1])
    found: Found = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def peers() -> list[str]:
    """Return the runtimes to compare with that are installed."""
    return [n for n in ("onnxruntime", "openvino") if importlib.util.find_spec(n)]


@dataclass(frozen=True, slots=True)
class Part:
    """A table of the results: its pieces by their keys, and how one of them is measured."""

    name: str
    about: str
    keys: Mapping[str, str]
    """From each piece's key to the network that it runs, for --only."""

    measure: Callable[[Session, str], Found]


def _each(networks: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(networks, networks, strict=True))


def _all_of(values: Iterable[int]) -> dict[str, str]:
    return {str(value): SCALED for value in values}


def _start(session: Session, key: str) -> Found:
    """Measure starts with a new cache, then with what that left; of the peers, from their file."""
    runs, warm_runs = (1, 1) if session.quick else (2, 5)
    place = session.folder / f"start-{key}"
    place.mkdir()
    network = NETWORKS[key]
    files = job("files", program=str(network.path), settings=network.settings, folder=str(place))

    def start(engine: str) -> Found:
        script = str(Path(__file__).with_name("as_a_user.py"))
        arguments = [engine, files[engine], files["inputs"], str(session.threads)]
        # An empty name is none: Numba's cache lies beside the module, as it does by default.
        return child([sys.executable, script, *arguments], {"NUMBA_CACHE_DIR": ""})

    found: dict[str, list[Found]] = {"new cache": [], "warm cache": []}
    for _ in range(runs):
        shutil.rmtree(place / "__pycache__", ignore_errors=True)
        found["new cache"].append(start("numba-cpu"))
    for _ in range(warm_runs):
        found["warm cache"].append(start("numba-cpu"))
        for engine in peers():
            found.setdefault(engine, []).append(start(engine))
    shutil.rmtree(place)
    return {
        "threads": session.threads,
        "starts": {
            engine: {name: median(run[name] for run in taken) for name in taken[0]}
            for engine, taken in found.items()
        },
    }


def _compile(session: Session, key: str) -> Found:
    return job("compile_time", program=str(NETWORKS[key].path), runs=1 if session.quick else 2)


def _width(session: Session, key: str) -> Found:
    network, _, width = key.partition(", ")
    return job(
        "width",
        program=str(NETWORKS[network].path),
        folder=str(session.folder),
        runs=3 if session.quick else 10,
        env=WIDTHS[width],
    )


def thread_counts(processors: int) -> list[int]:
    """Return 1, 2, 4 ... and all."""
    counts = [n for n in (2**i for i in range(processors.bit_length())) if n < processors]
    return [*counts, processors]


def _widths() -> tuple[str, ...]:
    """Return the widths that can be tried on this processor."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return ("as it is",)
    narrower = {"AVX-512": ("AVX2", "SSE2"), "AVX2": ("SSE2",)}
    return ("as it is", *narrower.get(machine()["vectors"], ()))


def speed_parts() -> list[Part]:
    """Return the parts about the speed of networks as they are, in the order of measuring."""
    every, scaled = tuple(NETWORKS), NETWORKS[SCALED]
    return [
        Part(
            "batch1",
            "every network, batch 1, all threads",
            _each(every),
            lambda session, key: session.speed(NETWORKS[key], seconds=10),
        ),
        Part(
            "batch8",
            "networks for pictures, batch 8, all threads",
            _each(TWO_DIMENSIONAL),
            lambda session, key: session.speed(
                NETWORKS[key], batch=8, seconds=6, untimed=1, timed=2
            ),
        ),
        Part(
            "one_thread",
            "every network, batch 1, one thread",
            _each(every),
            lambda session, key: session.speed(
                NETWORKS[key], threads=1, seconds=5, untimed=1, timed=3
            ),
        ),
        Part(
            "avx2",
            "every network, batch 1, all threads, AVX2 alone (ONNX Runtime has no such setting)",
            _each(every if machine()["vectors"] in ("AVX-512", "AVX2") else ()),
            lambda session, key: session.speed(
                NETWORKS[key],
                seconds=5,
                untimed=1,
                timed=3,
                against=[n for n in peers() if n == "openvino"],
                env=AVX2_ALONE,
            ),
        ),
        Part("start", "cold start, warm start, peak memory", _each(STARTED), _start),
        Part("compile", "the time that cnndsl compile takes", _each(every), _compile),
        Part(
            "size",
            f"pictures of {SIZES_PX[0]} to {SIZES_PX[-1]} px ({SCALED})",
            _all_of(SIZES_PX),
            lambda session, key: session.speed(
                scaled, settings={"H": int(key), "W": int(key)}, seconds=4, untimed=1, timed=3
            ),
        ),
        Part(
            "batch",
            f"{BATCHES[0]} to {BATCHES[-1]} pictures at once ({SCALED})",
            _all_of(BATCHES),
            lambda session, key: session.speed(
                scaled, batch=int(key), seconds=4, untimed=1, timed=3
            ),
        ),
        Part(
            "threads",
            f"one to all threads ({SCALED})",
            _all_of(thread_counts(machine()["processors"])),
            lambda session, key: session.speed(scaled, threads=int(key), seconds=6),
        ),
        Part(
            "busy",
            f"beside none, one and two busy processes ({SCALED})",
            _all_of(NEIGHBOURS),
            lambda session, key: session.speed(scaled, neighbours=int(key), seconds=15, runs=100),
        ),
        Part(
            "width",
            "arithmetic with narrower vectors against their peak, one thread",
            {f"{n}, {w}": n for w in _widths() for n in RESTRICTED},
            _width,
        ),
    ]
