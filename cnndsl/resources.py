"""Find the grammar and the templates, in a checkout or in an installed wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


@cache
def _root() -> Path:
    installed = _PACKAGE / "_resources"
    return installed if installed.is_dir() else _PACKAGE.parent


def grammar() -> str:
    """Return the text of the language's grammar."""
    return (_root() / "grammars" / "cnn.lark").read_text(encoding="utf-8")


def templates() -> Path:
    """Return the folder that holds one folder of templates per text backend."""
    return _root() / "templates"


def library() -> Path:
    """Return the folder of `.cnn` files that `import "std/..."` reads."""
    return _PACKAGE / "library"
