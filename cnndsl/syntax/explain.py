"""Say in the user's words why a statement does not parse: a table of known mistakes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from lark import Token

from cnndsl.diagnostics import Diagnostic
from cnndsl.syntax import branching, foreign
from cnndsl.syntax.failure import ENDS_VALUE, STARTS_VALUE, Failure, bracket_on_new_line
from cnndsl.syntax.language import IF_STATEMENT, language
from cnndsl.syntax.statements import STATEMENT_KEYWORDS, starts_line

_COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))


def explain(failure: Failure) -> Diagnostic:
    """Return the diagnostic of the first mistake in the table that fits."""
    for rule in _RULES:
        diagnostic = rule(failure)
        if diagnostic is not None:
            return diagnostic
    return _anything_else(failure)


# Each rule looks at one mistake; the first that fits wins.


def _misspelt_arrow(f: Failure) -> Diagnostic | None:
    pair = (f.text(-1), f.text())
    if pair in (("-", ">"), ("-", "->"), ("=", ">"), ("->", ">")):
        span = f.span(-1, 0)
    elif (f.text(), f.text(1)) == ("=", ">"):
        span = f.span(0, 1)
    elif f.text() == f.text(-1) == "->":
        return Diagnostic(
            code="CNN103",
            message="two arrows follow each other",
            span=f.span(),
            label="a layer is missing before this arrow",
            help="remove one `->`",
        )
    elif f.text() == ">" and _compares_layers(f):
        span = f.span()
    else:
        return None
    return Diagnostic(
        code="CNN103",
        message=f"layers compose with `->`, not with `{span.text}`",
        span=span,
        label="misspelt arrow",
        help="write `->`",
    )


def _compares_layers(f: Failure) -> bool:
    comparisons = {str(t) for t in f.tokens if str(t) in _COMPARISONS}
    return comparisons == {">"} and not f.in_condition()


def _assignment_in_condition(f: Failure) -> Diagnostic | None:
    if f.text() != "=" or not f.in_condition():
        return None
    return Diagnostic(
        code="CNN104",
        message="`=` binds a name; a comparison is written `==`",
        span=f.span(),
        label="expected a comparison",
        help="write `==`",
    )


def _second_equals(f: Failure) -> Diagnostic | None:
    if f.text() != "=" or f.text(-1) == "=" or f.open_bracket() is not None:
        return None
    if "=" not in [str(t) for t in f.tokens[: f.index]]:
        return None
    return Diagnostic(
        code="CNN100",
        message="a statement binds with one `=`",
        span=f.span(),
        label="a second `=`",
        help="write `==` to compare, or a statement for each name",
    )


def _chained_comparison(f: Failure) -> Diagnostic | None:
    if f.text() not in _COMPARISONS or f.type(-1) not in ENDS_VALUE:
        return None
    return Diagnostic(
        code="CNN100",
        message="comparisons do not chain",
        span=f.span(),
        label="a second comparison",
        help="join two comparisons with `and`",
    )


def _not_in(f: Failure) -> Diagnostic | None:
    if (f.type(), f.type(1)) != ("NOT", "IN"):
        return None
    return Diagnostic(
        code="CNN100",
        message="`not` stands before a whole condition",
        span=f.span(0, 1),
        label="expected an operator",
        help="write `not (a in b)`",
    )


def _keyword_as_name(f: Failure) -> Diagnostic | None:
    keywords = language().keywords
    if f.text() in keywords and "NAME" in f.accepts:
        offset = 0
    elif (
        f.index == 1
        and f.type(-1) in STATEMENT_KEYWORDS
        and f.type() not in ("", "NUMERAL", "STRING")
        and (f.text() in ("=", ",", "->", ".") or f.type(-1) == "RETURN")
    ):
        offset = -1
    else:
        return None
    if offset == 0 and f.type() in ("TRUE", "FALSE", "NOT"):
        what = "expected a name"
    else:
        what = "a name cannot stand for it"
    word = f.text(offset)
    return Diagnostic(
        code="CNN110",
        message=f"`{word}` is a keyword of the language and cannot be a name",
        span=f.span(offset, offset),
        label=what,
        help=f"use another name, such as `{word}_`",
    )


def _spaced_kernel(f: Failure) -> Diagnostic | None:
    """conv3 x 3(64)"""
    if not (f.type(-1) == "NAME" and f.text(-1)[-1].isdigit() and f.text()[:1] in ("x", "X")):
        return None
    last = 1 if f.text() in ("x", "X") and f.type(1) == "NUMERAL" else 0
    if last == 0 and not f.text()[1:].isdigit():
        return None
    joined = "".join(f.text(i) for i in range(-1, last + 1)).replace("X", "x")
    return Diagnostic(
        code="CNN109",
        message="a kernel is written without spaces",
        span=f.span(-1, last),
        label="malformed kernel",
        help=f"write `{joined}`",
    )


def _side_by_side(f: Failure) -> Diagnostic | None:
    if f.type(-1) not in ENDS_VALUE or f.type() not in STARTS_VALUE | {"LPAR", "LSQB"}:
        return None
    if f.type() in ("LPAR", "LSQB") and not bracket_on_new_line(f.tokens, f.index):
        return None
    bracket = f.open_bracket()
    if bracket is None and _in_head(f):
        return None
    new_line = starts_line(f.tokens, f.index)
    left, right = f"`{f.text(-1)}`", f.text()
    if (
        bracket is not None
        and f.tokens[bracket].type != "LBRACE"
        and (_separates_items(f.tokens, bracket) or new_line)
    ):
        return Diagnostic(
            code="CNN102",
            message=f"a comma is missing before `{right}`",
            span=f.span(),
            label=f"expected `,` or `->` between {left} and this",
            help=f"add `,` after {left}" if new_line else f"write `, {right}`",
        )
    if bracket is None and f.index == 1:
        return _unknown_statement(f, -1)
    if bracket is None and new_line:
        if f.type() == "NAME" and f.type(1) in ("NAME", "STRING"):
            return _unknown_statement(f, 0)
        if f.tokens[f.index].column == f.tokens[0].column:
            return _not_a_statement(f)
    if bracket is None and not new_line and f.text(1) == "=":
        return Diagnostic(
            code="CNN108",
            message="a statement must start on a new line",
            span=f.span(),
            label="a statement starts here",
            help=f"break the line before `{right}`",
        )
    return Diagnostic(
        code="CNN103",
        message=f"an arrow is missing before `{right}`",
        span=f.span(),
        label=f"expected `->` or an operator between {left} and this",
        help=f"write `-> {right}`",
    )


def _in_head(f: Failure) -> bool:
    """Return whether the failing token stands before the `=`, `in` or body of its statement."""
    before = {t.type for t in f.tokens[: f.index]}
    heads = ("INPUT", "NETWORK", "IMPORT", "FOR", "BLOCK")
    return f.tokens[0].type in heads and before.isdisjoint(("EQUAL", "IN"))


def _separates_items(tokens: Sequence[Token], bracket: int) -> bool:
    """Return whether commas may stand in a bracket: in a list or call, not in a group."""
    if tokens[bracket].type == "LSQB":
        return True
    return bracket > 0 and tokens[bracket - 1].type in ENDS_VALUE


def _unknown_statement(f: Failure, offset: int) -> Diagnostic:
    word = f.text(offset)
    keywords = [language().texts[kind] for kind in sorted(STATEMENT_KEYWORDS)]
    near = difflib.get_close_matches(word, keywords, n=1, cutoff=0.6)
    return Diagnostic(
        code="CNN100",
        message=f"`{word}` starts no statement",
        span=f.span(offset, offset),
        label="expected a statement's keyword, or `name = value`",
        help=f"write `{near[0]}`" if near else f"write `{word} = ...`",
    )


def _not_a_statement(f: Failure) -> Diagnostic:
    return Diagnostic(
        code="CNN100",
        message="a value alone is not a statement",
        span=f.span(),
        label="expected `name = value`",
        help=f"bind it to a name: `y = {f.text()} ...`",
    )


def _statement_in_line(f: Failure) -> Diagnostic | None:
    if f.type() not in STATEMENT_KEYWORDS or f.type(-1) not in ENDS_VALUE:
        return None
    if f.open_bracket() is not None:
        return None
    return Diagnostic(
        code="CNN108",
        message="a statement must start on a new line",
        span=f.span(),
        label="a statement starts here",
        help=f"break the line before `{f.text()}`",
    )


def _empty_parentheses(f: Failure) -> Diagnostic | None:
    if (f.text(-1), f.text()) != ("(", ")"):
        return None
    return Diagnostic(
        code="CNN100",
        message="`()` holds no value",
        span=f.span(-1, 0),
        label="expected a value between the brackets",
        help="write a value, or remove the brackets",
    )


def _body_after_equals(f: Failure) -> Diagnostic | None:
    if (f.text(-1), f.text()) != ("=", "{"):
        return None
    return Diagnostic(
        code="CNN100",
        message="a block has either `= value` or a body in `{ }`",
        span=f.span(-1, 0),
        label="both",
        help="remove the `=`",
    )


_WITH_BODY = ("FOR", "BLOCK", "ELSE", IF_STATEMENT)


def _colon_before_body(f: Failure) -> Diagnostic | None:
    if f.text() != ":" or f.tokens[0].type not in _WITH_BODY:
        return None
    return Diagnostic(
        code="CNN100",
        message="a body is written in `{ }`",
        span=f.span(),
        label="expected `{`",
        help="write `{` here and `}` after the last statement",
    )


def _bare_expression(f: Failure) -> Diagnostic | None:
    names = all(t.type in ("NAME", "COMMA") for t in f.tokens[: f.index])
    if not (f.index > 0 and names and "EQUAL" in f.accepts):
        return None
    return Diagnostic(
        code="CNN100",
        message="a value alone is not a statement",
        span=f.span(-1, -1) if f.index >= len(f.tokens) else f.span(),
        label="expected `name = value`",
        help=f"bind it to a name: `y = {f.tokens[0]} ...`",
    )


def _unnamed_output(f: Failure) -> Diagnostic | None:
    if f.tokens[0].type != "OUTPUT" or "EQUAL" not in f.accepts or f.index < 2:
        return None
    return Diagnostic(
        code="CNN100",
        message="an output needs a name",
        span=f.span(),
        label="expected `= value`",
        help=f"write `output logits = {f.text(-1)} {f.text()} ...`",
    )


def _missing_value(f: Failure) -> Diagnostic | None:
    """x = a ->"""
    if "NAME" not in f.accepts or "NUMERAL" not in f.accepts:
        return None
    after = f.text(-1)
    operator = bool(after) and not after.isalpha()
    span = f.span()
    found = f", found `{f.text()}`" if f.text() else ""
    return Diagnostic(
        code="CNN103" if after == "->" else "CNN102" if f.text() == "," else "CNN100",
        message=f"a value is missing after `{after}`" if after else "a value is missing",
        span=span,
        label=f"expected a value{found}",
        help=f"remove `{after}`, or write a value behind it" if operator else "write a value",
    )


_RULES: tuple[Callable[[Failure], Diagnostic | None], ...] = (
    _misspelt_arrow,
    *branching.RULES,
    *foreign.RULES,
    _assignment_in_condition,
    _second_equals,
    _not_in,
    _keyword_as_name,
    _spaced_kernel,
    _side_by_side,
    _statement_in_line,
    _chained_comparison,
    *branching.BEHIND_A_VALUE,
    _empty_parentheses,
    _body_after_equals,
    _colon_before_body,
    _bare_expression,
    _unnamed_output,
    _missing_value,
)

_WORDS = {"NAME": "a name", "NUMERAL": "a number", "STRING": 'a text in "quotes"'}
_OPERATORS = frozenset(("+", "-", "*", "/", "//", "%", "**", "and", "or")) | _COMPARISONS


def _anything_else(f: Failure) -> Diagnostic:
    what = f"unexpected `{f.text()}`" if f.text() else "the statement is not complete"
    words = expected(f.accepts)
    help_ = None
    if f.accepts == {"STRING"}:
        help_ = f'write `"{f.text()}"`' if f.text() else 'write `"std/resnet.cnn"`, or another file'
    elif words.count("`") == 2 and words.startswith("`"):
        help_ = f"write {words}" + (f" before `{f.text()}`" if f.text() else "")
    return Diagnostic(
        code="CNN100", message=what, span=f.span(), label=f"expected {words}", help=help_
    )


def expected(accepts: frozenset[str]) -> str:
    """Return token types in the user's words: "a value", "`,` or `)`"."""
    texts = language().texts
    if {"NAME", "NUMERAL"} <= accepts:
        return "a value"
    words = [_WORDS[t] for t in sorted(accepts) if t in _WORDS]
    if "$END" in accepts:  # what would start the next statement explains nothing
        words, accepts = [], accepts - {"SEMICOLON"}
    symbols = {texts[t] for t in accepts if t in texts and t not in STATEMENT_KEYWORDS}
    if symbols & _OPERATORS:
        symbols -= _OPERATORS | {"[", "(", ".", "in", "if"}
        words.append("an operator")
    words += [f"`{s}`" for s in sorted(symbols)]
    if "$END" in accepts or not words:
        words.append("the end of the statement")
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]
