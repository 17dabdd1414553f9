"""Find every syntax error of a program that does not parse, one statement at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lark import Token, Tree
from lark.exceptions import UnexpectedToken

from cnndsl.diagnostics import CompileError, Diagnostic, Related, Source, Span
from cnndsl.diagnostics.model import MAX_ERRORS
from cnndsl.syntax import ast
from cnndsl.syntax.builder import build
from cnndsl.syntax.characters import explain_characters
from cnndsl.syntax.explain import explain
from cnndsl.syntax.failure import Failure, find_side_by_side
from cnndsl.syntax.language import IF_STATEMENT, UNKNOWN, language, span_of
from cnndsl.syntax.numerals import read_numeral
from cnndsl.syntax.statements import CLOSER_OF, Brackets, match_brackets, split_statements


def diagnose(source: Source, tokens: Sequence[Token]) -> tuple[Diagnostic, ...]:
    """Return what is wrong with tokens that do not make a program; at least one diagnostic.

    A statement is reported once, for its first error; statements are independent of each other.
    """
    found: list[Diagnostic] = []
    brackets = match_brackets(tokens)
    found += _bracket_errors(source, tokens, brackets)
    spoiled = {u.opener for u in brackets.unclosed} | set(brackets.stray)
    for part in split_statements(tokens, brackets):
        if len(found) >= MAX_ERRORS:
            break
        statement = [tokens[i] for i in part]
        numerals = list(_numeral_errors(source, statement))
        if any(t.type == UNKNOWN for t in statement):
            found += explain_characters(source, statement)
        elif numerals:
            found += numerals
        elif spoiled.isdisjoint(part):
            closers = {i - part.start for o, i in brackets.pairs.items() if o not in part}
            statement = [t for i, t in enumerate(statement) if i not in closers]
            found += _judge(source, statement)
    if not found:  # no statement is wrong by itself: say where the whole went wrong
        found += _judge(source, tokens)
    if not found:
        raise AssertionError("a program that does not parse has no syntax error")
    found.sort(key=lambda d: d.span.start if d.span else 0)
    return tuple(found[:MAX_ERRORS])


def misplaced_statements(
    source: Source, tokens: Sequence[Token], statements: Sequence[ast.Statement]
) -> list[Diagnostic]:
    """Return an error (CNN108) for each statement that starts in the middle of a line."""
    before = {t.start_pos: tokens[i - 1] for i, t in enumerate(tokens) if i}
    found = []
    for statement in _all_statements(statements):
        previous = before.get(statement.span.start)
        if previous is None or previous.type in ("LBRACE", "SEMICOLON"):
            continue
        if "\n" not in source.text[previous.end_pos : statement.span.start]:
            first = statement.span.text.split(None, 1)[0]
            found.append(
                Diagnostic(
                    code="CNN108",
                    message="a statement must start on a new line",
                    span=Span(source, statement.span.start, statement.span.start + len(first)),
                    label="a statement starts here",
                    help=f"break the line before `{first}`",
                )
            )
    return found


def _all_statements(statements: Sequence[ast.Statement]) -> Iterator[ast.Statement]:
    for statement in statements:
        yield statement
        if isinstance(statement, ast.Block | ast.For) and isinstance(statement.body, tuple):
            yield from _all_statements(statement.body)
        elif isinstance(statement, ast.If):
            for body in statement.bodies:
                yield from _all_statements(body)


def _judge(source: Source, statement: Sequence[Token]) -> Sequence[Diagnostic]:
    """Return what is wrong with one statement, nothing if it is right."""
    tokens = list(statement)
    if not tokens or (len(tokens) == 1 and tokens[0].type == "LBRACE"):
        return ()
    if tokens[-1].type == "LBRACE":  # the head of a block, loop or branch: close its body
        tokens.append(Token("RBRACE", "}"))
    tokens.append(Token("$END", ""))
    parser = language().parser.parse_interactive()
    if tokens[0].type == "ELSE":  # it goes on an `if` that was judged before
        for kind in (IF_STATEMENT, "TRUE", "LBRACE", "RBRACE"):
            parser.feed_token(Token(kind, language().texts[kind]))
    side_by_side = find_side_by_side(statement)
    tree: Tree[Token] | None = None
    for index, token in enumerate(tokens):
        try:
            tree = parser.feed_token(token)
        except UnexpectedToken:
            accepts: frozenset[str] = frozenset(parser.accepts())  # type: ignore[no-untyped-call]
            failure = Failure(source, statement, index, accepts)
            if side_by_side is not None and side_by_side <= index:
                failure = Failure(source, statement, side_by_side, failure.accepts)
            return (explain(failure),)
    assert tree is not None
    try:
        statements = build(tree, source)
    except CompileError as error:
        return error.diagnostics
    if side_by_side is not None and side_by_side < len(statement):
        misplaced = misplaced_statements(source, statement, statements)
        return misplaced or (explain(Failure(source, statement, side_by_side, frozenset())),)
    return misplaced_statements(source, statement, statements)


def _numeral_errors(source: Source, statement: Sequence[Token]) -> Iterator[Diagnostic]:
    for token in statement:
        if token.type == "NUMERAL":
            try:
                read_numeral(str(token), span_of(source, token))
            except CompileError as error:
                yield from error.diagnostics


def _bracket_errors(
    source: Source, tokens: Sequence[Token], brackets: Brackets
) -> Iterator[Diagnostic]:
    spelled = language().texts
    open_strings = {t.line for t in tokens if t.type == UNKNOWN and t.startswith('"')}
    for unclosed in brackets.unclosed:
        opener = tokens[unclosed.opener]
        if opener.line in open_strings:  # the closing bracket is in the string
            continue
        closer = spelled[CLOSER_OF[opener.type]]
        last = tokens[unclosed.stop - 1]
        if last.type == "COMMA":
            last = tokens[unclosed.stop - 2]
        related: tuple[Related, ...] = ()
        help_ = f"add `{closer}` after `{_short(last)}` at line {last.end_line}"
        if unclosed.closer is not None:
            wrong = tokens[unclosed.closer]
            related = (Related(f"`{closer}` expected here", span_of(source, wrong)),)
            help_ = f"write `{closer}` instead of `{wrong}`, or before it"
        elif unclosed.stop < len(tokens):
            stop = tokens[unclosed.stop]
            label = f"`{closer}` expected before this"
            related = (Related(label, span_of(source, stop)),)
        yield Diagnostic(
            code="CNN101",
            message=f"`{opener}` is not closed",
            span=span_of(source, opener),
            label=f"no `{closer}` for this bracket",
            related=related,
            help=help_,
        )
    for index in brackets.stray:
        closer = tokens[index]
        yield Diagnostic(
            code="CNN101",
            message=f"`{closer}` closes no bracket",
            span=span_of(source, closer),
            label="no bracket is open here",
            help=f"remove this `{closer}`",
        )


def _short(token: Token) -> str:
    return str(token) if len(token) <= 30 else token[:27] + "..."
