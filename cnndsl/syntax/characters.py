"""Explain characters that are not part of the language."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lark import Token

from cnndsl.diagnostics import Diagnostic, Source, Span
from cnndsl.syntax.language import UNKNOWN, span_of

_MEANT = {
    "→": "->",
    "⟶": "->",
    "⇒": "->",
    "➔": "->",
    "×": "x in a kernel (conv3x3), or * between values",
    "·": "*",
    "−": "-",
    "–": "-",
    "—": "-",
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "!": "not",
    "&": "and",
    "^": "**",
    "“": '"',
    "”": '"',
    "'": '"',
    "‘": '"',
    "’": '"',
    "，": ",",
    "（": "(",
    "）": ")",
}


def explain_characters(source: Source, statement: Sequence[Token]) -> Iterator[Diagnostic]:
    """Yield one diagnostic (CNN105) for each line that holds unknown characters."""
    line = 0
    for index, token in enumerate(statement):
        if token.type != UNKNOWN or token.line == line:
            continue
        line = token.line or 0
        following = statement[index + 1] if index + 1 < len(statement) else None
        yield _explain(source, token, following)


def _explain(source: Source, token: Token, following: Token | None) -> Diagnostic:
    character = str(token)
    touches = following is not None and following.start_pos == token.end_pos
    if character.startswith('"'):
        content = re.split(r"[^\w/.-]", character[1:])[0]
        start = span_of(source, token).start
        return Diagnostic(
            code="CNN105",
            message="the string is not closed",
            span=Span(source, start, start + 1),
            label='no closing `"` on this line',
            help=f'write `"{content[:60]}"`',
        )
    label = "not part of the language"
    help_ = None
    if character == "|":
        help_ = "write `->` to compose, `or` between conditions"
        if touches and following == ">":
            help_ = "layers compose with `->`"
    elif character in _MEANT:
        help_ = f"write {_MEANT[character]}" if len(_MEANT[character]) > 3 else None
        help_ = help_ or f"write `{_MEANT[character]}`"
    elif character.isalpha():
        label = "names are made of the letters a-z and A-Z, digits and _"
        help_ = "spell the name without this letter"
    elif character.isspace() or not character.isprintable():
        help_ = "remove it, or write a plain space"
    else:
        help_ = "remove it"
    shown = character if character.isprintable() else f"U+{ord(character):04X}"
    return Diagnostic(
        code="CNN105",
        message=f"unexpected character `{shown}`",
        span=span_of(source, token),
        label=label,
        help=help_,
    )
