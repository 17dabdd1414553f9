"""Parse a source text into the Ast."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token
from lark.exceptions import UnexpectedToken

from cnndsl.diagnostics import CompileError, Diagnostic, Source, Span
from cnndsl.limits import MAX_TOKENS
from cnndsl.syntax import ast
from cnndsl.syntax.builder import build
from cnndsl.syntax.language import UNKNOWN, language
from cnndsl.syntax.text import check_nesting, check_text


def parse(source: Source) -> ast.Program:
    """Return the program a text stands for, every node with its exact span.

    Raises CompileError with every independent syntax error that was found.
    """
    check_text(source)
    check_nesting(source)
    tokens, comments = scan(source)
    check_tokens(source, tokens)
    parser = language().parser.parse_interactive()
    try:
        for token in tokens:
            parser.feed_token(token)
        tree = parser.feed_eof(tokens[-1] if tokens else None)
    except UnexpectedToken as error:
        at = error.token
        end = len(source.text)
        span = Span(
            source, getattr(at, "start_pos", None) or 0, getattr(at, "end_pos", None) or end
        )
        raise CompileError(
            Diagnostic(code="CNN100", message=f"unexpected `{at}`", span=span)
        ) from None
    return ast.Program(source, build(tree, source), comments)


def scan(source: Source) -> tuple[list[Token], tuple[ast.Comment, ...]]:
    """Return the tokens of a source, and its comments. Raises CompileError (CNN404)."""
    tokens: list[Token] = []
    comments: list[ast.Comment] = []
    last_line = 0
    for token in language().scan(source.text):
        if token.type == "COMMENT":
            text = token.rstrip()
            span = Span(source, token.start_pos or 0, (token.start_pos or 0) + len(text))
            comments.append(ast.Comment(text, token.line != last_line, span))
            continue
        tokens.append(token)
        last_line = token.end_line or 0
        if len(tokens) > MAX_TOKENS:
            raise CompileError(
                Diagnostic(
                    code="CNN404",
                    message=f"the source has more than {MAX_TOKENS} words, numbers and operators",
                    span=Span(source, token.start_pos or 0, token.end_pos or 0),
                    help="write repeated parts once, as a block or a `for`",
                )
            )
    return tokens, tuple(comments)


def check_tokens(source: Source, tokens: Sequence[Token]) -> None:
    """Raise CompileError (CNN105) if a character starts no token."""
    for token in tokens:
        if token.type == UNKNOWN:
            raise CompileError(
                Diagnostic(
                    code="CNN105",
                    message=f"unexpected character {str(token)!r}",
                    span=Span(source, token.start_pos or 0, token.end_pos or 0),
                )
            )
