"""Initial weights: scale by activation, and equal bytes for equal seeds."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.weights.initialize import _CHUNK, _normal, initialize


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
    assert digest == "d7ae0be3ff8a9246e5377a28b5ee14ce0e22bc4d9c9bd25f3a8688405373edeb"


def test_values_depend_on_name_and_seed_only(tmp_path: Path) -> None:
    small = initialize(graph_of(tmp_path, "output y = x -> conv3x3(8) -> relu\n"), 0)
    longer = graph_of(tmp_path, "output y = x -> conv3x3(8) -> relu -> conv3x3(8) -> relu\n")
    both = initialize(longer, 0)
    assert (both["conv3x3.weight"] == small["conv3x3.weight"]).all()
    assert (both["conv3x3_2.weight"].ravel()[:100] != both["conv3x3.weight"].ravel()[:100]).any()
    assert (initialize(longer, 1)["conv3x3.weight"] != both["conv3x3.weight"]).any()


def test_distribution_is_near_normal(tmp_path: Path) -> None:
    weight = initialize(graph_of(tmp_path, "output y = x -> conv3x3(900) -> relu\n"), 3)
    values = weight["conv3x3.weight"].ravel() / np.sqrt(2 / 576)
    # A sum of twelve has an excess kurtosis of -0.1, which moves these shares by up to 0.004.
    for deviations, share in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        assert (np.abs(values) < deviations).mean() == pytest.approx(share, abs=0.006)


@pytest.mark.parametrize("count", [1, 2, _CHUNK - 1, _CHUNK, 2 * _CHUNK + 5])
def test_every_number_is_the_sum_of_twelve(count: int) -> None:
    """However they are added up, and in whatever portions."""
    digest = hashlib.sha256(b"3:conv.weight").digest()
    bits = np.random.PCG64(int.from_bytes(digest, "little"))
    twelve = bits.random_raw(3 * count).view(np.uint16).reshape(count, 12)
    centred = twelve.sum(axis=1, dtype=np.int64) - 6 * (2**16 - 1)
    wanted = (centred * (0.1 / np.sqrt(2.0**32 - 1))).astype(np.float32)
    np.testing.assert_array_equal(_normal(3, "conv.weight", count, 0.1), wanted)
