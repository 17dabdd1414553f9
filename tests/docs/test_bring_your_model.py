"""The page about importing shows what happens."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from docs.test_documents import ROOT, blocks, comparable, readme_folder, run
from importers.darknet_oracle import Darknet
from importers.test_darknet_zoo import LINES

from cnndsl.weights.safetensors import serialize

PAGE = (ROOT / "docs" / "bring_your_model.md").read_text(encoding="utf-8")


def prepare(folder: Path) -> None:
    """Write the files that the page's commands read, those that it shows among them."""
    readme_folder(folder)
    (made,) = re.findall(r"`(cnndsl compile [^`]*)`", PAGE.replace("\n", " "))
    run(made, folder)
    (cfg,) = blocks(PAGE, "ini")
    (folder / "small.cfg").write_text(cfg)
    wrong = cfg.replace("filters=21", "fliters=21").replace("from=-2", "from=-4")
    (folder / "wrong.cfg").write_text(wrong)
    network = Darknet(cfg.replace("416", "16"), random=np.random.default_rng(0))
    network.forward(np.zeros((1, 3, 16, 16)))
    (folder / "small.weights").write_bytes(network.file())
    (folder / "pair.cnn").write_text(blocks(PAGE, "cnn")[2])
    shapes = {"0.weight": (8, 3, 3, 3), "1.weight": (8,), "1.bias": (8,)}
    shapes |= {"1.running_mean": (8,), "1.running_var": (8,)}
    tensors = {f"features.{name}": np.ones(shape, np.float16) for name, shape in shapes.items()}
    tensors["head.weight"] = np.ones((2, 8, 1, 1), np.float16)
    tensors["head.bias"] = np.ones(2, np.float16)
    (folder / "theirs.safetensors").write_bytes(bytes(serialize(tensors)))


def test_commands_of_the_page_print_what_it_shows(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    prepare(tmp_path)
    steps = [
        step
        for session in blocks(PAGE, "console")
        for step in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE)
    ]
    assert len(steps) == 10
    for command, expected in steps:
        assert comparable(run(command, tmp_path)) == comparable(expected), command
    programs = blocks(PAGE, "cnn")
    assert (tmp_path / "mine.cnn").read_text(encoding="utf-8") == programs[0]
    assert (tmp_path / "small.cnn").read_text(encoding="utf-8") == programs[1]
    (names,) = blocks(PAGE, "text")
    assert (tmp_path / "pair.map").read_text(encoding="utf-8") == names


def test_line_counts_of_darknet_are_those_of_its_test() -> None:
    shown = re.findall(r"(YOLOv3|Darknet-\d+)[^.\d]*?(?:\d+ lines of cfg, )?[a-z ]*in (\d+)", PAGE)
    names = {"YOLOv3": "yolov3", "Darknet-53": "darknet53", "Darknet-19": "darknet19"}
    assert {names[name]: int(count) for name, count in shown} == {
        name: LINES[name] for name in names.values()
    }
    (before,) = re.findall(r"(\d+) lines of cfg", PAGE)
    cfg = ROOT / "tests" / "importers" / "darknet" / "yolov3.cfg"
    assert len(cfg.read_text().splitlines()) == int(before)


def test_line_counts_of_the_page_are_those_of_the_golden_file() -> None:
    golden = (ROOT / "tests" / "golden" / "importers" / "lines.txt").read_text().split()
    lines = dict(zip(golden[::2], golden[1::2], strict=True))
    shown = re.findall(r"(ResNet-50|DenseNet-121|Inception v3)[a-z ]* in (\d+)", PAGE)
    names = {"ResNet-50": "resnet50", "DenseNet-121": "densenet121", "Inception v3": "inception_v3"}
    assert [(names[n], count) for n, count in shown] == [
        (n, lines[n]) for n in ("resnet50", "densenet121", "inception_v3")
    ]
