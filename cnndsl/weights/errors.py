"""What a reader of weights raises; the caller adds which file it was."""

from __future__ import annotations


class WeightsFormatError(Exception):
    """A weights file is not what it claims to be."""

    def __init__(self, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.help = help
