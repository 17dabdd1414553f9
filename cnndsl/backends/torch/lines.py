"""Break what is too long for a line, as formatters of Python do."""

from __future__ import annotations

import re
from collections.abc import Iterator

WIDTH = 100
INDENT = 4

_STATEMENT = re.compile(r"(return |[\w., \[\]\"]+ = )?(.*)", re.DOTALL)
_OPERATOR = re.compile(r" (?=[-+*] )")


def fit(line: str, indent: int) -> list[str]:
    """Return a statement as lines that fit beside an indent, if breaking at brackets does it.

    The outermost bracket with the longest content opens; its content stands on one line, or
    each of its items on its own.
    """
    width = WIDTH - indent
    if len(line) <= width:
        return [line]
    found = _STATEMENT.fullmatch(line)
    assert found is not None
    start, expression = found[1] or "", found[2]
    items = _split(expression)
    if len(items) > 1:
        return [f"{start}(", *_each(items, indent), ")"]
    terms = _terms(expression)
    if len(terms) > 1:
        inner = " ".join(terms)
        rows = [inner] if len(inner) <= width - INDENT else terms
        return [f"{start}(", *(f"    {row}" for row in rows), ")"]
    bracket = _bracket(line)
    if bracket is None:
        return [line]
    opening, closing = bracket
    content = line[opening + 1 : closing]
    items, terms = _split(content), _terms(content)
    if len(content) <= width - INDENT:
        middle = [f"    {content}"]
    elif len(items) > 1:
        middle = _each(items, indent)
    elif len(terms) > 1:
        middle = [f"    {term}" for term in terms]
    else:
        middle = [f"    {row}" for row in fit(content, indent + INDENT)]
    return [line[: opening + 1], *middle, line[closing:]]


def _each(items: list[str], indent: int) -> list[str]:
    """Return every item on lines of its own."""
    lines = []
    for item in items:
        *before, last = fit(item, indent + INDENT + 1)  # and the comma
        lines += [f"    {row}" for row in (*before, f"{last},")]
    return lines


def _bracket(text: str) -> tuple[int, int] | None:
    """Return where the outermost bracket with the longest content opens and closes."""
    found: list[tuple[int, int]] = []
    for at, sign, depth in _signs(text):
        if sign in "([{" and depth == 1:
            found.append((at, at))
        elif sign in ")]}" and depth == 0:
            found[-1] = found[-1][0], at
    longest = max(found, key=lambda pair: pair[1] - pair[0], default=None)
    return longest if longest is not None and longest[1] - longest[0] > 1 else None


def _split(text: str) -> list[str]:
    """Return what commas separate outside of all brackets."""
    ends = [at for at, sign, depth in _signs(text) if sign == "," and depth == 0]
    starts = [0, *(at + 1 for at in ends)]
    pieces = [text[a:b].strip() for a, b in zip(starts, [*ends, len(text)])]
    return [piece for piece in pieces if piece]


def _terms(text: str) -> list[str]:
    """Return what binary operators separate outside of all brackets, each with its operator."""
    depths = {at: depth for at, _, depth in _signs(text)}
    cuts = [m.start() for m in _OPERATOR.finditer(text) if depths.get(m.start()) == 0]
    starts = [0, *(at + 1 for at in cuts)]
    return [text[a:b] for a, b in zip(starts, [*cuts, len(text)])]


def _signs(text: str) -> Iterator[tuple[int, str, int]]:
    """Yield every character outside of strings: place, character, brackets open behind it."""
    depth, quoted = 0, False
    for at, sign in enumerate(text):
        quoted ^= sign == '"'  # names have no quotes in them
        if quoted:
            continue
        depth += (sign in "([{") - (sign in ")]}")
        yield at, sign, depth
