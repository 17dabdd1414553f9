"""Pairs of convolutions in bands: every kind, every way to share the work out."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from conformance.cases import floats
from conformance.modules import module_of, random_arrays, random_weights
from properties.networks import GraphBuilder

from cnndsl.backends.reference.run import run
from cnndsl.ir.graph import Graph
from cnndsl.ops.activation import Relu, Relu6
from cnndsl.ops.base import Op, OpError
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.fused import Fused
from cnndsl.types.padding import Causal, Explicit, Same, Valid

TOLERANCE = 2e-6
"""Largest error relative to the largest value: that of two sums in float32."""

SHARES = (None, (1, 4, 1), (2, 5, 2), (3, 300, 1), (5, 1, 3), (100, 100, 100))
"""(rows, columns, pairs of blocks) of a chunk; None is the cost model's own choice."""

KERNELS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((1,), (3,), (4,)),
    2: ((1, 1), (3, 3), (3, 1), (1, 5), (2, 2)),
    3: ((1, 1, 1), (1, 3, 3), (2, 1, 3)),
}
PAIRS = 18


def pairs(rank: int) -> Graph:
    """Return a network of pairs: kernels, strides, groups, paddings and sizes by a fixed seed."""
    chosen = random.Random(rank)
    b = GraphBuilder("pairs")
    ends = []
    while len(ends) < PAIRS:
        space = {1: (chosen.randint(5, 40),), 2: (chosen.randint(4, 14), chosen.randint(4, 19)),
                 3: (2, chosen.randint(4, 8), chosen.randint(4, 9))}[rank]  # fmt: skip
        channels = chosen.choice((8, 17, 40))
        first, second = (convolution(chosen, rank, channels) for _ in range(2))
        x = floats(chosen.choice((1, 3)), channels, *space)
        first = Fused(base=first, activation=Relu()) if chosen.random() < 0.5 else first
        try:
            m = first.infer([x])
            y = second.infer([m])
        except OpError:  # the kernel does not fit, or the groups
            continue
        if set(m.spatial) == {1} or set(y.spatial) == {1}:  # dense layers in disguise
            continue
        between = b.add(first, b.input(f"x{len(ends)}", x))
        others = []
        if chosen.random() < 0.4:
            second = Fused(base=second, activation=Relu6(), residual=True)
            others.append(b.input(f"r{len(ends)}", y))
        ends.append(b.add(second, between, *others))
    return b.graph(*ends)


def convolution(chosen: random.Random, rank: int, channels: int) -> Op:
    """Return one that keeps its channels in half of the cases, with groups or without."""
    kernel = chosen.choice(KERNELS[rank])
    padding = chosen.choice(
        (Same(), Valid(), Explicit(tuple((chosen.randint(0, 3), 1) for _ in range(rank))))
        + ((Causal(),) if rank == 1 else ())
    )
    common: dict[str, Any] = {
        "kernel": kernel, "padding": padding, "bias": chosen.random() < 0.5,
        "stride": (1,) * (rank - 1) + (chosen.choice((1, 1, 2)),) if rank == 3
        else tuple(chosen.choice((1, 1, 2)) for _ in range(rank)),
        "dilation": (1,) * rank if rank == 3 else (chosen.choice((1, 1, 2)),) * rank,
    }  # fmt: skip
    kind = chosen.choice(("dense", "dense", "depthwise", "grouped"))
    if kind == "depthwise":
        return DepthwiseConv(**common)
    if kind == "grouped":
        return Conv(out_channels=channels, groups=channels // 4 or 1, **common)
    return Conv(out_channels=chosen.choice((channels, 20, 33)), **common)


def is_direct(op: Op, channels: int, lanes: int) -> bool:
    """Say whether a convolution is one step: whole, or in groups that fill blocks together."""
    base = op.base if isinstance(op, Fused) else op
    if isinstance(base, DepthwiseConv):
        return base.multiplier == 1
    assert isinstance(base, Conv)
    width = channels // base.groups
    together = base.out_channels == channels and width < lanes and lanes % width == 0
    return base.groups == 1 or together


def joint_labels(graph: Graph, lanes: int) -> set[str]:
    """Return the labels of the pairs that can share a step."""
    found = set()
    for node in graph.nodes:
        made = graph.producers.get(node.inputs[0])
        base = node.op.base if isinstance(node.op, Fused) else node.op
        if made is None:
            continue
        assert isinstance(base, Conv | DepthwiseConv)
        ops = [(n.op, graph.types[n.inputs[0]].channels) for n in (made, node)]
        pads = base.padding.pairs[0] if isinstance(base.padding, Explicit) else (0, 0)
        flat = len(base.kernel) < 3 or (base.kernel[0] == 1 and pads[0] == 0)
        if flat and all(is_direct(op, c, lanes) for op, c in ops):
            found.add(f"{made.label} + {node.label}")
    return found


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pairs_equal_the_definition(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = pairs(rank)
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, seed=rank)
    weights = random_weights(graph, seed=rank)
    expected = run(graph, wide(inputs), wide(weights))
    module = module_of(graph)
    own = module._band_share
    monkeypatch.setattr(module, "WINOGRAD", "off")
    monkeypatch.setattr(module, "FUSE", "off")
    apart = module.load(weights, threads=2)(**inputs)
    monkeypatch.setattr(module, "FUSE", "on")
    for turn, share in enumerate(SHARES):

        def fixed(plan: Any, first: Any, second: Any, share: Any = share) -> Any:
            y, m = second.window.y, second.window.x
            rows, cols, pairs_each = share
            pairs_each = pairs_each if second.window.by_block else m.blocks
            return module.Share(0.0, min(rows, y.h), min(cols, y.w), pairs_each)

        monkeypatch.setattr(module, "_band_share", fixed if share else own)
        net = module.load(weights, threads=1 + turn % 2)
        got = net(**inputs)
        (plan,) = net._plans.values()
        assert {s.label for s in plan.steps if s.parts} == joint_labels(graph, module.LANES)
        for name, value in expected.items():
            error = np.abs(got[name] - value).max() / np.abs(value).max()
            assert error <= TOLERANCE, f"{share}, {name}: {error:.2e}"
            np.testing.assert_array_equal(got[name], apart[name])  # the same sums


def wide(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: a.astype(np.float64) for name, a in arrays.items()}
