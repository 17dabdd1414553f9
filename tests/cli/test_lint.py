"""`cnndsl lint`: what it prints and how it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnndsl.weights import files, npz


@pytest.fixture
def weighted(cnndsl: Any) -> Any:
    """Return the command's runner, beside weights with dead channels, and inputs."""
    assert cnndsl("init", "net.cnn", "-o", "w.npz").code == 0
    weights = dict(files.read(Path("w.npz")))
    bias = weights["bn.bias"].copy()
    bias[[1, 4, 5, 6]] = -100
    Path("dead.npz").write_bytes(npz.serialize({**weights, "bn.bias": bias}))
    Path("data").mkdir()
    for number in range(2):
        x = np.random.default_rng(number).standard_normal((3, 3, 16, 16))
        np.save(f"data/{number}.npy", x.astype(np.float32))
    return cnndsl


def test_dead_channels_are_listed(weighted: Any) -> None:
    outcome = weighted("lint", "net.cnn", "--weights", "dead.npz", "--input", "data")
    assert outcome.code == 0
    (row,) = [line for line in outcome.out.splitlines() if "never fire" in line]
    assert row.split(None, 6)[:5] == ["relu", "relu", "8", "4", "50.0%"]
    assert row.rstrip().endswith("never fire: 1, 4-6")
    assert "4 of 8 channels dead, in 1 of 1 activations, over 6 samples" in outcome.out


def test_strict_fails_on_dead_channels_only(weighted: Any) -> None:
    common = ("--input", "data/0.npy", "--input", "data/1.npy", "--strict")
    assert weighted("lint", "net.cnn", "--weights", "dead.npz", *common).code == 1
    outcome = weighted("lint", "net.cnn", "--weights", "w.npz", *common)
    assert outcome.code == 0
    assert outcome.out == "0 of 8 channels dead, in 0 of 1 activations, over 6 samples\n"


def test_json(weighted: Any) -> None:
    given = ("lint", "net.cnn", "--weights", "dead.npz", "--input", "data", "--json")
    outcome = weighted(*given, "--backend", "reference")
    data = outcome.json
    (layer,) = data["layers"]
    assert 0.1 < layer.pop("active_share") < 0.4
    assert data == {
        "ok": True,
        "network": "net",
        "samples": 6,
        "channels": 8,
        "dead": 4,
        "layers": [layer],
        "diagnostics": [],
    }
    assert layer == {
        "name": "relu",
        "op": "relu",
        "line": 3,
        "channels": 8,
        "dead": 4,
        "silent": [1, 4, 5, 6],
        "saturated": [],
        "stuck": [],
    }
    strict = weighted(*given, "--strict")
    assert (strict.code, strict.json["ok"]) == (1, False)


def test_random_weights_are_refused(weighted: Any) -> None:
    outcome = weighted("lint", "net.cnn", "--input", "data")
    assert outcome.code == 2
    assert "lint needs the trained weights" in outcome.err


def test_a_network_that_cannot_die(cnndsl: Any) -> None:
    Path("smooth.cnn").write_text("network s\ninput x: float32[N, 3]\noutput y = x -> gelu\n")
    Path("w.npz").write_bytes(npz.serialize({}))
    np.save("x.npy", np.zeros((1, 3), np.float32))
    outcome = cnndsl("lint", "smooth.cnn", "--weights", "w.npz", "--input", "x.npy", "--strict")
    assert outcome.code == 0
    assert outcome.out == "no activation of the network has a flat side: no unit can die\n"
