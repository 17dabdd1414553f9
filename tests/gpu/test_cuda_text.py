"""The text of generated CUDA modules: formatted, without unused names, in lines of 100."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cnndsl.backends.header import Header
from cnndsl.backends.numba_cuda.emit import emit
from cnndsl.backends.numba_cuda.options import Options
from cnndsl.driver.choice import Choice
from cnndsl.driver.prepare import prepare

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mobilenet_v2", Options()),
        ("vgg16", Options(precision="bf16")),
        ("resnext50_32x4d", Options(precision="tf32")),
        ("wavenet", Options()),
        ("googlenet", Options(winograd="off", fuse="off")),
        ("unet_padded", Options(precision="fp16")),
    ],
)
def test_modules_are_formatted(name: str, options: Options, tmp_path: Path) -> None:
    graph = prepare(EXAMPLES / f"{name}.cnn", Choice({})).optimized.graph
    header = Header("0", f"{name}.cnn", "0" * 64, None, ())
    path = tmp_path / f"{name}.py"
    path.write_text(emit(graph, name, header=header, options=options), encoding="utf-8")
    for command in (
        ["format", "--check", "--diff", "--line-length=100"],
        ["check", "--select=E,F,W", "--line-length=100"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
