"""The wheel in a clean environment: commands work, and generated modules stand alone."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """import "std/conv.cnn"
network net
input x: float32[N, 3, H = 16, W = 16]
output y = x -> conv_bn_relu(8) -> global_avgpool -> dense(4)
"""

pytestmark = pytest.mark.slow


def run(command: list[str | Path], folder: Path) -> str:
    """Run a command away from the checkout, without what this environment would lend it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(folder: Path, *packages: str | Path) -> Path:
    """Return the Python of a new environment that has the packages only."""
    venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    quiet = ["--quiet", "--disable-pip-version-check"]
    run([python, "-m", "pip", "install", *quiet, *packages], folder)
    return python


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    run(build, folder)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_resources_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "cnndsl/_resources/grammars/cnn.lark" in names
    assert "cnndsl/library/std/conv.cnn" in names
    assert "cnndsl/py.typed" in names
    assert any(n.startswith("cnndsl/_resources/templates/numba_cpu/") for n in names)
    assert {n.split("/")[0] for n in names} == {"cnndsl", names[-1].split("/")[0]}


def test_the_wheel_works_and_its_modules_stand_alone(wheel: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "net.cnn").write_text(PROGRAM)
    python = environment(tmp_path / "full", wheel)
    assert run([python, "-m", "cnndsl", "check", "net.cnn"], work).startswith("net.cnn: ok")
    run([python.with_name("cnndsl"), "compile", "net.cnn", "--target", "all"], work)
    assert (work / "net.onnx").stat().st_size > 0

    lean = environment(tmp_path / "lean", "numpy", "numba", "safetensors")
    listed = run([lean, "-m", "pip", "list", "--disable-pip-version-check"], work).lower()
    assert "cnndsl" not in listed
    assert "onnx" not in listed
    code = (
        "import net\n"
        "network = net.load()\n"
        "import numpy as np\n"
        "x = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)\n"
        "np.save('y.npy', network(x)); np.save('x.npy', x)\n"
        "print(*net.INPUTS, *net.OUTPUTS, len(net.PARAMETERS))\n"
    )
    assert run([lean, "-c", code], work) == "x y 7\n"
    compare = (
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from cnndsl.backends.reference.run import run\n"
        "from cnndsl.driver.load import load\n"
        "from cnndsl.weights.files import read\n"
        "graph = load(Path('net.cnn')).graph\n"
        "weights = read(Path('net.safetensors'))\n"
        "y = run(graph, {'x': np.load('x.npy')}, weights)['y']\n"
        "assert np.abs(y - np.load('y.npy')).max() <= 1e-5 * np.abs(y).max()\n"
    )
    run([python, "-c", compare], work)
