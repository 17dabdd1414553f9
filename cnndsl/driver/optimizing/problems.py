"""Everything that is wrong with what a user gave, in one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cnndsl.diagnostics import CompileError, Diagnostic

T = TypeVar("T")


class Problems:
    """Takes steps that may fail, and goes on; `check` raises all that went wrong."""

    def __init__(self) -> None:
        self._found: list[Diagnostic] = []

    def read(self, step: Callable[[], T]) -> T | None:
        """Return what a step gives; None where it raises CompileError."""
        try:
            return step()
        except CompileError as error:
            self._found += [d for d in error.diagnostics if d not in self._found]
            return None

    def check(self) -> None:
        """Raise CompileError with all that went wrong, if anything did."""
        if self._found:
            raise CompileError(self._found)
