"""Sums of convolutions in one step: every kind, joined where and only where nobody else looks."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from conformance.cases import floats
from conformance.modules import module_of, random_arrays, random_weights
from properties.networks import GraphBuilder

from cnndsl.backends.reference.run import run
from cnndsl.ir.graph import Graph
from cnndsl.ops.activation import Relu6
from cnndsl.ops.conv import Conv
from cnndsl.ops.fused import Fused
from cnndsl.types.padding import Causal, Explicit, Valid

TOLERANCE = 2e-6
"""Largest error relative to the largest value: that of two sums in float32."""

KERNELS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((1,), (2,), (3,)),
    2: ((1, 1), (1, 1), (2, 3)),
    3: ((1, 1, 1), (1, 2, 2)),
}
SUMS = 16


@dataclass(frozen=True)
class Sums:
    """A network of sums, and the labels of the convolutions that can share a step."""

    graph: Graph
    together: frozenset[tuple[str, ...]]


def sums(rank: int) -> Sums:
    """Return sums of 2 to 5 convolutions: kernels, channels, sizes and breaks by a fixed seed."""
    chosen = random.Random(rank)
    b = GraphBuilder("sums")
    ends: list[str] = []
    groups: list[list[str]] = []
    for number in range(SUMS):
        n, out = chosen.choice((1, 1, 3)), chosen.choice((20, 33, 48))
        space = tuple(chosen.randint(6, 12) for _ in range(rank))
        common: dict[str, Any] = {
            "out_channels": out, "kernel": chosen.choice(KERNELS[rank]),
            "stride": (chosen.choice((1, 2)),) * rank, "dilation": (1,) * rank, "padding": Valid(),
        }  # fmt: skip
        if rank == 1 and n == 1 and chosen.random() < 0.5:  # of one row: zeros around do no harm
            common["padding"] = Causal()
        channels = chosen.choice((16, 17, 40))
        y = Conv(**common).infer([floats(n, channels, *space)])
        total = b.input(f"r{number}", y) if chosen.random() < 0.5 else None
        groups.append([])
        for term in range(chosen.randint(2, 5)):
            odd = chosen.choice(("", "", "", "activation", "output", "padding" if rank > 1 else ""))
            x, conv = floats(n, channels, *space), Conv(**common, bias=chosen.random() < 0.5)
            if odd == "padding":  # rows of another length: no part of the sum before
                x = floats(n, channels, *(e - 1 for e in space))
                conv = replace(conv, padding=Explicit(((1, 0),) * rank))
                groups.append([])
            operands = [b.input(f"x{number}_{term}", x), *([total] if total else [])]
            activation = Relu6() if odd == "activation" else None
            op = Fused(base=conv, residual=total is not None, activation=activation)
            total = b.add(op, *operands)
            groups[-1].append(total)
            if odd:  # rows of its own, or others want the result as it is
                groups.append([])
            if odd == "output":
                ends.append(total)
        ends += [] if total in ends or total is None else [total]
    return Sums(b.graph(*ends), frozenset(tuple(g) for g in groups if len(g) > 1))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_sums_equal_the_definition(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sums(rank)
    assert len(made.together) > 4
    inputs = random_arrays({i.value.name: i.value.type for i in made.graph.inputs}, seed=rank)
    weights = random_weights(made.graph, seed=rank)
    expected = run(made.graph, wide(inputs), wide(weights))
    module = module_of(made.graph)
    monkeypatch.setattr(module, "WINOGRAD", "off")
    results, held = {}, {}
    for fuse in ("off", "auto", "on"):
        monkeypatch.setattr(module, "FUSE", fuse)
        net = module.load(weights, threads=2)
        results[fuse] = net(**inputs)
        (plan,) = net._plans.values()
        joint = {tuple(p.label for p in s.parts) for s in plan.steps if s.parts}
        if fuse == "auto":  # some, or parts of some
            assert joint
            assert all(any(set(own) <= set(group) for group in made.together) for own in joint)
        else:
            assert joint == (made.together if fuse == "on" else set())
        held[fuse] = sum(v.nbytes for key, v in net._packed.items() if key[0] != "sum")
        for name, value in expected.items():
            error = np.abs(results[fuse][name] - value).max() / np.abs(value).max()
            assert error <= TOLERANCE, f"{fuse}, {name}: {error:.2e}"
    assert held["on"] == held["off"]  # weights are packed once, whatever their order


def wide(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: a.astype(np.float64) for name, a in arrays.items()}
