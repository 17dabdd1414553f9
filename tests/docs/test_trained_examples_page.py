"""The page of the trained examples: its command prints what is shown, its figures are measured.

`CNNDSL_UPDATE_GOLDEN=1 pytest tests/docs/test_trained_examples_page.py` writes the output anew.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from cnndsl.weights.files import read
from examples.digits import data as digits
from examples.textures import data as textures

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "trained_examples.md"
TEXT = PAGE.read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
STEP = re.compile(r"```console\n\$ (cnndsl [^\n]*)\n(.*?)```", re.DOTALL)


def test_commands_print_what_is_shown() -> None:
    steps = STEP.findall(TEXT)
    assert steps
    for command, expected in steps:
        done = subprocess.run(
            [sys.executable, "-m", *shlex.split(command)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = (done.stdout + done.stderr).splitlines()
        printed = "".join(line.rstrip() + "\n" for line in lines if line.strip())
        if os.environ.get("CNNDSL_UPDATE_GOLDEN"):
            old, new = (f"$ {command}\n{output}```" for output in (expected, printed))
            PAGE.write_text(PAGE.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        else:
            assert printed == expected, command


@pytest.mark.parametrize("name", ["digits", "textures"])
def test_figures_are_those_of_the_committed_answers(name: str) -> None:
    data = {"digits": digits, "textures": textures}[name]
    (answers,) = read(data.ANSWERS).values()
    classes = data.held_out().classes
    right, count = int(np.sum(answers.argmax(1).ravel() == classes)), len(classes)
    assert re.search(rf"{right} of {count} .*\({right / count * 100:.2f} %\)", TEXT)
    assert f"right: {right} of {count} ({right / count:.2%})\n" in README
    (row,) = re.findall(r"^\| parameters \|.*", TEXT, re.MULTILINE)
    tensors = read(data.WEIGHTS).items()
    params = sum(a.size for tensor, a in tensors if "running" not in tensor)
    assert f" {params:,} |".replace(",", " ") in row


def test_training_has_the_options_that_are_shown() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from examples.digits.train import main

    with click.Context(main) as context:
        shown = main.get_help(context)
    assert all(f"--{name}" in shown for name in ("seed", "epochs", "output"))
    assert re.findall(r"python -m examples\.(\w+)\.train", TEXT) == ["digits", "textures"]
