"""`cnndsl import`: what it writes and says; and that after an error nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from importers.onnx_models import made, node, random

from cnndsl.backends.reference.run import run
from cnndsl.cli.failure import guarded
from cnndsl.cli.main import cli
from cnndsl.driver.choice import Choice
from cnndsl.driver.prepare import prepare


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(path: Path, op: str = "Relu") -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "w", "b"], ["a"], pads=[1, 1, 1, 1]),
        node(op, ["a"], ["c"], name="act"),
        node("GlobalAveragePool", ["c"], ["d"]),
        node("Flatten", ["d"], ["y"]),
    ]
    tensors = {"w": random(8, 3, 3, 3), "b": random(8)}
    model = made(nodes, {"x": ("N", 3, "H", "W")}, tensors)
    model.producer_name, model.producer_version = "pytorch", "2.9"
    onnx.save(model, path)
    return model


def test_a_model_becomes_a_program_and_its_weights(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(folder / "tiny.onnx")
    assert guarded(cli, ["import", "tiny.onnx"]) == 0
    out = capsys.readouterr().out
    assert "tiny.cnn" in out
    assert "tiny.safetensors" in out
    assert "network tiny: 3 layers, 224 parameters" in out
    assert "input x: float32[N, 3, H, W]" in out
    assert "output y: float32[N, 8]" in out
    prepared = prepare(Path("tiny.cnn"), Choice({}, Path("tiny.safetensors")))
    assert prepared.warnings == ()
    x = random(2, 3, 5, 5)
    (y,) = run(prepared.graph, {"x": x}, prepared.weights).values()
    assert y.shape == (2, 8)
    assert guarded(cli, ["run", "tiny.cnn", "--weights", "tiny.safetensors", "--help"]) == 0


def test_the_result_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(folder / "tiny.onnx")
    (folder / "nets").mkdir()
    assert guarded(cli, ["import", "tiny.onnx", "-o", "nets/small.cnn", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["ok"]
    assert result["network"] == "small"
    assert result["files"] == ["nets/small.cnn", "nets/small.safetensors"]
    assert (result["layers"], result["params"]) == (3, 224)
    assert result["outputs"] == {"y": "float32[N, 8]"}


def test_sizes_given_replace_symbols(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(folder / "tiny.onnx")
    assert guarded(cli, ["import", "tiny.onnx", "--set", "H=16", "--set", "W=8"]) == 0
    assert "input x: float32[N, 3, 16, 8]" in capsys.readouterr().out
    assert guarded(cli, ["import", "tiny.onnx", "--set", "Z=16", "--force"]) == 1
    assert "their symbols: H, N, W" in capsys.readouterr().err
    assert guarded(cli, ["import", "tiny.onnx", "--set", "H=0"]) == 2


def test_a_refusal_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(folder / "tiny.onnx", "Abs")
    assert guarded(cli, ["import", "tiny.onnx"]) == 1
    assert 'error[CNN807]: Abs node "act": the language has no such layer' in (
        capsys.readouterr().err
    )
    assert sorted(p.name for p in folder.iterdir()) == ["tiny.onnx"]


def test_a_program_that_is_there_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(folder / "tiny.onnx")
    (folder / "tiny.cnn").write_text("# mine\n")
    assert guarded(cli, ["import", "tiny.onnx"]) == 1
    assert "CNN802" in capsys.readouterr().err
    assert (folder / "tiny.cnn").read_text() == "# mine\n"
    assert not (folder / "tiny.safetensors").exists()
    assert guarded(cli, ["import", "tiny.onnx", "--force"]) == 0
    assert "network tiny" in (folder / "tiny.cnn").read_text()


def test_wrong_use(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(folder / "tiny.onnx")
    assert guarded(cli, ["import", "tiny.onnx", "-o", "tiny.txt"]) == 2
    assert "does not end in .cnn" in capsys.readouterr().err
    (folder / "weights.pt").write_bytes(b"\x80\x04")
    assert guarded(cli, ["import", "weights.pt"]) == 1
    assert "CNN806" in capsys.readouterr().err
    assert guarded(cli, ["import", "nothing.onnx"]) == 1
    assert "CNN801" in capsys.readouterr().err


def test_notices_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weight = random(5, 3, 1, 1).astype(np.float16)
    nodes = [node("Cast", ["h"], ["w"], to=1), node("Conv", ["x", "w"], ["y"])]
    onnx.save(made(nodes, {"x": ("N", 3, 4, 4)}, {"h": weight}), folder / "half.onnx")
    assert guarded(cli, ["import", "half.onnx"]) == 0
    assert "note: 1 tensor of float16 became float32" in capsys.readouterr().out
