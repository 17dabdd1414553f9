"""Build the parser from the grammar, once, and cut a text into the grammar's tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from lark import Lark, Token
from lark.lexer import PatternStr

from cnndsl import resources
from cnndsl.diagnostics import Source, Span

UNKNOWN = "UNKNOWN"
"""Type of the token made of a character that starts no token of the grammar."""

IF_STATEMENT = "IF_STATEMENT"
"""Type of an `if` that begins a statement, which the scanner cannot tell from one within."""


@dataclass(frozen=True)
class Language:
    """The parser's tables and the scanner that goes with them."""

    parser: Lark
    scanner: re.Pattern[str]
    keywords: dict[str, str]
    """Token type of each word that is not a name."""

    symbols: dict[str, str]
    """Token type of each operator and bracket."""

    texts: dict[str, str]
    """What the user writes for each token type that has one spelling."""

    def scan(self, text: str) -> Iterator[Token]:
        """Yield every token of the text, comments and unknown characters too, but no whitespace.

        Never fails: a character that starts no token becomes a token of type UNKNOWN, and so
        does a string that is not closed, to the end of its line.
        """
        line, line_start = 1, 0
        for match in self.scanner.finditer(text):
            kind = match.lastgroup or UNKNOWN
            start, end = match.span()
            if kind == "WHITESPACE":
                breaks = text.count("\n", start, end)
                if breaks:
                    line += breaks
                    line_start = text.rindex("\n", start, end) + 1
                continue
            word = match.group()
            if kind == "NAME":
                kind = self.keywords.get(word, kind)
            elif kind == "SYMBOL":
                kind = self.symbols[word]
            yield Token(
                kind,
                word,
                start_pos=start,
                line=line,
                column=start - line_start + 1,
                end_line=line,
                end_column=end - line_start + 1,
                end_pos=end,
            )


@cache
def language() -> Language:
    """Return the language of the grammar file (built on first use)."""
    parser = Lark(
        resources.grammar(),
        parser="lalr",
        lexer="basic",
        start="program",
        keep_all_tokens=True,
        maybe_placeholders=False,
    )
    texts = {t.name: t.pattern.value for t in parser.terminals if isinstance(t.pattern, PatternStr)}
    keywords = {text: name for name, text in texts.items() if text.isalpha()}
    texts[IF_STATEMENT] = texts["IF"]
    symbols = {text: name for name, text in texts.items() if not text.isalpha()}
    patterns = {
        t.name: t.pattern.to_regexp()
        for t in parser.terminals
        if not isinstance(t.pattern, PatternStr)
    }
    # Numbers come before symbols (`.5` is a malformed number), longer symbols before shorter ones.
    patterns["SYMBOL"] = "|".join(map(re.escape, sorted(symbols, key=len, reverse=True)))
    scanner = "|".join(f"(?P<{name}>{pattern})" for name, pattern in patterns.items())
    return Language(parser, re.compile(scanner + r'|"[^\n]*|[\s\S]'), keywords, symbols, texts)


def span_of(source: Source, first: Token, last: Token | None = None) -> Span:
    """Return the text a token stands on, or that from one token to another."""
    end = (last or first).end_pos
    assert first.start_pos is not None
    assert end is not None
    return Span(source, first.start_pos, end)
