"""Initial weights: scale by activation, and equal bytes for equal seeds."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.weights.initialize import (
    _CHUNK,
    _PIECE,
    RandomWeights,
    _ahead,
    _Normal,
    _quantiles,
    initialize,
)
from cnndsl.weights.safetensors import serialize


def graph_of(tmp_path: Path, body: str) -> Graph:
    path = tmp_path / "net.cnn"
    path.write_text("network net\ninput x: float32[N, 64, 8, 8]\n" + body)
    return load(path).graph


@pytest.mark.parametrize(
    ("after", "variance"),
    [
        ("relu", 2 / 576),
        ("bn -> relu", 2 / 576),
        ("prelu", 2 / 576),
        ("bn -> dropout(0.1) -> leaky_relu", 2 / 576),
        ("selu", 1 / 576),
        ("bn -> selu", 1 / 576),
        ("tanh", 2 / (576 + 128 * 9)),
        ("maxpool2x2 -> relu", 2 / (576 + 128 * 9)),
    ],
)
def test_scale_follows_the_activation(tmp_path: Path, after: str, variance: float) -> None:
    graph = graph_of(tmp_path, f"output y = x -> conv3x3(128) -> {after}\n")
    weight = initialize(graph, 0)["conv3x3.weight"]
    assert weight.dtype == np.float32
    assert weight.var() == pytest.approx(variance, rel=0.02)
    assert abs(weight.mean()) < 0.01 * weight.std()


def test_residual_layers_are_scaled_for_the_relu_behind_the_sum(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, "output y = x + (x -> conv3x3(64) -> bn) -> relu\n")
    assert initialize(graph, 0)["conv3x3.weight"].var() == pytest.approx(2 / 576, rel=0.03)


def test_fill_values(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, "output y = x -> conv3x3(4) -> bn -> prelu -> conv1x1(2)\n")
    weights = initialize(graph, 0)
    assert (weights["bn.weight"] == 1).all()
    assert (weights["bn.running_var"] == 1).all()
    assert (weights["bn.running_mean"] == 0).all()
    assert (weights["prelu.weight"] == 0.25).all()
    assert (weights["conv1x1.bias"] == 0).all()


def test_bytes_are_the_same_everywhere(tmp_path: Path) -> None:
    """A fixed digest: another machine, NumPy or hash seed must not change it."""
    graph = graph_of(tmp_path, "output y = x -> conv3x3(16) -> relu\n")
    weight = initialize(graph, 7)["conv3x3.weight"]
    digest = hashlib.sha256(weight.astype("<f4").tobytes()).hexdigest()
    assert digest == "b3fe52c0a9a6b1ca05d4f50950e9365baedf3a87d6bed1d469bf6ed46489fcce"


def test_values_depend_on_name_and_seed_only(tmp_path: Path) -> None:
    small = initialize(graph_of(tmp_path, "output y = x -> conv3x3(8) -> relu\n"), 0)
    longer = graph_of(tmp_path, "output y = x -> conv3x3(8) -> relu -> conv3x3(8) -> relu\n")
    both = initialize(longer, 0)
    assert (both["conv3x3.weight"] == small["conv3x3.weight"]).all()
    assert (both["conv3x3_2.weight"].ravel()[:100] != both["conv3x3.weight"].ravel()[:100]).any()
    assert (initialize(longer, 1)["conv3x3.weight"] != both["conv3x3.weight"]).any()


def test_distribution_is_normal(tmp_path: Path) -> None:
    weight = initialize(graph_of(tmp_path, "output y = x -> conv3x3(900) -> relu\n"), 3)
    values = weight["conv3x3.weight"].ravel() / np.sqrt(2 / 576)
    for deviations, share in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        assert (np.abs(values) < deviations).mean() == pytest.approx(share, abs=0.002)
    assert (values**4).mean() == pytest.approx(3, abs=0.04)
    lags = [np.corrcoef(values[:-lag], values[lag:])[0, 1] for lag in (1, 2, 3, 4, 64)]
    assert np.abs(lags).max() < 0.01


def test_quantiles_are_those_of_a_normal_distribution() -> None:
    whole, deviation = _quantiles()
    assert (whole == -whole[::-1]).all()
    below = [NormalDist().cdf(q / 2**20) for q in whole.tolist()]
    assert np.abs(below - (np.arange(2**16) + 0.5) / 2**16).max() < 1e-6
    assert deviation == np.sqrt((whole.astype(object) ** 2).sum() / 2**16)


def test_quantiles_do_not_depend_on_last_bits() -> None:
    """Another logarithm, however bad in its last eight bits, rounds to the same whole numbers."""
    exact = [NormalDist().inv_cdf((i + 0.5) / 2**16) * 2**20 for i in range(2**15)]
    from_a_half = np.abs(np.abs(np.array(exact)) % 1 - 0.5)
    assert from_a_half.min() > 2**8 * np.spacing(np.abs(exact).max())


@pytest.mark.parametrize("count", [1, 6, _CHUNK, _CHUNK + 1, 2 * _PIECE + 5])
def test_every_number_is_a_quantile_that_16_bits_choose(count: int) -> None:
    """Whichever thread draws a piece, and in whatever portions."""
    whole, deviation = _quantiles()
    values = np.empty(count, np.float32)
    for start in reversed(range(0, count, _PIECE)):
        _Normal((count,), 3, "conv.weight", 0.1).fill(start, values[start : start + _PIECE])
    chosen: list[int] = []
    for start in range(0, count, _PIECE):
        digest = hashlib.sha256(b"3:conv.weight:%d" % start).digest()
        words = np.random.SFC64(int.from_bytes(digest, "little")).random_raw(_PIECE // 4)
        chosen += [w >> shift & 0xFFFF for w in words.tolist() for shift in (0, 16, 32, 48)]
    wanted = (whole[chosen[:count]] * (0.1 / deviation)).astype(np.float32)
    np.testing.assert_array_equal(values, wanted)


def test_threads_may_take_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces come in order and whole, whichever is ready first, though buffers are few."""
    monkeypatch.setattr("cnndsl.weights.initialize._PIECE", 4)

    def fill(start: int, piece: Array) -> None:
        time.sleep(0.002 * (start % 3))
        piece[:] = np.arange(start, start + piece.size)

    tasks = [(fill, start, min(4, 101 - start)) for start in range(0, 101, 4)]
    drawn = np.concatenate([piece.copy() for piece in _ahead(tasks)])
    np.testing.assert_array_equal(drawn, np.arange(101))


def test_pieces_are_the_tensors(tmp_path: Path) -> None:
    body = "output y = x -> conv3x3(500) -> bn -> relu -> conv1x1(4)\n"
    weights = RandomWeights(graph_of(tmp_path, body), 0)
    names = sorted(weights)
    pieces = np.concatenate([piece.copy() for piece in weights.pieces(names)])
    assert pieces.size > _PIECE
    np.testing.assert_array_equal(pieces, np.concatenate([weights[n].ravel() for n in names]))
    assert bytes(serialize(weights)) == bytes(serialize(dict(weights)))
