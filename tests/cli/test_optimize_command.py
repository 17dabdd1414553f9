"""`cnndsl optimize`: what it prints and writes, and that after an error nothing is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli.conftest import Command

HALF = ("--factorize", "spatial_svd,channel_output", "--budget", "macs=0.5x")


def test_a_program_becomes_smaller(cnndsl: Command) -> None:
    done = cnndsl("optimize", "net.cnn", *HALF, "--seed", 1, "-o", "s.cnn", "--report", "s.html")
    assert done.code == 0, done.err
    assert {p.name for p in Path().iterdir()} == {"net.cnn", "s.cnn", "s.safetensors", "s.html"}
    assert "APPROXIMATE" in done.out
    assert "s.cnn  " in done.out
    assert cnndsl("check", "s.cnn").code == 0
    assert cnndsl("verify", "s.cnn", "--weights", "s.safetensors").code == 0
    again = cnndsl("optimize", "net.cnn", *HALF, "--seed", 1, "--report", "s.html")
    assert again.code == 0, again.err


def test_nothing_is_written_unless_asked(cnndsl: Command) -> None:
    done = cnndsl("optimize", "net.cnn", *HALF, "--seed", 1, "--json")
    assert done.code == 0
    found = done.json
    assert found["files"] == []
    assert found["macs"][1] <= found["macs"][0] / 2
    assert [layer["name"] for layer in found["layers"]] == ["conv3x3", "dense"]
    assert {p.name for p in Path().iterdir()} == {"net.cnn"}


def test_a_layer_is_explained(cnndsl: Command) -> None:
    done = cnndsl("optimize", "net.cnn", *HALF, "--seed", 1, "--explain", "conv3x3")
    assert done.code == 0
    assert "3x3 to r, then 1x1: r (3*9 + 8) = 35 r parameters" in done.out


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        ((), 2, "say what to do: --factorize"),
        (("--factorize",), 2, "--budget"),
        ((*HALF, "-o", "small.txt"), 2, "ends in neither .cnn nor .onnx"),
        ((*HALF, "--report", "r.pdf"), 2, "ends in neither .html nor .md"),
        (HALF, 1, "CNN602"),
        (("--factorize", "--budget", "macs=0.0001x", "--seed", "0"), 1, "CNN652"),
        ((*HALF, "--seed", "0", "--explain", "relu"), 1, "CNN301"),
    ],
)
def test_mistakes(cnndsl: Command, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = cnndsl("optimize", "net.cnn", *arguments)
    assert done.code == code
    assert said in done.err
    assert {p.name for p in Path().iterdir()} == {"net.cnn"}


def test_mistakes_are_told_all_at_once(cnndsl: Command) -> None:
    done = cnndsl(
        "optimize", "net.cnn", "--factorize", "spatial_sdv,cp5", "--budget", "mac=1x", "--json"
    )
    assert done.code == 1
    assert [d["code"] for d in done.json["diagnostics"]] == ["CNN302", "CNN302", "CNN651"]
    assert "spatial_svd" in done.json["diagnostics"][0]["help"]


def test_all_that_is_wrong_is_told_before_anything_is_computed(cnndsl: Command) -> None:
    np.save("shape.npy", np.zeros((1, 2, 16, 16), np.float32))
    np.save("nan.npy", np.full((1, 3, 16, 16), np.nan, np.float32))
    Path("ranks.txt").write_text("conv3x3 channel_output 99\nfoo channel_output 1\n")
    Path("measure.py").write_text("def good(graph, weights): return True\n")
    done = cnndsl(
        "optimize", "net.cnn", "--factorize", "channel_output", "--ranks", "ranks.txt", "--budget",
        "macs=2x", "--calibrate", "shape.npy", "--calibrate", "nan.npy", "--calibrate", "none.npy",
        "--good-enough", "measure.py", "--explain", "conv3x4", "--json",
    )  # fmt: skip
    assert done.code == 1
    found = [(d["code"], d["message"]) for d in done.json["diagnostics"]]
    said = {
        "CNN301": "conv3x4",
        "CNN602": "none are given",
        "CNN651": "no share",
        "CNN653": "takes rank 1 to 8, got 99",
        "CNN655": "no layer 'foo'",
        "CNN656": "no function good_enough",
        "CNN801": "none.npy",
    }
    for code, part in said.items():
        assert any(c == code and part in m for c, m in found), (code, found)
    assert sum(code == "CNN803" for code, _ in found) == 2
    assert len(found) == len(said) + 2


def test_a_users_own_measure(cnndsl: Command) -> None:
    Path("measure.py").write_text(
        "from cnndsl.analysis.cost import summarize\n"
        "def good_enough(graph, weights):\n"
        "    assert set(weights) == {p.value.name for p in graph.parameters}\n"
        "    return summarize(graph).params > 120\n"
    )
    arguments = ("optimize", "net.cnn", "--factorize", "channel_output", "--seed", 1, "--json")
    done = cnndsl(*arguments, "--good-enough", "measure.py")
    assert done.code == 0, done.err
    assert 120 < done.json["params"][1] < done.json["params"][0]
    Path("measure.py").write_text("def good_enough(graph, weights):\n    return 1 / 0\n")
    done = cnndsl(*arguments, "--good-enough", "measure.py")
    assert done.code == 1
    (diagnostic,) = done.json["diagnostics"]
    assert diagnostic["code"] == "CNN656"
    assert "measure.py:2 raises ZeroDivisionError" in diagnostic["message"]


def test_an_architecture_to_train(cnndsl: Command) -> None:
    new = (
        "--factorize",
        "bottleneck_output",
        "--retrain",
        "--ranks",
        "usual",
        "--between",
        "bn,relu6",
    )
    done = cnndsl("optimize", "net.cnn", *new, "-o", "new.cnn")
    assert done.code == 0, done.err
    assert "RETRAIN" in done.out
    assert "conv3x3(4) -> bn -> relu6 -> conv1x1(8)" in Path("new.cnn").read_text()
    assert {p.name for p in Path().iterdir()} == {"net.cnn", "new.cnn"}
    assert cnndsl("check", "new.cnn").code == 0
    done = cnndsl("optimize", "net.cnn", *new, "--seed", "0", "--ranks", "energy=0.9")
    assert done.code == 1
    assert "CNN655" in done.err


def test_a_model_has_its_own_weights(cnndsl: Command) -> None:
    assert cnndsl("compile", "net.cnn", "--target", "onnx", "-o", "net.onnx").code == 0
    done = cnndsl("optimize", "net.onnx", *HALF, "--seed", "0")
    assert done.code == 2
    assert "holds its weights" in done.err
    done = cnndsl("optimize", "net.onnx", *HALF, "--set", "H=16", "--set", "W=16", "-o", "s.onnx")
    assert done.code == 0, done.err
    assert Path("s.onnx").stat().st_size < Path("net.onnx").stat().st_size
    done = cnndsl("optimize", "net.onnx", *HALF, "--set", "Z=16")
    assert done.code == 1
    assert "CNN317" in done.err
