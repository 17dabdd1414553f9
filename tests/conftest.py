"""What every run of the tests does: kernels are compiled once, and what was left out is said."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from typing import Any

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
    if importlib.util.find_spec("torch") is None:
        terminalreporter.write_line(
            "PyTorch is not installed: the tests of the torch target were skipped", yellow=True
        )
