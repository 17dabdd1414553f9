"""What every run of the tests says."""

from __future__ import annotations

import importlib.util
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if importlib.util.find_spec("torch") is None:
        terminalreporter.write_line(
            "PyTorch is not installed: the tests of the torch target were skipped", yellow=True
        )
