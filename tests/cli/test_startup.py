"""What commands import: nothing heavy before it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
HEAVY = {"numba", "llvmlite", "onnx", "onnxruntime", "matplotlib", "scipy", "PIL", "safetensors"}


def modules_after(*arguments: str) -> set[str]:
    """Run a command in a fresh interpreter and return the top-level modules it loaded."""
    code = (
        "import sys\nfrom cnndsl.cli.main import main\n"
        f"try:\n    main({list(arguments)!r})\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_imports_no_arrays_and_no_parser() -> None:
    assert not modules_after("--help") & (HEAVY | {"numpy", "lark", "jinja2", "rich"})


@pytest.mark.parametrize("command", ["check", "summary"])
def test_check_and_summary_import_no_backend(command: str) -> None:
    found = modules_after(command, str(EXAMPLES / "lenet.cnn"))
    assert "lark" in found
    assert not found & (HEAVY | {"jinja2"})


def test_planning_memory_needs_no_kernels() -> None:
    file = str(EXAMPLES / "lenet.cnn")
    assert not modules_after("summary", file, "--json") & HEAVY
    assert not modules_after("compare", file, file) & HEAVY
