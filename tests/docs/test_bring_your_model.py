"""The page about importing shows what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs.test_documents import ROOT, blocks, comparable, readme_folder, run

PAGE = (ROOT / "docs" / "bring_your_model.md").read_text(encoding="utf-8")


def test_commands_of_the_page_print_what_it_shows(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    readme_folder(tmp_path)
    (made,) = re.findall(r"`(cnndsl compile [^`]*)`", PAGE)
    run(made, tmp_path)
    (session,) = blocks(PAGE, "console")
    steps = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE)
    assert len(steps) == 3
    for command, expected in steps:
        assert comparable(run(command, tmp_path)) == comparable(expected), command
    (shown,) = blocks(PAGE, "cnn")
    assert (tmp_path / "mine.cnn").read_text(encoding="utf-8") == shown


def test_line_counts_of_the_page_are_those_of_the_golden_file() -> None:
    golden = (ROOT / "tests" / "golden" / "importers" / "lines.txt").read_text().split()
    lines = dict(zip(golden[::2], golden[1::2], strict=True))
    shown = re.findall(r"(ResNet-50|DenseNet-121|Inception v3)[a-z ]* in (\d+)", PAGE)
    names = {"ResNet-50": "resnet50", "DenseNet-121": "densenet121", "Inception v3": "inception_v3"}
    assert [(names[n], count) for n, count in shown] == [
        (n, lines[n]) for n in ("resnet50", "densenet121", "inception_v3")
    ]
