"""The reference gradient: of whole networks, against differences of the reference's results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from properties.networks import (
    GraphBuilder,
    Network,
    float32,
    graph_of,
    int64,
    networks,
    random_weights,
)

from cnndsl.backends.reference.gradient import gradient
from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError
from cnndsl.ops.activation import Relu
from cnndsl.ops.base import Array
from cnndsl.ops.conv import Conv
from cnndsl.ops.elementwise import Add, Mul
from cnndsl.ops.embedding import Embedding
from cnndsl.passes.pipeline import optimize

CONV = Conv(out_channels=2, kernel=(3,), stride=(1,), dilation=(1,), bias=True)
STEPS = (1e-7, 1e-8, 1e-6)


def wide(arrays: dict[str, Array]) -> dict[str, Array]:
    return {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in arrays.items()}


def slope(network: Network, output: str, seed: Array, direction: Array, step: float) -> float:
    x, weights = wide(network.inputs)["x"], wide(network.weights)
    ahead, behind = (
        run(network.graph, {"x": x + s * direction}, weights)[output] for s in (step, -step)
    )
    return float((seed * (ahead - behind)).sum()) / (2 * step)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_gradient_is_the_slope_of_the_network(network: Network) -> None:
    rng = np.random.default_rng(network.seed)
    inputs, weights = wide(network.inputs), wide(network.weights)
    output = network.graph.outputs[0]
    seed = rng.standard_normal(network.graph.types[output.value].at(network.sizes))
    direction = rng.standard_normal(inputs["x"].shape)
    found = gradient(network.graph, inputs, weights, output.value, seed)
    along = float((found["x"] * direction).sum())
    # A kink between the two ends spoils a difference: it hardly lies within every step.
    slopes = (slope(network, output.name, seed, direction, step) for step in STEPS)
    assert any(along == pytest.approx(s, rel=1e-4, abs=1e-4) for s in slopes)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_passes_keep_the_gradient(network: Network) -> None:
    """Fused layers and folded norms give what the layers that they stand for give."""
    inputs, weights = wide(network.inputs), wide(network.weights)
    optimized = optimize(network.graph).graph
    results = {o.name: o.value for o in optimized.outputs}
    for output in network.graph.outputs:
        seed = np.random.default_rng(0).standard_normal(
            network.graph.types[output.value].at(network.sizes)
        )
        expected = gradient(network.graph, inputs, weights, output.value, seed)["x"]
        found = gradient(optimized, inputs, weights, results[output.name], seed)["x"]
        size = float(np.abs(expected).max()) or 1.0
        np.testing.assert_allclose(found / size, expected / size, atol=1e-9)


def test_a_value_read_twice_gets_both_parts() -> None:
    b = GraphBuilder()
    x = b.input("x", float32("N", 2))
    square = b.add(Mul(), x, x)
    graph = b.graph(b.add(Add(), square, x))
    found = gradient(graph, {"x": np.array([[3.0, -1.0]])}, {}, graph.outputs[0].value, ones(1, 2))
    np.testing.assert_array_equal(found["x"], [[7.0, -1.0]])


def ones(*shape: int) -> Array:
    return np.ones(shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unready(Relu):
    """A layer that cannot run."""

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        raise AssertionError("it was run")


def test_only_what_the_value_depends_on_is_run() -> None:
    b = GraphBuilder()
    x, other = b.input("x", float32("N", 2)), b.input("other", float32("N", 2))
    half = b.add(Relu(), x)
    b.add(Unready(), half)
    graph = b.graph(b.add(Add(), half, other))
    inputs = {"x": np.array([[3.0, -1.0]]), "other": np.array([[1.0, 1.0]])}
    found = gradient(graph, inputs, {}, half, ones(1, 2))
    np.testing.assert_array_equal(found["x"], [[1.0, 0.0]])
    np.testing.assert_array_equal(found["other"], [[0.0, 0.0]])
    found = gradient(graph, inputs, {}, "x", 2 * ones(1, 2))
    np.testing.assert_array_equal(found["x"], [[2.0, 2.0]])


def test_below_an_embedding_lie_its_vectors() -> None:
    b = GraphBuilder()
    words = b.input("words", int64("N", "L"))
    vectors = b.add(Embedding(entries=5, features=3), words)
    graph = b.graph(b.add(CONV, vectors))
    weights = random_weights(graph, 0)
    inputs = {"words": np.array([[0, 4, 2, 1]])}
    value, seed = graph.outputs[0].value, np.zeros((1, 2, 4))
    seed[0, 0, 1] = 1
    assert not gradient(graph, inputs, weights, value, seed)["words"].any()
    found = gradient(graph, inputs, weights, value, seed, at=[vectors])
    weight = next(w for n, w in weights.items() if n.startswith("conv") and n.endswith("weight"))
    np.testing.assert_allclose(found[vectors][0, :, :3], weight[0])
    assert not found[vectors][0, :, 3].any()


def test_what_does_not_fit_is_refused() -> None:
    graph = graph_of(CONV, [float32("N", 3, "L")])
    x = {"x": np.zeros((1, 3, 4), np.float32)}
    with pytest.raises(CompileError, match="CNN602"):
        gradient(graph, x, {}, "conv_0", np.zeros((1, 2, 4)))
    with pytest.raises(ValueError, match=r"shape \(1, 2, 5\), the value \(1, 2, 4\)"):
        gradient(graph, x, random_weights(graph, 0), "conv_0", np.zeros((1, 2, 5)))
