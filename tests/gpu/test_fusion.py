"""Pairs of convolutions in one kernel: every kind, against `evaluate` and against two kernels."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conformance.cases import floats
from conformance.modules import random_arrays, random_weights
from gpu.modules import error, module_of
from properties.networks import GraphBuilder
from properties.tied import TIED

from cnndsl.backends.numba_cuda.options import Options
from cnndsl.backends.reference.run import run
from cnndsl.ir.graph import Graph
from cnndsl.ops.activation import Relu, Relu6, Silu
from cnndsl.ops.base import Op, OpError
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.fused import Fused
from cnndsl.passes.pipeline import optimize
from cnndsl.types.padding import Explicit, Same, Valid
from cnndsl.types.tensor import TensorType

TOLERANCE = 3e-6
PAIRS = 8


Pair = tuple[TensorType, Op, Op]


def graph_of_pairs(seed: int, draw: Callable[[random.Random], Pair]) -> Graph:
    """Return PAIRS of legal convolutions, some with an activation between or a residual behind."""
    chosen = random.Random(seed)
    b = GraphBuilder("pairs")
    ends: list[Any] = []
    while len(ends) < PAIRS:
        x, first, second = draw(chosen)
        if chosen.random() < 0.7:
            first = Fused(base=first, activation=chosen.choice((Relu6(), Silu())))
        try:
            m = first.infer([x])
            y = second.infer([m])
        except OpError:
            continue
        between = b.add(first, b.input(f"x{len(ends)}", x))
        others = []
        if chosen.random() < 0.5:
            second = Fused(base=second, activation=Relu(), residual=True)
            others.append(b.input(f"r{len(ends)}", y))
        ends.append(b.add(second, between, *others))
    return b.graph(*ends)


def separable(chosen: random.Random) -> Pair:
    """Draw a depthwise convolution and the 1x1 convolution that reads it."""
    space = chosen.randint(3, 7), chosen.randint(4, 8)
    first = DepthwiseConv(
        kernel=chosen.choice(((3, 3), (5, 3), (1, 2))),
        stride=chosen.choice(((1, 1), (2, 2), (1, 2))),
        dilation=chosen.choice(((1, 1), (1, 1), (2, 1))),
        padding=chosen.choice((Same(), Valid(), Explicit(((1, 0), (2, 1))))),
        bias=chosen.random() < 0.5,
    )
    second = Conv(
        out_channels=chosen.choice((5, 33)),
        kernel=(1, 1),
        stride=(1, 1),
        dilation=(1, 1),
        padding=Valid(),
        bias=chosen.random() < 0.5,
    )
    return floats(chosen.choice((1, 2)), chosen.choice((3, 9, 20)), *space), first, second


def factorized(chosen: random.Random) -> Pair:
    """Draw convolutions with few channels between: kx1 and 1xk, bottlenecks in both orders."""
    x = floats(chosen.choice((1, 2)), chosen.choice((3, 9)), *chosen.choice(((5, 7), (9, 4))))
    kernels = chosen.choice((((3, 1), (1, 3)), ((1, 5), (4, 1)), ((3, 3), (1, 1))))
    kernels = kernels if chosen.random() < 0.7 else kernels[::-1]
    first = convolution(chosen, chosen.choice((2, 11, 16)), kernels[0], strided=True)
    second = convolution(chosen, chosen.choice((5, 20)), kernels[1], strided=False)
    return x, first, second


def convolution(
    chosen: random.Random, channels: int, kernel: tuple[int, int], *, strided: bool
) -> Conv:
    return Conv(
        out_channels=channels,
        kernel=kernel,
        stride=chosen.choice(((1, 1), (2, 1), (2, 2))) if strided else (1, 1),
        dilation=chosen.choice(((1, 1), (1, 2))),
        padding=chosen.choice((Same(), Valid(), Explicit(((1, 0), (2, 1))))),
        bias=chosen.random() < 0.5,
    )


GRAPHS = {"pair": graph_of_pairs(1, separable), "chain": graph_of_pairs(2, factorized)}


@pytest.mark.parametrize("kind", GRAPHS)
def test_pairs_equal_the_definition(kind: str) -> None:
    graph = GRAPHS[kind]
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, seed=2)
    weights = random_weights(graph, seed=2)
    wide = {n: v.astype(np.float64) for n, v in inputs.items()}
    expected = run(graph, wide, {n: v.astype(np.float64) for n, v in weights.items()})
    for fuse in ("on", "off"):
        module = module_of(graph, Options(fuse=fuse, winograd="off"))
        plan = module.Plan(module.Paper(), {})
        kernels = [module._kernel_name(step.kernel) for step in plan.steps]
        assert kernels.count(kind) == (PAIRS if fuse == "on" else 0)
        got = module.load(weights)(**inputs)
        assert max(error(got[n], expected[n]) for n in expected) <= TOLERANCE


def test_a_map_that_others_read_is_made() -> None:
    b = GraphBuilder("shared")
    x = b.input("x", floats(1, 4, 5, 5))
    first = DepthwiseConv(kernel=(3, 3), stride=(1, 1), dilation=(1, 1), padding=Same(), bias=False)
    second = Conv(
        out_channels=4, kernel=(1, 1), stride=(1, 1), dilation=(1, 1), padding=Valid(), bias=False
    )
    between = b.add(first, x)
    graph = b.graph(b.add(second, between), between)
    module = module_of(graph, Options(fuse="on"))
    plan = module.Plan(module.Paper(), {})
    assert "pair" not in {module._kernel_name(step.kernel) for step in plan.steps}


@pytest.mark.parametrize("fuse", ["on", "off"])
@pytest.mark.parametrize("graph", TIED.values(), ids=TIED)
def test_layers_with_the_same_weights(graph: Graph, fuse: str) -> None:
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, seed=3)
    weights = random_weights(graph, seed=3)
    got = module_of(optimize(graph).graph, Options(fuse=fuse)).load(weights)(**inputs)
    got = got if isinstance(got, dict) else {graph.outputs[0].name: got}
    for name, expected in run(graph, inputs, weights).items():
        assert error(got[name], expected) <= TOLERANCE, name
