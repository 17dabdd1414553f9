"""Compare every backend available here with the float64 reference."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnndsl.backends.numba_cpu.options import DEFAULTS, Options
from cnndsl.backends.reference.run import run
from cnndsl.driver.backends import available, runner
from cnndsl.driver.prepare import Prepared
from cnndsl.driver.samples import random_inputs, usual_sizes
from cnndsl.ops.base import Array

TOLERANCE = 1e-4
"""Largest difference that passes, relative to the output's largest magnitude.

A sum of K float32 products in any order errs by about sqrt(K) * 6e-8 of its terms' size; K is at
most some 25 000 in the networks here, which gives 1e-5 for a layer; layers add up, partly.
A wrong kernel is off by the size of the output itself.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far a backend's output is from the float64 reference's.

    `relative` is the largest absolute difference over the largest magnitude of the output; `ulp`
    counts float32 steps at each element's own magnitude, so it is large beside zeros.
    """

    backend: str
    output: str
    absolute: float
    relative: float
    ulp: float

    @property
    def agrees(self) -> bool:
        # NaN compares false: a NaN never agrees.
        return self.relative <= TOLERANCE


def verify(
    prepared: Prepared,
    seed: int,
    batch: int = 1,
    notify: Callable[[str], None] = lambda _: None,
    options: Options = DEFAULTS,
) -> tuple[Difference, ...]:
    """Run every backend on one random input; return the differences of every output."""
    inputs = random_inputs(prepared.graph, seed, usual_sizes(prepared.graph, batch))
    notify("reference in float64")
    expected = run(prepared.graph, _double(inputs), _double(prepared.weights))
    found: list[Difference] = []
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        for backend in available():
            notify(f"{backend}")
            results = runner(backend, prepared, Path(folder), options=options)(inputs)
            found += [compare(backend, name, results[name], expected[name]) for name in expected]
    return tuple(found)


def compare(backend: str, name: str, result: Array, expected: Array) -> Difference:
    """Measure one output; a wrong shape or dtype is infinitely far away."""
    if result.shape != expected.shape or result.dtype.kind != expected.dtype.kind:
        infinite = float("inf")
        return Difference(
            backend=backend, output=name, absolute=infinite, relative=infinite, ulp=infinite
        )
    with np.errstate(all="ignore"):
        difference = np.abs(result.astype(np.float64) - expected)
        absolute = float(difference.max())
        largest = float(np.abs(expected).max())
        step = np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
        ulp = float((difference / step).max())
    relative = absolute / largest if largest else (0.0 if absolute == 0 else float("inf"))
    return Difference(backend=backend, output=name, absolute=absolute, relative=relative, ulp=ulp)


def _double(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: a.astype(np.float64) if a.dtype.kind == "f" else a for name, a in arrays.items()}
