"""Mistakes around `if` and `else`: rules of the table in `explain`."""

from __future__ import annotations

from cnndsl.diagnostics import Diagnostic
from cnndsl.syntax.failure import STARTS_VALUE, Failure
from cnndsl.syntax.statements import starts_line


def _if_statement(f: Failure) -> Diagnostic | None:
    if f.type() != "IF" or f.open_bracket() is not None or f.text(-1) in ("=", "->", "return"):
        return None
    if not f.begins_line() or "IF" in f.accepts or f.text(1) in ("=", ","):
        return None
    return Diagnostic(
        code="CNN100",
        message="`if` as a statement needs a body in `{ }`",
        span=f.span(),
        label="expected a condition and `{` behind this",
        help="write `if condition { ... }`, or `name = a if condition else b`",
    )


def _else_alone(f: Failure) -> Diagnostic | None:
    if f.type() != "ELSE" or f.open_bracket() is not None or f.text(1) in ("=", ","):
        return None
    if f.index and not f.begins_line() and f.text(-1) != "}":
        return None
    return Diagnostic(
        code="CNN100",
        message="`else` belongs to no `if`",
        span=f.span(),
        label="no branch of an `if` ends before this",
        help="write `if condition { ... } else { ... }`",
    )


def _else_without_body(f: Failure) -> Diagnostic | None:
    if f.type(-1) != "ELSE" or f.accepts != {"LBRACE", "IF_STATEMENT"} or f.text() == ":":
        return None
    further = f.type() == "IF"
    return Diagnostic(
        code="CNN100",
        message=f"`else{' if' if further else ''}` needs a body in `{{ }}`",
        span=f.span(-1, 0 if further else -1),
        label=f"expected {'a condition and ' if further else ''}`{{` behind this",
        help=f"write `else {'if condition ' if further else ''}{{ ... }}`",
    )


def _if_before_its_value(f: Failure) -> Diagnostic | None:
    """x = if condition { a } else { b }"""
    if f.type() != "IF" or "NAME" not in f.accepts or f.text(1) in ("=", ","):
        return None
    return Diagnostic(
        code="CNN100",
        message="`if` stands behind the value that it chooses",
        span=f.span(),
        label="expected a value",
        help="write `a if condition else b`",
    )


def _missing_else(f: Failure) -> Diagnostic | None:
    if "ELSE" not in f.accepts or f.type() in STARTS_VALUE:
        return None
    if f.text() == "{":
        inner = next(i for i in range(-1, -f.index - 1, -1) if f.type(i) == "IF")
        return Diagnostic(
            code="CNN108",
            message="a statement must start on a new line",
            span=f.span(inner, inner),
            label="an `if` with a body is a statement",
            help="break the line before `if`",
        )
    if any(t.type == "IF" and starts_line(f.tokens, i) for i, t in enumerate(f.tokens[: f.index])):
        return Diagnostic(
            code="CNN100",
            message="`if` needs an `else`, or a body in `{ }`",
            span=f.span(),
            label="expected `else` and a value, or `{`",
            help="write `{` here and `}` after the last statement that depends on the condition",
        )
    return Diagnostic(
        code="CNN100",
        message="`if` needs an `else`",
        span=f.span(),
        label="expected `else` and a value",
        help="add `else` and the value for when the condition does not hold",
    )


RULES = (_if_statement, _else_without_body, _if_before_its_value, _else_alone)
BEHIND_A_VALUE = (_missing_else,)
