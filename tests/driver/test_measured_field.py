"""Measured effective fields: the gradient of units, its energy and what is read off it."""

from __future__ import annotations

import numpy as np
import pytest
from properties.networks import GraphBuilder, float32, int64

from cnndsl.analysis.effective_field import effective_fields
from cnndsl.backends.reference.run import run
from cnndsl.backends.reference.statistics import with_statistics
from cnndsl.diagnostics import CompileError
from cnndsl.driver import memory
from cnndsl.driver.effective_field import Measured, measured, normalized_weights
from cnndsl.ops.activation import Relu
from cnndsl.ops.conv import Conv
from cnndsl.ops.elementwise import Add
from cnndsl.ops.embedding import Embedding
from cnndsl.ops.norm import BatchNorm
from cnndsl.ops.pool import GlobalAveragePool
from cnndsl.weights.initialize import initialize


def conv(k: int, stride: int = 1) -> Conv:
    window = {"kernel": (k, 1), "stride": (stride, 1), "dilation": (1, 1)}
    return Conv(out_channels=16, bias=False, **window)


def residual() -> tuple[GraphBuilder, str]:
    """Return a residual network with batch norms that looks along the first axis only."""
    b = GraphBuilder()
    v = b.add(conv(5, 2), b.input("x", float32("N", 3, "H", "W")))
    for _ in range(3):
        h = b.add(Relu(), b.add(BatchNorm(), b.add(conv(3), v)))
        v = b.add(Relu(), b.add(Add(), b.add(BatchNorm(), b.add(conv(3), h)), v))
    return b, v


def test_the_energy_is_that_of_every_channel_by_itself() -> None:
    """Random signs give the sum of the squares: exactly so for the whole of one linear layer."""
    b = GraphBuilder()
    op = Conv(out_channels=4, kernel=(3, 3), stride=(1, 1), dilation=(1, 1), bias=False)
    v = b.add(op, b.input("x", float32("N", 2, 9, 7)))
    graph = b.graph(v)
    weights = initialize(graph, 0)
    (weight,) = weights.values()
    found = measured(graph, weights, {}, v, samples=600)
    assert (found.unit, found.input, found.samples) == ((4, 3), "x", 600)
    expected = np.zeros((9, 7))
    expected[3:6, 2:5] = (weight.astype(np.float64) ** 2).sum(axis=(0, 1)) / 4
    np.testing.assert_allclose(found.energy, expected, rtol=0.25)


def test_a_residual_network_spreads_as_the_closed_form_says() -> None:
    b, v = residual()
    graph, sizes = b.graph(v), {"H": 60, "W": 2}
    steps: list[str] = []
    totals = np.zeros((60, 2))
    for seed in range(12):
        weights = normalized_weights(graph, {"H": 200, "W": 8}, seed, steps.append)
        totals += measured(graph, weights, sizes, v, 3, seed, steps.append).energy
    assert "gradient 2 of 3" in steps
    assert "statistics of the batch norms" in steps
    found = Measured(v, (15, 1), "x", totals, 36)
    expected = effective_fields(graph, sizes).of(v)
    assert expected is not None
    assert found.sigma_px[0] == pytest.approx(expected[0].sigma_px, rel=0.08)
    assert found.sigma_px[1] == pytest.approx(0, abs=1e-6)
    assert found.centre_px[0] == pytest.approx(30 + expected[0].centre, abs=0.5)
    assert found.centre_px[1] == pytest.approx(1)


def test_statistics_make_norms_normalise() -> None:
    b, v = residual()
    norm = next(n.output.name for n in b.nodes if isinstance(n.op, BatchNorm))
    graph = b.graph(v, norm)
    x = np.random.default_rng(0).normal(3.0, 2.0, (4, 3, 20, 6))
    weights = with_statistics(graph, {"x": x}, initialize(graph, 1))
    assert all(w.dtype == np.float32 for w in weights.values())
    normal = run(graph, {"x": x}, weights)[norm]
    np.testing.assert_allclose(normal.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(normal.var(axis=(0, 2, 3)), 1, rtol=1e-3)


def test_a_chosen_unit_and_a_unit_at_the_border() -> None:
    b = GraphBuilder()
    v = b.add(conv(5), b.input("x", float32("N", 3, 20, 4)))
    graph = b.graph(v)
    found = measured(graph, initialize(graph, 0), {}, v, unit=(0, 3))
    assert found.unit == (0, 3)
    assert np.argwhere(found.energy).tolist() == [[0, 3], [1, 3], [2, 3]]


def test_words_are_measured_at_their_vectors() -> None:
    b = GraphBuilder()
    words = b.input("words", int64("N", 12))
    op = Conv(out_channels=8, kernel=(3,), stride=(1,), dilation=(1,), bias=False)
    v = b.add(op, b.add(Embedding(entries=9, features=4), words))
    graph = b.graph(v)
    found = measured(graph, initialize(graph, 0), {}, v)
    assert np.flatnonzero(found.energy).tolist() == [5, 6, 7]


def test_a_value_without_a_map_is_one_unit() -> None:
    b = GraphBuilder()
    v = b.add(GlobalAveragePool(), b.input("x", float32("N", 3, 4, 5)))
    found = measured(b.graph(v), {}, {}, v)
    assert found.unit == ()
    np.testing.assert_allclose(found.energy, 1 / 400)


def test_shares_and_extents() -> None:
    energy = np.zeros((1, 100))
    energy[0, 10:20] = 2.0
    found = Measured("v", (0, 15), "x", energy, 1)
    assert found.centre_px == (0, 14.5)
    assert found.sigma_px == pytest.approx((0, np.sqrt(99 / 12)))
    assert found.extent_px(0.5) == (1, 6)
    assert found.extent_px(1.0)[1] == 10


def test_silence_is_told() -> None:
    b = GraphBuilder()
    v = b.add(Relu(), b.add(conv(3), b.input("x", float32("N", 3, 6, 6))))
    graph = b.graph(v)
    weights = {name: np.zeros_like(w) for name, w in initialize(graph, 0).items()}
    found = measured(graph, weights, {}, v)
    assert found.silent
    with pytest.raises(ValueError, match="no gradient of relu_1 arrives at x"):
        _ = found.sigma_px


def test_what_cannot_be_measured_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    b, v = residual()
    graph = b.graph(v)
    with pytest.raises(CompileError, match="CNN207"):
        measured(graph, initialize(graph, 0), {"H": 8}, v)
    monkeypatch.setattr(memory, "physical_bytes", lambda: 100_000)
    with pytest.raises(CompileError, match=r"CNN401.*which its gradients need"):
        measured(graph, initialize(graph, 0), {"H": 64, "W": 64}, v)
