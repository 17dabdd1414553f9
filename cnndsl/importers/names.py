"""Names of another format made names of the language."""

from __future__ import annotations

import re

from cnndsl.ops.registry import keywords
from cnndsl.syntax.language import language

MAX_NAME = 100
"""Characters of a name; what is longer is cut."""

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_]+")
_SEPARATORS = re.compile(r"[./:]+")


def identifier(text: str, otherwise: str) -> str:
    """Return a name that a program can give to a value, as near to a text as possible.

    `otherwise` stands for a text of which nothing is left. Words that mean something in a program
    get a `_` at the end.
    """
    name = _NOT_ALLOWED.sub("_", text[: 4 * MAX_NAME]).strip("_")[:MAX_NAME] or otherwise
    if name[0].isdigit():
        name = "_" + name
    words = language().keywords.keys() | set(keywords())
    return name + "_" if name in words or name.startswith("__") else name


def dotted(text: str, otherwise: str) -> str:
    """Return a layer's label: identifiers joined by dots, at the text's own dots and slashes."""
    parts = [_NOT_ALLOWED.sub("_", part).strip("_") for part in _SEPARATORS.split(text[:1000])]
    label = ".".join(part for part in parts if part)[:MAX_NAME].strip(".") or otherwise
    return "_" + label if label[0].isdigit() else label
