"""Every op, on every rank it supports: the generated module against `evaluate`."""

from __future__ import annotations

import numpy as np
import pytest
from conformance.cases import Case, cases, vector_cases
from conformance.modules import graph_of_cases, module_of, random_arrays, random_weights

from cnndsl.backends.reference.run import run

TOLERANCE = 2e-6
"""Largest error, relative to the largest value of the result.

float32 sums of n products err by about sqrt(n) * 6e-8 of their size; the longest here have a few
thousand terms, and a fused multiply-add rounds once where NumPy rounds twice.
"""


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_every_op_equals_its_definition(rank: int) -> None:
    grid = cases(rank) if rank else vector_cases()
    graph = graph_of_cases(grid)
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, seed=rank)
    weights = random_weights(graph, seed=rank)
    module = module_of(graph)
    module.WINOGRAD = "off"  # test_numba_cpu_winograd has the rest
    got = module.load(weights, threads=2)(**inputs)
    wide = {n: v.astype(np.float64) if v.dtype == np.float32 else v for n, v in inputs.items()}
    expected = run(graph, wide, {n: v.astype(np.float64) for n, v in weights.items()})
    wrong = [
        f"{case}: off by {error:.2e} of the largest value"
        for i, case in enumerate(grid)
        if not (error := _error(got[f"y{i}"], expected[f"y{i}"])) <= _tolerance(case)
    ]
    assert not wrong, f"{len(wrong)} of {len(grid)} cases:\n" + "\n".join(wrong)


def _error(got: np.ndarray, expected: np.ndarray) -> float:
    if got.shape != expected.shape or got.dtype != np.float32:
        return float("inf")
    scale = max(float(np.abs(expected).max()), 1e-30)
    return float(np.abs(got - expected).max()) / scale


def _tolerance(case: Case) -> float:
    return TOLERANCE
