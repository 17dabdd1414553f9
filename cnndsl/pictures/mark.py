"""The mark that generated pictures carry, so that they may be overwritten."""

from __future__ import annotations

import re

from cnndsl import __version__
from cnndsl.files import PICTURE_MARK

_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]|--+")


def mark(source_name: str) -> str:
    """Return the mark; nothing of a file's name can leave the comment around it."""
    return f"{PICTURE_MARK}{__version__} from {_UNSAFE.sub('_', source_name[:200])}"


def svg_mark(source_name: str) -> str:
    """Return the mark as an XML comment."""
    return f"<!-- {mark(source_name)} -->"


def dot_mark(source_name: str) -> str:
    """Return the mark as a comment of Graphviz."""
    return f"// {mark(source_name)}"


def mermaid_mark(source_name: str) -> str:
    """Return the mark as a comment of Mermaid."""
    return f"%% {mark(source_name)}"
