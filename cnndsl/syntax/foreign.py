"""Mistakes of people who know other languages: rules of the table in `explain`."""

from __future__ import annotations

from cnndsl.diagnostics import Diagnostic
from cnndsl.syntax.failure import ENDS_VALUE, STARTS_VALUE, Failure

_FOREIGN = {
    "def": "write `block name(x) { ... }`",
    "class": "write `block name(x) { ... }`",
    "while": "write `for i in range(n) { ... }`",
    "elif": "write `else if condition { ... }`",
    "elseif": "write `else if condition { ... }`",
    "elsif": "write `else if condition { ... }`",
    "//": "comments begin with `#`",
}


def _foreign_statement(f: Failure) -> Diagnostic | None:
    """A statement, or a comment, of another language."""
    if f.text(-2) == "//" and f.type(-1) in ENDS_VALUE and f.type() in STARTS_VALUE:
        place = -2
    elif f.text() in _FOREIGN and f.begins_line() and f.text(1) not in ("=", ","):
        place = 0
    elif f.text(-1) in _FOREIGN and f.begins_line(-1) and f.text() not in ("=", ","):
        place = -1
    else:
        return None
    word = f.text(place)
    return Diagnostic(
        code="CNN100",
        message=f"`{word}` starts no {'comment' if word == '//' else 'statement'}",
        span=f.span(place, place),
        label="not part of the language" if word == "//" else "expected a statement's keyword",
        help=_FOREIGN[word],
    )


def _assigning_operator(f: Failure) -> Diagnostic | None:
    """x += y"""
    for at in (0, -1):
        name, operator = f.text(at), f.text(at + 1)
        if not (f.begins_line(at) and f.type(at) == "NAME" and f.text(at + 2) == "="):
            continue
        if operator in ("+", "-", "*", "/", "**", "//", "%"):
            return Diagnostic(
                code="CNN100",
                message=f"`{operator}=` is not part of the language",
                span=f.span(at + 1, at + 2),
                label="expected `=`",
                help=f"write `{name} = {name} {operator} ...`",
            )
    return None


def _input_bound(f: Failure) -> Diagnostic | None:
    """input x = float32[...]"""
    if f.tokens[0].type != "INPUT" or f.index != 2 or f.text() != "=":
        return None
    return Diagnostic(
        code="CNN100",
        message="an input has a type, not a value",
        span=f.span(),
        label="expected `:`",
        help="write `:` instead of `=`",
    )


_SIGNS = {
    ("NETWORK", "{"): ("a network's statements stand in no body", "remove the `{` and its `}`"),
    ("INPUT", "("): ("extents stand in `[ ]`", "write `[` instead of `(`, and `]` behind them"),
    ("OUTPUT", ":"): ("an output has a value, not a type", "write `=` instead of `:`"),
    ("BLOCK", "->"): ("a block has `= value` or a body in `{ }`", "write `=` instead of `->`"),
}


def _wrong_sign(f: Failure) -> Diagnostic | None:
    """A declaration with the sign that another language has in this place."""
    known = _SIGNS.get((f.tokens[0].type, f.text()))
    if known is None or "=" in map(str, f.tokens[: f.index]) or f.open_bracket() is not None:
        return None
    message, help_ = known
    return Diagnostic(
        code="CNN100", message=message, span=f.span(), label="does not fit here", help=help_
    )


RULES = (_foreign_statement, _assigning_operator, _input_bound, _wrong_sign)
