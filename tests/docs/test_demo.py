"""What `make demo` runs, run on a copy of the examples."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_the_demo_agrees_with_onnxruntime(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    done = subprocess.run(
        [sys.executable, tmp_path / "examples" / "demo.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^ +\d+ +(\S+) +(\S+)$", done.stdout, re.MULTILINE)
    assert len(rows) == 5
    assert all(float(a) == pytest.approx(float(b), rel=1e-4) for a, b in rows)
    (relative,) = re.findall(r"relative to the largest output: (\S+)", done.stdout)
    assert float(relative) < 1e-5
    assert re.search(r"^speed relative to onnxruntime: \d+\.\d\d$", done.stdout, re.MULTILINE)
