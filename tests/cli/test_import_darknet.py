"""`cnndsl import` of Darknet's files: what it writes and says, and nothing after an error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from importers.darknet_oracle import Darknet

from cnndsl.backends.reference.run import run
from cnndsl.cli.failure import guarded
from cnndsl.cli.main import cli
from cnndsl.driver.choice import Choice
from cnndsl.driver.prepare import prepare

TEXT = """# two layers and boxes
[net]
channels=3   # of colour
width=32
height=32

[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=leaky

[convolutional]
filters=14
activation=linear

[yolo]
mask = 0,1
anchors = 10,13,  16,30
classes=2
num=2
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.cfg").write_text(TEXT)
    network = Darknet(TEXT, random=np.random.default_rng(0))
    network.forward(np.zeros((1, 3, 32, 32)))
    (tmp_path / "tiny.weights").write_bytes(network.file())
    return tmp_path


def test_a_cfg_and_weights_become_a_program_and_its_weights(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(cli, ["import", "tiny.cfg", "--weights", "tiny.weights"]) == 0
    out = capsys.readouterr().out
    assert "tiny.safetensors" in out
    assert "network tiny: 4 layers, 186 parameters" in out
    assert "input image: float32[N, 3, H, W]" in out
    assert "output yolo_2: float32[N, 14, (H + 1) // 2, (W + 1) // 2]" in out
    assert "note: batch norms divide by sqrt(variance + 1e-5)" in out
    prepared = prepare(Path("tiny.cnn"), Choice({}, Path("tiny.safetensors")))
    assert prepared.warnings == ()
    x = np.random.default_rng(1).normal(size=(2, 3, 32, 32)).astype(np.float32)
    (found,) = run(prepared.graph, {"image": x}, prepared.weights).values()
    (expected,) = Darknet(TEXT, Path("tiny.weights").read_bytes()).forward(x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_without_weights_there_is_a_program_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(cli, ["import", "tiny.cfg", "-o", "net.cnn", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["files"] == ["net.cnn"]
    assert result["network"] == "net"
    assert result["notices"][-1] == "no weights were read: --weights gives Darknet's file"
    assert not (folder / "net.safetensors").exists()
    assert guarded(cli, ["check", "net.cnn"]) == 0


def test_sizes_can_be_set(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(cli, ["import", "tiny.cfg", "--set", "width=64"]) == 0
    assert "input image: float32[N, 3, 32, 64]" in capsys.readouterr().out
    assert guarded(cli, ["import", "tiny.cfg", "--set", "depth=64"]) == 1
    err = capsys.readouterr().err
    assert "CNN317" in err
    assert "sizes of a .cfg file: height, width" in err


def test_an_error_has_its_place_and_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "tiny.cfg").write_text(TEXT.replace("filters=14", "fliters=14  # boxes"))
    assert guarded(cli, ["import", "tiny.cfg", "--weights", "tiny.weights"]) == 1
    assert capsys.readouterr().err == (
        "error[CNN303]: [convolutional]: there is no key fliters\n"
        "  --> tiny.cfg:16:1\n"
        "   |\n"
        "16 | fliters=14  # boxes\n"
        "   | ^^^^^^^\n"
        "   = help: did you mean `filters`?\n"
        "\n"
    )
    assert guarded(cli, ["import", "tiny.cfg", "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["diagnostics"]
    assert (found["file"], found["line"], found["column"]) == ("tiny.cfg", 16, 1)
    assert sorted(p.name for p in folder.iterdir()) == ["tiny.cfg", "tiny.weights"]


def test_weights_of_another_network_write_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (folder / "tiny.weights").read_bytes()
    (folder / "tiny.weights").write_bytes(data[:-4])
    assert guarded(cli, ["import", "tiny.cfg", "--weights", "tiny.weights"]) == 1
    assert "tiny.weights holds 193 numbers, and the network has 194" in capsys.readouterr().err
    assert not (folder / "tiny.cnn").exists()


def test_weights_of_an_onnx_model_are_in_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(cli, ["import", "model.onnx", "--weights", "tiny.weights"]) == 2
    assert "--weights serves .cfg files" in capsys.readouterr().err
