"""What `make demo` runs, run on a copy of the examples, and what README shows of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def steady(text: str) -> list[str]:
    """Return lines without what another machine, or another day, may print differently."""
    lines = (
        re.sub(r"\d+\.\d s$|\d+(\.\d+)?e-\d+|\d+\.\d% right", "*", line)
        for line in text.splitlines()
    )
    timed = (
        r" *(numba-cpu|onnxruntime|backend|─+) |speed relative|network .* runs each|output .* by"
    )
    return [line.rstrip() for line in lines if line.strip() and not re.match(timed, line)]


@pytest.mark.slow
def test_the_demo_prints_what_the_readme_shows(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for what, least in (("digits", 0.985), ("patches", 0.98)):
        told = (
            rf"ran on (\d+) held-out {what} .*\nright: (\d+) of \1 .*\n"
            r"the same answer as PyTorch: \1 of \1\n"
        )
        ((count, right),) = re.findall(told, done.stdout)
        assert int(right) / int(count) >= least
    relative = re.findall(r"from ONNX Runtime: \S+ \((\S+) of the largest value\)", done.stdout)
    assert len(relative) == 2
    assert all(float(r) < 1e-5 for r in relative)
    assert len(re.findall(r"^speed relative to onnxruntime: \d", done.stdout, re.MULTILINE)) == 2
    assert re.search(r"^\$ cnndsl summary .*\n(.*\n)+? total +108,714 ", done.stdout, re.MULTILINE)
    for name in ("digits.png", "textures.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")

    (shown,) = re.findall(r"```text\n(Handwritten digits\n.*?)```", README, re.DOTALL)
    printed = steady(done.stdout)
    assert len(steady(shown)) > 15
    assert [line for line in steady(shown) if line not in printed] == []
