"""The tutorial's commands print what it shows.

`CNNDSL_UPDATE_GOLDEN=1 pytest tests/docs/test_tutorial.py` writes the outputs anew.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cnndsl.driver.load import load

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "know_your_network.md"
TEXT = TUTORIAL.read_text(encoding="utf-8")

FAILING = ("holes.cnn", "claims.cnn")
"""Programs that show a claim that does not hold."""

PROGRAM = re.compile(r"^`(\w+\.cnn)`:\n\n```cnn\n(.*?)```", re.MULTILINE | re.DOTALL)
SESSION = re.compile(r"```console\n(.*?)```", re.DOTALL)
STEP = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for name, program in PROGRAM.findall(TEXT):
        (tmp_path / name).write_text(program, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str) -> str:
    name, *arguments = shlex.split(command)
    assert name == "cnndsl"
    done = subprocess.run(
        [sys.executable, "-m", "cnndsl", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    lines = (done.stdout + done.stderr).splitlines()
    return "".join(line.rstrip() + "\n" for line in lines if line.strip())


def test_every_program_is_named() -> None:
    assert TEXT.count("```cnn\n") == len(PROGRAM.findall(TEXT)) >= 7


def test_commands_print_what_is_shown(folder: Path) -> None:
    if any("-o" in shlex.split(command) for command, _ in STEP.findall(TEXT)):
        pytest.importorskip("matplotlib")
    shown = [STEP.findall(session) for session in SESSION.findall(TEXT)]
    printed = [[(command, run(command)) for command, _ in steps] for steps in shown]
    assert "fault of cnndsl" not in str(printed)
    if os.environ.get("CNNDSL_UPDATE_GOLDEN"):
        sessions = iter("".join(f"$ {c}\n{out}" for c, out in steps) for steps in printed)
        text = SESSION.sub(lambda _: f"```console\n{next(sessions)}```", TEXT)
        TUTORIAL.write_text(text, encoding="utf-8")
        shown = printed
    assert sum(map(len, shown)) >= 10
    for steps, found in zip(shown, printed):
        for (command, expected), (_, out) in zip(steps, found):
            assert out == expected, command


@pytest.mark.parametrize("name", [name for name, _ in PROGRAM.findall(TEXT)])
def test_programs_that_hold_are_without_warnings(name: str, folder: Path) -> None:
    if name not in FAILING:
        assert load(folder / name).warnings == ()
