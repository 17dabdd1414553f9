"""Syntax errors by example: each wrong program of tests/golden/syntax and its whole text.

`CNNDSL_UPDATE_GOLDEN=1 pytest tests/syntax/test_errors.py` writes the texts anew; read the
difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from programs import parsed

from cnndsl.diagnostics import CompileError, Diagnostic, Source
from cnndsl.diagnostics.render import render
from cnndsl.syntax.language import language
from cnndsl.syntax.parser import parse

FOLDER = Path(__file__).parents[1] / "golden" / "syntax"
EXAMPLES = sorted(p.stem for p in FOLDER.glob("*.cnn"))


def diagnostics(name: str, text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(CompileError) as caught:
        parse(Source(name, text))
    return caught.value.diagnostics


@pytest.mark.parametrize("name", EXAMPLES)
def test_wrong_program_gives_its_golden_text(name: str) -> None:
    text = (FOLDER / f"{name}.cnn").read_text(encoding="utf-8")
    found = diagnostics(f"{name}.cnn", text)
    shown = "\n\n".join(render(d) for d in found) + "\n"
    golden = FOLDER / f"{name}.txt"
    if os.environ.get("CNNDSL_UPDATE_GOLDEN"):
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text(encoding="utf-8")
    assert name[:6] in {d.code for d in found}


def test_messages_are_in_the_words_of_the_user() -> None:
    """No text names a token type of the grammar, or Python's None."""
    types = {t for t in language().texts if t.startswith("__")} | {"NUMERAL", "$END", "None"}
    types |= {"LPAR", "RPAR", "LSQB", "RSQB", "LBRACE", "RBRACE", "EQUAL", "COMMA"}
    for name in EXAMPLES:
        shown = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
        assert not [t for t in types if t in shown], name


@pytest.mark.parametrize(
    "wrong, right",
    [
        ("x = conv3x3(64\ny = a", "x = conv3x3(64)\ny = a"),
        ("x = [a, b)", "x = [a, b]"),
        ("x = [a b]", "x = [a, b]"),
        ("x = a => b", "x = a -> b"),
        ("x = a > b > c", "x = a -> b -> c"),
        ("assert params = 3", "assert params == 3"),
        ("x = f(in=3)", "x = f(in_=3)"),
        ("x = a if b", "x = a if b else c"),
        ("block f = { return x }", "block f { return x }"),
        ("for d in a: { x = d }", "for d in a { x = d }"),
        ("output x -> relu", "output logits = x -> relu"),
        ("ouput y = b", "output y = b"),
        ("x = conv3 x 3(64)", "x = conv3x3(64)"),
        ("x = a y = b", "x = a\ny = b"),
        ("x = a < b < c", "x = a < b and b < c"),
        ("if a:\n  x = b", "if a {\n  x = b\n}"),
        ("x = a\nif b:\n  x = c", "x = a\nif b {\n  x = c\n}"),
        ("if a { x = b } elif b { x = c }", "if a { x = b } else if b { x = c }"),
        ("x = a if b { y = c }", "x = a\nif b { y = c }"),
        ("x = a not in b", "x = not (a in b)"),
    ],
)
def test_suggested_edit_makes_a_program(wrong: str, right: str) -> None:
    assert all(d.help for d in diagnostics("a.cnn", wrong))
    parsed(right)


def test_each_broken_statement_is_reported_once_and_the_others_are_left_alone() -> None:
    lines = ["a = b", "x = = 1", "c = f(d,\n  k=2)", "y = a b", "block f(x) {", "  z = x ->",
             "  return x", "}", "w = (1"]  # fmt: skip
    found = diagnostics("a.cnn", "\n".join(lines))
    assert [d.span.line for d in found if d.span] == [2, 5, 7, 10]


def test_argument_lines_of_a_broken_call_are_no_statements() -> None:
    found = diagnostics("a.cnn", "x = conv3x3(64,\n  stride=2\n  padding=1)\ny = a\n")
    assert [(d.code, d.span.line) for d in found if d.span] == [("CNN102", 3)]


def test_diagnostics_do_not_depend_on_the_hash_seed() -> None:
    from cnndsl.syntax.explain import expected

    words = expected(frozenset(("RPAR", "COMMA", "COLON", "PLUS")))
    assert words == "an operator, `)`, `,` or `:`"
