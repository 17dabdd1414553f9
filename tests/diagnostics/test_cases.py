"""Each diagnostic code: a failing program, its golden text, and the nearest legal program.

`CNNDSL_UPDATE_GOLDEN=1 pytest tests/diagnostics` writes the golden texts anew; read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.diagnostics.codes import CODES
from cnndsl.diagnostics.render import render
from cnndsl.driver.load import load

TESTS = Path(__file__).parents[1]
FOLDER = TESTS / "golden" / "diagnostics"
FAILING = sorted(p.name for p in FOLDER.glob("CNN*.cnn") if not p.name.endswith(".ok.cnn"))


def diagnostics(name: str) -> tuple[Diagnostic, ...]:
    try:
        return load(Path(name)).warnings
    except CompileError as error:
        return error.diagnostics


@pytest.fixture(autouse=True)
def _in_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)


@pytest.mark.parametrize("name", FAILING)
def test_failing_program_gives_its_golden_text(name: str) -> None:
    found = diagnostics(name)
    text = "\n\n".join(render(d) for d in found) + "\n"
    golden = FOLDER / name.replace(".cnn", ".txt")
    if os.environ.get("CNNDSL_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    assert name[:6] in {d.code for d in found}


@pytest.mark.parametrize("name", FAILING)
def test_nearest_legal_program_elaborates_without_a_word(name: str) -> None:
    assert load(Path(name.replace(".cnn", ".ok.cnn"))).warnings == ()


def test_every_code_has_a_case_or_a_test_that_names_it() -> None:
    tests = [p for p in TESTS.rglob("test_*.py") if p != Path(__file__)]
    texts = [p.read_text(encoding="utf-8") for p in tests]
    cases = (TESTS / "golden").glob("*/CNN*.txt")
    covered = {p.name[:6] for p in cases}
    named = {code for code in CODES if any(f'"{code}' in text for text in texts)}
    assert set(CODES) - covered - named == set()
