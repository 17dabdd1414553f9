"""`cnndsl optimize`: what it prints and writes, and that after an error nothing is written."""

from __future__ import annotations

from pathlib import Path

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
