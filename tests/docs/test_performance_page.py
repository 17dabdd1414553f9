"""What the page on performance tells to type works, and its figures are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from cnndsl.cli.failure import guarded
from cnndsl.cli.main import cli
from cnndsl.cli.profile import _COLUMNS
from cnndsl.driver.peaks import WORKING_SETS_BYTES
from cnndsl.driver.tune import GAIN

PAGE = (Path(__file__).parents[2] / "docs" / "performance.md").read_text(encoding="utf-8")


def test_its_commands_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (program,) = re.findall(r"```cnn\n(.*?)```", PAGE, re.DOTALL)
    Path("net.cnn").write_text(program)
    commands = re.findall(r"^\$ cnndsl (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 14
    for command in commands:
        assert guarded(cli, shlex.split(command)) == 0, command
        assert capsys.readouterr().err == "", command


def test_it_explains_every_column() -> None:
    rows = re.findall(r"^\| ([^|]*) \|", PAGE, re.MULTILINE)
    explained = {name.strip() for row in rows for name in row.split(",")}
    assert {heading for heading, _ in _COLUMNS} - {"layer", "op", "output"} <= explained


def test_its_figures_are_those_of_the_code() -> None:
    def size(bytes_: int) -> str:
        return f"{bytes_ >> 10} KiB" if bytes_ < 1 << 20 else f"{bytes_ >> 20} MiB"

    low, high = WORKING_SETS_BYTES[0], WORKING_SETS_BYTES[-1]
    text = " ".join(PAGE.split())
    assert f"from {size(low)} to {size(high)}" in text
    assert f"at least {round(100 * (GAIN - 1))} % faster" in text


def test_the_module_says_algorithm_and_arithmetic(tmp_path: Path) -> None:
    """For F(4x4, 3x3) on 56x56: 14 * 14 tiles of 36 multiplications for each pair of channels."""
    from cnndsl.backends.numba_cpu.options import Options
    from cnndsl.driver.choice import Choice
    from cnndsl.driver.compile import emit_numba_cpu
    from cnndsl.driver.prepare import prepare

    (program,) = re.findall(r"```cnn\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "net.cnn"
    path.write_text(program)
    prepared = prepare(path, Choice({}))

    def comments(winograd: str) -> Any:
        text = emit_numba_cpu(prepared, "net", Options(winograd))["net.py"].decode()
        network = text[text.index("def network") : text.index("def bind")]
        return " ".join(re.sub(r"\n *#", " ", network).split())

    macs = 64 * 64 * 9 * 56 * 56
    done = 64 * 64 * 36 * 14 * 14
    f4 = f"{macs:_} MACs; winograd F(4x4, 3x3): {done:_} done".replace("_", " ")
    assert f"{f4}; sees 3x3" in comments("f4")
    assert f"{macs:_} MACs; direct; sees 3x3".replace("_", " ") in comments("off")
