"""Parse a source text into the Ast."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token
from lark.exceptions import UnexpectedToken

from cnndsl.diagnostics import CompileError, Diagnostic, Source, Span
from cnndsl.limits import MAX_TOKENS
from cnndsl.syntax import ast
from cnndsl.syntax.builder import build
from cnndsl.syntax.errors import diagnose, misplaced_statements
from cnndsl.syntax.failure import bracket_on_new_line
from cnndsl.syntax.language import language, span_of
from cnndsl.syntax.statements import mark_if_statements
from cnndsl.syntax.text import check_nesting, check_text


def parse(source: Source) -> ast.Program:
    """Return the program a text stands for, every node with its exact span.

    Raises CompileError with every independent syntax error that was found.
    """
    check_text(source)
    check_nesting(source)
    tokens, comments = _scan(source)
    mark_if_statements(tokens)
    try:
        statements = _parse_tokens(source, tokens)
    except CompileError as error:
        if any(d.code == "CNN402" for d in error.diagnostics):
            raise  # nothing to add, and what nests too deeply is too long to look at twice
        raise CompileError(diagnose(source, tokens)) from None
    except (UnexpectedToken, _MisplacedBracketError):
        raise CompileError(diagnose(source, tokens)) from None
    return ast.Program(source, statements, comments)


def _parse_tokens(source: Source, tokens: Sequence[Token]) -> tuple[ast.Statement, ...]:
    parser = language().parser.parse_interactive()
    for token in tokens:
        parser.feed_token(token)
    statements = build(parser.feed_token(Token("$END", "")), source)
    misplaced = misplaced_statements(source, tokens, statements)
    if misplaced:
        raise CompileError(misplaced)
    if any(bracket_on_new_line(tokens, i) for i in range(1, len(tokens))):
        raise _MisplacedBracketError
    return statements


class _MisplacedBracketError(Exception):
    """The tokens fit the grammar, but not the rules about lines."""


def _scan(source: Source) -> tuple[list[Token], tuple[ast.Comment, ...]]:
    """Return the tokens of a source, and its comments. Raises CompileError (CNN404)."""
    tokens: list[Token] = []
    comments: list[ast.Comment] = []
    last_line = 0
    for token in language().scan(source.text):
        if token.type == "COMMENT":
            span = span_of(source, token)
            text = token.rstrip()
            span = Span(source, span.start, span.start + len(text))
            comments.append(ast.Comment(text, token.line != last_line, span))
            continue
        tokens.append(token)
        last_line = token.end_line or 0
        if len(tokens) > MAX_TOKENS:
            raise CompileError(
                Diagnostic(
                    code="CNN404",
                    message=f"the source has more than {MAX_TOKENS} words, numbers and operators",
                    span=span_of(source, token),
                    help="write repeated parts once, as a block or a `for`",
                )
            )
    return tokens, tuple(comments)
