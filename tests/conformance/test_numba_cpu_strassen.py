"""Strassen's algorithm in the generated module: every kind of step, every way to share it out."""

from __future__ import annotations

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
from cnndsl.types.padding import Same

TOLERANCE = 5e-6
"""Largest error relative to the largest value: sums of sums round off more than plain ones."""

SHARES = (None, (False, 3, 1), (False, 17, 2), (True, 5, 1), (True, 100, 3))
"""(shared, tiles_each, parts); None is the cost model's own choice."""

CASES = (
    # operand, outputs, stride, residual: blocks in pairs, an even and an odd number of them
    (floats(1, 32, 40), 64, 1, False),
    (floats(2, 64, 13), 32, 1, True),  # 26 pixels in two samples, of which none is whole alone
    (floats(3, 96, 7), 160, 1, False),  # 21 pixels: the last one has no partner
    (floats(1, 32, 9, 11), 96, 2, True),
    (floats(1, 512, 14, 14), 64, 1, True),
    (floats(2, 64, 5, 5), 128, 1, False),
    (floats(1, 32, 3, 5, 7), 32, 1, True),
)


def convolution(rank: int, outputs: int, stride: int = 1, **more: Any) -> Conv:
    ones = (1,) * rank
    common = {"stride": (stride,) * rank, "dilation": ones, "padding": Same(), **more}
    return Conv(out_channels=outputs, kernel=ones, **common)


def network() -> Graph:
    """Return convolutions of every kind, whose results are the network's, and a joined sum."""
    b = GraphBuilder("strassen")
    ends = []
    for number, (x, outputs, stride, residual) in enumerate(CASES):
        conv = convolution(len(x.shape) - 2, outputs, stride, bias=number % 2 == 0)
        operands = [b.input(f"x{number}", x)]
        if residual:
            operands.append(b.input(f"r{number}", conv.infer([x])))
        activation = Relu6() if number % 3 == 0 else None
        ends.append(b.add(Fused(base=conv, residual=residual, activation=activation), *operands))
    sum_ = convolution(1, 64)
    total = b.add(sum_, b.input("first", floats(1, 32, 50)))
    for name, channels in (("second", 64), ("third", 32)):
        x = b.input(name, floats(1, channels, 50))
        total = b.add(Fused(base=sum_, residual=True), x, total)
    return b.graph(*ends, b.add(Relu6(), total))


def wide(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: a.astype(np.float64) for name, a in arrays.items()}


def test_every_step_equals_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = network()
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, seed=0)
    weights = random_weights(graph, seed=0)
    expected = run(graph, wide(inputs), wide(weights))
    module = module_of(graph)
    monkeypatch.setattr(module, "STRASSEN", "on")
    monkeypatch.setattr(module, "FUSE", "on")
    own = module._share_points
    for share in SHARES:
        monkeypatch.setattr(
            module, "_share_points", own if share is None else lambda *_, s=share: (0, *s)
        )
        results = []
        for threads in (1, 2, 5):
            net = module.load(weights, threads=threads)
            results.append(net(**inputs))
            (plan,) = net._plans.values()
            used = [s.algorithm for s in plan.steps if s.kernel is module.strassen]
            assert sorted(used) == ["strassen"] * len(CASES) + ["strassen, joined"]
        for name, value in expected.items():
            for result in results[1:]:
                np.testing.assert_array_equal(result[name], results[0][name], err_msg=name)
            error = np.abs(results[0][name] - value).max() / np.abs(value).max()
            assert error <= TOLERANCE, f"{share} {name}: {error:.2e}"


def test_what_cannot_be_halved_stays_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    b = GraphBuilder("odd")
    ends = [
        b.add(Relu6(), b.add(op, b.input(f"x{i}", x)))
        for i, (op, x) in enumerate((
            (convolution(1, 64), floats(1, 48, 20)),
            (convolution(1, 48), floats(1, 64, 20)),
            (convolution(1, 64, groups=2), floats(1, 64, 20)),
        ))
    ]  # fmt: skip
    graph = b.graph(*ends)
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, seed=0)
    weights = random_weights(graph, seed=0)
    module = module_of(graph)
    monkeypatch.setattr(module, "STRASSEN", "on")
    net = module.load(weights, threads=2)
    results = net(**inputs)
    (plan,) = net._plans.values()
    used = sum(s.algorithm == "strassen" for s in plan.steps)
    assert used == (2 if 48 % (2 * module.LANES) == 0 else 0)
    for name, value in run(graph, wide(inputs), wide(weights)).items():
        np.testing.assert_allclose(results[name], value, rtol=1e-5, atol=1e-5)


def test_the_cost_model_takes_it_where_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many channels, some pixels, on a processor that it was timed on; else if told to."""
    b = GraphBuilder("chosen")
    many, few = convolution(2, 512), convolution(2, 64)
    b.add(Relu6(), b.add(many, b.input("x", floats(1, 512, 28, 28))))
    b.add(Relu6(), b.add(few, b.input("z", floats(1, 64, 28, 28))))
    b.add(Relu6(), b.add(convolution(2, 2048), b.input("small", floats(1, 512, 7, 7))))
    graph = b.graph("relu6_1", "relu6_3", "relu6_5")
    module = module_of(graph)
    weights = random_weights(graph, seed=0)

    def used() -> set[str]:
        shapes = {i.value.name: i.value.type.at({}) for i in graph.inputs}
        plan = module.Plan(module.load(weights, threads=2), module.bind(shapes))
        return {s.label for s in plan.steps if s.kernel is module.strassen}

    if module.LANES < 16:
        pytest.skip("the figures are those of vectors of 16")
    own = module.PROCESSOR
    znver4 = {"PROCESSOR": "znver4", "DIRECT_CYCLES": 1.03, "TILE_CYCLES": 1, "FILL_CYCLES": 10,
              "DRAIN_CYCLES": 8, "CALL_CYCLES": 70, "NEAR_BYTES": 12, "FAR_BYTES": 12,
              "NEAR_WAIT": 0, "FAR_WAIT": 0, "KEPT": 0.75, "LAST_BYTES": np.inf}  # fmt: skip
    for name, value in znver4.items():
        monkeypatch.setattr(module, name, value)
    assert used() == {"conv_0"}
    with monkeypatch.context() as any_size:
        any_size.setattr(module, "STRASSEN_PIXELS", 1)
        assert used() == {"conv_0", "conv_4"}
    monkeypatch.setattr(module, "PROCESSOR", "another")
    assert used() == set()
    monkeypatch.setattr(module, "STRASSEN", "on")
    assert used() == {"conv_0", "conv_2", "conv_4"}
    monkeypatch.setattr(module, "STRASSEN", "off")
    monkeypatch.setattr(module, "PROCESSOR", own)
    assert used() == set()
