"""What every run of the tests does: kernels are compiled once, and what was left out is said."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from typing import Any

# Kernels for CUDA run in Numba's simulator, which Numba asks for when it is imported.
os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")

import kernel_cache
import pytest


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the processes of pytest-xdist inherit it
        os.environ[kernel_cache.FOLDER] = tempfile.mkdtemp(prefix="cnndsl-tests-")
    kernel_cache.install()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(kernel_cache.FOLDER), ignore_errors=True)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for package, target in (("torch", "torch"), ("numba_cuda", "numba-cuda")):
        if importlib.util.find_spec(package) is None:
            terminalreporter.write_line(
                f"{package} is not installed: tests of the target {target} were skipped",
                yellow=True,
            )
