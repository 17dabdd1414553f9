"""Every op, on every rank it supports: the generated CUDA module against `evaluate`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from conformance.cases import Case, cases, vector_cases
from conformance.modules import graph_of_cases, random_arrays, random_weights
from gpu.modules import error, module_of

from cnndsl.backends.numba_cuda.options import DEFAULTS, Options
from cnndsl.backends.reference.run import run

TOLERANCE = 3e-6
"""Largest error, relative to the largest value of the result, of float32 sums and functions."""

MOST_MACS = 40_000
EACH = 3
"""The simulator takes about 3 us for each multiply-add, so small cases stand for all."""


def small_cases(rank: int) -> list[Case]:
    """Return some cases of every op."""
    grid = cases(rank) if rank else vector_cases()
    by_op: dict[str, list[Case]] = {}
    for case in grid:
        macs = case.op.macs(case.inputs)
        elements = sum(int(np.prod(t.at({}))) for t in case.inputs)
        if isinstance(macs, int) and macs <= MOST_MACS and elements < 3000:
            by_op.setdefault(repr(type(case.op)), []).append(case)
    chosen = random.Random(rank)
    return [c for found in by_op.values() for c in chosen.sample(found, min(EACH, len(found)))]


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_every_op_equals_its_definition(rank: int) -> None:
    compare(small_cases(rank), seed=rank)


def compare(
    grid: Sequence[Case],
    seed: int,
    options: Options = DEFAULTS,
    tolerance: float = TOLERANCE,
) -> Any:
    """Run cases as one network, and compare each result with its definition; return the module."""
    graph = graph_of_cases(grid)
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, seed=seed)
    weights = random_weights(graph, seed=seed)
    module = module_of(graph, options)
    got = module.load(weights)(**inputs)
    wide = {n: v.astype(np.float64) if v.dtype == np.float32 else v for n, v in inputs.items()}
    expected = run(graph, wide, {n: v.astype(np.float64) for n, v in weights.items()})
    wrong = [
        f"{case}: off by {off:.2e} of the largest value"
        for i, case in enumerate(grid)
        if not (off := error(got[f"y{i}"], expected[f"y{i}"])) <= tolerance
    ]
    assert not wrong, f"{len(wrong)} of {len(grid)} cases:\n" + "\n".join(wrong)
    return module
