"""Winograd's algorithm in the generated module: every tile, every way to share the work out."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from conformance.cases import Case, floats
from conformance.modules import graph_of_cases, module_of, random_arrays, random_weights

from cnndsl.backends.numba_cpu.winograd import tiles_of, window
from cnndsl.backends.reference.run import run
from cnndsl.ir.graph import Graph, Input, Node, Output, Parameter, Value
from cnndsl.ops import activation, conv
from cnndsl.ops.fused import Fused
from cnndsl.types.padding import Causal, Explicit, Padding, Same, Valid
from cnndsl.types.tensor import DType, TensorType

TOLERANCES = {"f2": 5e-6, "f4": 2e-5}
"""Largest error relative to the largest value: the larger the transforms, the larger."""

SHARES = (None, (False, 3, 1), (False, 17, 2), (True, 5, 1), (True, 100, 3))
"""(shared, tiles_each, parts); None is the cost model's own choice."""

KERNELS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((2,), (3,), (5,), (6,), (7,)),
    2: ((3, 3), (5, 5), (1, 7), (7, 1), (2, 3), (4, 1)),
    3: ((1, 3, 3), (1, 1, 3)),
}


def convolutions(rank: int) -> list[Case]:
    """Return convolutions of many kernels, sizes, dilations and paddings, in turn."""
    turn = itertools.count()
    channels = ((16, 16), (20, 33), (40, 48), (17, 1), (32, 70))
    found = []
    for kernel, size, dilation in itertools.product(KERNELS[rank], (7, 12, 23), (1, 2, 3)):
        i = next(turn)
        paddings: tuple[Padding, ...] = (
            (Same(), Valid(), Causal()) if rank == 1
            else (Same(), Valid(), Explicit(tuple((j % 3, 1) for j in range(rank))))
        )  # fmt: skip
        c, out = channels[i % len(channels)]
        space = (2, size, size + 2)[-rank:] if rank > 1 else (size + 8,)
        if any((k - 1) * dilation >= s for k, s in zip(kernel, space, strict=True)):
            continue
        op = conv.Conv(
            out_channels=out, kernel=kernel, stride=(1,) * rank, dilation=(dilation,) * rank,
            padding=paddings[i % 3], bias=i % 2 == 0,
        )  # fmt: skip
        found.append(Case(op, (floats(1 + i % 3, c, *space),)))
    return found


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_every_tile_equals_the_definition(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = convolutions(rank)
    graph = graph_of_cases(grid)
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, seed=rank)
    weights = random_weights(graph, seed=rank)
    expected = run(graph, wide(inputs), wide(weights))
    module = module_of(graph)
    own = module._share_points
    for algorithm, share in itertools.product(TOLERANCES, SHARES):
        monkeypatch.setattr(module, "WINOGRAD", algorithm)
        monkeypatch.setattr(
            module, "_share_points", own if share is None else lambda *_, s=share: (0, *s)
        )
        net = module.load(weights, threads=2)
        got = net(**inputs)
        check_used(net, graph, algorithm)
        for i, case in enumerate(grid):
            scale = np.abs(expected[f"y{i}"]).max()
            error = np.abs(got[f"y{i}"] - expected[f"y{i}"]).max() / scale
            assert error <= TOLERANCES[algorithm], f"{algorithm} {share} {case}: {error:.2e}"


def check_used(net: Any, graph: Graph, algorithm: str) -> None:
    """Check that every convolution that has a tile of the algorithm went through it."""
    (plan,) = net._plans.values()
    used = {step.label for step in plan.steps if step.algorithm.startswith("winograd F")}
    wanted = {
        node.label
        for node in graph.nodes
        if any(tile.algorithm == algorithm for tile in tiles_of(node.op))
    }
    assert used == wanted
    assert wanted


@pytest.mark.parametrize("algorithm", sorted(TOLERANCES))
def test_residual_and_limits_are_part_of_the_tile(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = Value("x", floats(2, 24, 10, 13))
    op = Fused(
        base=conv.Conv(out_channels=24, kernel=(3, 3), stride=(1, 1), dilation=(1, 1)),
        activation=activation.Relu6(),
        residual=True,
    )
    parameters = [
        Parameter(Value(f"layer.{s.role}", TensorType(DType.FLOAT32, s.shape)), s)
        for s in op.parameters((x.type, x.type))
    ]
    names = tuple(p.value.name for p in parameters)
    node = Node(op, ("x", "x"), names, Value("y", x.type), "layer")
    graph = Graph("one", (Input(x),), tuple(parameters), (node,), (Output("y", "y"),))
    module = module_of(graph)
    monkeypatch.setattr(module, "WINOGRAD", algorithm)
    inputs, weights = random_arrays({"x": x.type}, seed=3), random_weights(graph, seed=3)
    inputs["x"] *= 4
    net = module.load(weights, threads=2)
    got = net(**inputs)
    check_used(net, graph, algorithm)
    expected = run(graph, wide(inputs), wide(weights))["y"]
    assert {0.0, 6.0} <= set(np.unique(expected))
    assert np.abs(got - expected).max() <= 6 * TOLERANCES[algorithm]


def test_a_tile_takes_at_most_eight_inputs() -> None:
    for kernels in KERNELS.values():
        for kernel in kernels:
            op = conv.Conv(out_channels=4, kernel=kernel, stride=(1,) * len(kernel))
            for tile in tiles_of(op):
                sides = zip(tile.m, window(kernel)[1:], tile.n, strict=True)
                assert all(n == m + k - 1 <= 8 for m, k, n in sides)


def wide(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: a.astype(np.float64) for name, a in arrays.items()}


def test_sums_in_common_are_made_once_and_change_nothing() -> None:
    """Transforms with such sums are the same matrices, exactly, by at most as many sums."""
    module = module_of(graph_of_cases(convolutions(2)[:1]))
    saved = {}
    for m, r in itertools.product((2, 4, 6), (2, 3)):
        a, _, b = module._winograd_matrices(m, m + r - 1)
        for name, matrix in (("outputs", a), ("inputs", b)):
            sums, rows = module._common_sums(matrix)
            values = np.eye(matrix.shape[1])
            for k, other, ratio in sums:
                assert ratio == np.float32(ratio)
                values = np.vstack([values, values[k] + ratio * values[other]])
            made = [sum(factor * values[k] for k, factor in row.items()) for row in rows]
            assert np.array_equal(made, matrix)
            terms = len(sums) + sum(len(row) - 1 for row in rows)
            saved[name, m, r] = np.count_nonzero(matrix) - len(matrix) - terms
    assert min(saved.values()) >= 0
    assert saved["inputs", 4, 3] == 4
    assert saved["inputs", 6, 3] == 12
    assert saved["outputs", 4, 3] == 2
