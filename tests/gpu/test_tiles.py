"""Tiles of real structure: several quads a side, shared-out sums, maps that do not fill them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from conformance.cases import Case, floats
from conformance.modules import graph_of_cases, random_arrays, random_weights
from gpu.modules import error, module_of
from gpu.simulator import BarrierError

from cnndsl.backends.numba_cuda.options import Options
from cnndsl.backends.reference.run import run
from cnndsl.ops.conv import Conv
from cnndsl.ops.dense import Dense
from cnndsl.types.padding import Same

TILES = ((64, 16, 4, 8, 8), (32, 16, 8, 8, 4), (32, 8, 4, 4, 8))
"""Channels and pixels of a block, inputs at a time, channels and pixels of a thread."""

CASES = [
    Case(
        Conv(
            out_channels=c, kernel=k, stride=s, dilation=(1,), padding=Same(), bias=True, groups=g
        ),
        (floats(n, i, w),),
    )
    for c, k, s, g, n, i, w in (
        (35, (3,), (1,), 1, 2, 6, 13),
        (34, (2,), (2,), 2, 3, 10, 9),
    )
]
DENSE = [
    Case(Dense(out_features=7, bias=True), (floats(n, 130),))
    for n in (1, 3, 9)  # a vector, some samples, and too many for `thin`
]
GRAPH = graph_of_cases([*CASES, *DENSE])
WEIGHTS = random_weights(GRAPH, seed=2)
INPUTS = random_arrays({i.value.name: i.value.type for i in GRAPH.inputs}, seed=2)


def wrong(module: Any) -> list[str]:
    """Return the results that are not as defined."""
    got = module.load(WEIGHTS)(**INPUTS)
    expected = run(GRAPH, {n: v.astype(np.float64) for n, v in INPUTS.items()}, WEIGHTS)
    return [name for name in got if not error(got[name], expected[name]) <= 3e-6]


def choose(module: Any, sizes: tuple[int, ...], splits: int) -> None:
    tile = module.Tile(*sizes, 0.5, 1)
    module.__dict__["_choose_tile"] = lambda *_, **__: (tile, splits)


@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize("sizes", TILES, ids=str)
def test_tiles_of_any_structure(sizes: tuple[int, ...], splits: int) -> None:
    module = module_of(GRAPH, Options(winograd="off", fuse="off"))
    choose(module, sizes, splits)
    plan = module.Plan(module.Paper(), {})
    kernels = [module._kernel_name(step.kernel) for step in plan.steps]
    assert kernels.count("conv") == 3
    assert kernels.count("thin") == 2
    assert kernels.count("finish") == (5 if splits > 1 else 2)  # sums of `thin` are shared out
    assert not wrong(module)


MUTATIONS = [
    (
        "            cuda.syncthreads()\n            stage = 1 - stage\n",
        "            stage = 1 - stage\n",
    ),
    ("stage = 1 - stage", "stage = stage"),
    ("m < channels", "m < channels - 1"),
    ("last = min(first + rows_each, rows)", "last = min(first + rows_each, rows) - K"),
]


@pytest.mark.filterwarnings("ignore:.*encountered in scalar:RuntimeWarning")
@pytest.mark.parametrize(("line", "other"), MUTATIONS, ids=["barrier", "stage", "bound", "end"])
def test_the_simulator_sees_a_line_that_is_wrong(line: str, other: str) -> None:
    module = module_of(GRAPH, Options(winograd="off", fuse="off"), change=(line, other))
    choose(module, TILES[1], 1)
    with suppress(BarrierError):
        assert wrong(module)
