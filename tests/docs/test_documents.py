"""What the documents show is what happens."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cnndsl.diagnostics.codes import CODES
from cnndsl.docs import fill
from cnndsl.driver.load import load
from cnndsl.ops.registry import keywords, op_by_keyword

ROOT = Path(__file__).parents[2]
LANGUAGE = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


def test_the_reference_is_up_to_date() -> None:
    assert fill(LANGUAGE) == LANGUAGE, "run make docs"


def test_the_reference_covers_everything() -> None:
    assert all(f"### `{op_by_keyword(word).keyword}" in LANGUAGE for word in keywords())
    assert all(f"| {code} |" in LANGUAGE for code in CODES)


@pytest.mark.parametrize("number", range(len(blocks(LANGUAGE, "cnn"))))
def test_programs_of_the_reference_compile_without_warning(tmp_path: Path, number: int) -> None:
    path = tmp_path / "program.cnn"
    path.write_text(blocks(LANGUAGE, "cnn")[number], encoding="utf-8")
    assert load(path).warnings == ()


@pytest.mark.parametrize("word", keywords())
def test_every_layer_has_an_example_that_uses_it(word: str) -> None:
    op = op_by_keyword(word)
    assert op is not None
    assert re.search(rf"\b{word}([0-9x]*)\b", op.example)


def readme_folder(folder: Path) -> None:
    (program,) = blocks(README, "cnn")
    (folder / "tiny.cnn").write_text(program, encoding="utf-8")


def test_the_readme_program_has_about_twenty_lines() -> None:
    (program,) = blocks(README, "cnn")
    assert len(program.splitlines()) == 20


def run(command: str, folder: Path) -> str:
    name, *arguments = shlex.split(command)
    assert name == "cnndsl"
    done = subprocess.run(
        [sys.executable, "-m", "cnndsl", *arguments],
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def comparable(text: str) -> list[str]:
    """Return lines without what changes with every change of the generated code."""
    lines = [re.sub(r"[\d,]+ bytes", "so many bytes", line.rstrip()) for line in text.splitlines()]
    return [line for line in lines if line]


def test_commands_of_the_readme_print_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme_folder(tmp_path)
    (session,) = blocks(README, "console")
    steps = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE)
    assert len(steps) == 3
    for command, expected in steps:
        assert comparable(run(command, tmp_path)) == comparable(expected), command

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (example,) = blocks(README, "python")
    test = doctest.DocTestParser().get_doctest(example, {}, "README", None, None)
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.summarize().failed == 0
    sys.modules.pop("tiny", None)


def test_the_readme_draws_its_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (command,) = re.findall(r"^    \$ (cnndsl (?:.*\\\n)*.*)$", README, re.MULTILINE)
    run(command.replace("\\\n", " "), tmp_path)
    assert (tmp_path / "rf.png").read_bytes().startswith(b"\x89PNG")


def test_commands_and_options_of_the_readme_exist() -> None:
    shown = re.findall(r"`cnndsl (\w+)([^`]*)`", README)
    assert len(shown) >= 9
    for command, rest in shown:
        text = run(f"cnndsl {command} --help", ROOT)
        assert text.startswith(f"Usage: cnndsl {command}")
        assert all(option in text for option in re.findall(r"--[a-z]+", rest))


def test_make_targets_of_the_documents_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    shown = set(re.findall(r"(?:^    |`)make ([\w-]+)", README + contributing, re.MULTILINE))
    assert {"demo", "test", "bench", "test-gpu", "bench-gpu", "lint"} <= shown <= targets


def test_links_of_the_documents_lead_somewhere() -> None:
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            assert link.startswith("http") or (path.parent / link).exists(), f"{path}: {link}"


def test_the_gate_is_executable() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("kind", ["zen3", "zen4", "xeon"])
def test_the_readme_says_of_other_processors_what_was_measured_there(kind: str) -> None:
    results = ROOT / "benchmarks" / "results" / kind / "README.md"
    (said,) = re.findall(
        rf"On a \[[\w ]+\]\(benchmarks/results/{kind}/.*?(?=On a|\n\n)", README, re.DOTALL
    )
    lines = re.findall(
        r"geometric mean ([0-9.]+) over.*?slower than the best peer: (.*?)\. Outputs",
        results.read_text(encoding="utf-8"),
    )
    assert len(lines) == 3
    wanted = [mean for mean, _ in lines]
    for _, slower in lines:
        wanted += re.sub(r" ([0-9.]+)", r" (\1)", slower).split(", ")
    said = " ".join(said.split())
    assert [text for text in wanted if text not in said] == []


def test_the_readme_says_what_narrower_vectors_reach() -> None:
    results = (ROOT / "benchmarks" / "results" / "README.md").read_text(encoding="utf-8")
    (said,) = re.findall(r'^"AVX2 alone" above.*?\n\n', README, re.DOTALL | re.MULTILINE)
    for name in ("AVX2", "SSE2"):
        (percent,) = re.findall(rf"^\| resnet50, {name} \|.*?(\d+)% \|", results, re.MULTILINE)
        assert f" {int(percent) / 100:.2f}" in said
