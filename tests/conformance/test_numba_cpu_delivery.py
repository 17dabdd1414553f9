"""Convolutions that bring their result to the caller themselves, where nobody else reads it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conformance.cases import floats
from conformance.modules import module_of, random_arrays, random_weights
from properties.networks import GraphBuilder

from cnndsl.backends.reference.run import run
from cnndsl.ops.activation import Relu6, Sigmoid
from cnndsl.ops.conv import Conv
from cnndsl.ops.fused import Fused
from cnndsl.types.padding import Same

TOLERANCE = 2e-6
"""Largest error relative to the largest value: that of sums in float32."""

LARGE = 8192
"""Positions at which 48 channels take more than LENT_BYTES."""

CASES = (
    # operand, outputs, kernel, stride, residual
    (floats(1, 16, 64), 48, 1, 1, False),
    (floats(2, 17, 13), 33, 3, 1, True),
    (floats(3, 40, 100), 16, 2, 2, False),
    (floats(1, 16, 64), 5000, 1, 1, False),  # a chunk has whole cache lines, written past caches
    (floats(1, 16, 50), 5600, 1, 1, False),
    (floats(1, 16, LARGE), 48, 1, 1, False),
    (floats(1, 16, LARGE + 3), 47, 1, 1, True),
    (floats(2, 8, LARGE // 2), 50, 3, 1, False),
    (floats(1, 20, 7, 9), 35, 3, 1, True),
    (floats(2, 32, 30, 31), 16, 1, 2, False),
    (floats(1, 3, 40, 40), 2, 3, 1, False),
    (floats(1, 512, 4, 4), 300, 1, 1, True),
    (floats(2, 16, 3, 5, 16), 21, 2, 1, True),
)


def convolution(rank: int, outputs: int, kernel: int = 1, **more: Any) -> Conv:
    common = {"stride": (1,) * rank, "dilation": (1,) * rank, "padding": Same(), **more}
    return Conv(out_channels=outputs, kernel=(kernel,) * rank, **common)


def delivered(plan: Any, module: Any) -> list[str]:
    return [step.label for step in plan.steps if step.kernel is module.deliver]


def test_results_equal_those_of_two_steps_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    b = GraphBuilder("delivery")
    ends = []
    for number, (x, outputs, kernel, stride, residual) in enumerate(CASES):
        rank = len(x.shape) - 2
        conv = convolution(rank, outputs, kernel, stride=(stride,) * rank, bias=number % 2 == 0)
        operands = [b.input(f"x{number}", x)]
        if residual:
            operands.append(b.input(f"r{number}", conv.infer([x])))
        activation = Relu6() if number % 3 == 0 else None
        ends.append(b.add(Fused(base=conv, residual=residual, activation=activation), *operands))
    graph = b.graph(*ends)
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, seed=1)
    weights = random_weights(graph, seed=2)
    module = module_of(graph)
    monkeypatch.setattr(module, "WINOGRAD", "off")
    results = {}
    for fuse in ("off", "auto", "on"):
        monkeypatch.setattr(module, "FUSE", fuse)
        for threads in (1, 2, 5):
            net = module.load(weights, threads=threads)
            net(**{name: -values for name, values in inputs.items()})  # memory is used again
            results[fuse, threads] = net(**inputs)
            (plan,) = net._plans.values()
            assert sorted(delivered(plan, module)) == (sorted(ends) if fuse != "off" else [])
    wide = [{n: a.astype(np.float64) for n, a in arrays.items()} for arrays in (inputs, weights)]
    for name, value in run(graph, *wide).items():
        for made in results.values():
            np.testing.assert_array_equal(made[name], results["off", 1][name], err_msg=name)
        error = np.abs(results["off", 1][name] - value).max() / np.abs(value).max()
        assert error <= TOLERANCE, f"{name}: {error:.2e}"


def test_large_results_begin_with_a_cache_line() -> None:
    b = GraphBuilder("large")
    graph = b.graph(b.add(convolution(1, 48), b.input("x", floats(1, 16, LARGE))))
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, seed=1)
    module = module_of(graph)
    result = module.load(random_weights(graph, seed=2), threads=2)(**inputs)
    assert result.nbytes >= module.LENT_BYTES
    assert result.ctypes.data % module.ALIGNMENT == 0


def test_what_others_read_or_change_stays_in_the_arena() -> None:
    b = GraphBuilder("read")
    conv = convolution(1, 16)
    shown = b.add(conv, b.input("x", floats(1, 16, 64)))
    changed = b.add(Fused(base=conv, residual=False, activation=Sigmoid()), shown)
    last = b.add(conv, changed)
    graph = b.graph(shown, changed, last)
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, seed=1)
    weights = random_weights(graph, seed=2)
    module = module_of(graph)
    net = module.load(weights, threads=2)
    results = net(**inputs)
    (plan,) = net._plans.values()
    assert delivered(plan, module) == [last]
    for name, value in run(graph, inputs, weights).items():
        np.testing.assert_allclose(results[name], value, rtol=1e-5, atol=1e-5)
