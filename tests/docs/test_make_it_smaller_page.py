"""The page about factorization shows what happens.

`CNNDSL_UPDATE_GOLDEN=1 pytest tests/docs/test_make_it_smaller_page.py` writes outputs anew.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs.test_documents import ROOT, blocks, comparable, run

from cnndsl.factorize.catalog import WEIGHT_SCHEMES

PATH = ROOT / "docs" / "make_it_smaller.md"
PAGE = PATH.read_text(encoding="utf-8")
STEP = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
UPDATE = bool(os.environ.get("CNNDSL_UPDATE_GOLDEN"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with what the page begins with, and what its commands have left there."""
    pytest.importorskip("sklearn")
    place = tmp_path_factory.mktemp("smaller")
    for name in ("digits.cnn", "digits.safetensors"):
        shutil.copy(ROOT / "examples" / "digits" / name, place)
    before = Path.cwd()
    os.chdir(place)
    try:
        yield place
    finally:
        os.chdir(before)


def parts() -> list[tuple[str, str]]:
    """Return the sessions of the page in their order, as kind and text."""
    found: list[tuple[str, str]] = re.findall(r"```(console|python)\n(.*?)```", PAGE, re.DOTALL)
    return found


@pytest.mark.slow
def test_sessions_of_the_page_print_what_it_shows(folder: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("torch", reason="PyTorch is not installed")
    names: dict[str, object] = {}
    for kind, text in parts():
        if kind == "console":
            for command, expected in STEP.findall(text):
                replay(command, expected, folder)
        else:
            example = doctest.DocTestParser().get_doctest(text, names, "page", None, None)
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
            runner.run(example, clear_globs=False)
            names = example.globs
            assert runner.summarize().failed == 0
    for shown, name in zip(blocks(PAGE, "cnn"), ("half.cnn",), strict=True):
        check(shown, (folder / name).read_text(encoding="utf-8"))
    picture = ROOT / "docs" / "pictures" / "smaller_pareto.svg"
    (made,) = folder.glob("quarter-*.svg")
    if UPDATE:
        picture.write_bytes(made.read_bytes())
    assert picture.read_bytes() == made.read_bytes()


def replay(command: str, expected: str, folder: Path) -> None:
    """Run a command and compare; of measured times only the layout is the same each time."""
    printed = run(command.replace("\\\n", " "), folder)
    if "--accept measured" in command and expected:
        words = [re.findall(r"[a-z_.]{4,}", text)[:4] for text in (printed, expected)]
        assert words[0] == words[1], command
        return
    lines = [line.rstrip() for line in printed.splitlines() if line.strip()]
    if UPDATE:
        new = "".join(line + "\n" for line in lines)
        text = PATH.read_text(encoding="utf-8")
        old = f"$ {command}\n{expected}"
        assert text.count(old) == 1, command
        PATH.write_text(text.replace(old, f"$ {command}\n{new}"), encoding="utf-8")
    else:
        assert comparable(printed) == comparable(expected), command


def check(shown: str, made: str) -> None:
    if UPDATE:
        text = PATH.read_text(encoding="utf-8")
        PATH.write_text(text.replace(f"```cnn\n{shown}```", f"```cnn\n{made}```"), encoding="utf-8")
    else:
        assert shown == made


def test_the_page_names_every_scheme() -> None:
    assert all(f"`{scheme.name}`" in PAGE for scheme in WEIGHT_SCHEMES)
