"""Texts become the Ast: structure, precedence, numbers, spans, comments."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from programs import bare, parsed, texts, value

from cnndsl.diagnostics import CompileError, Span
from cnndsl.syntax import ast


def name(text: str) -> Any:
    return ("Name", text)


def binary(operator: str, left: Any, right: Any) -> Any:
    return ("Binary", operator, left, right)


A, B, C, D = map(name, "abcd")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a -> b + c", ("Chain", (A, binary("+", B, C)))),
        ("a -> b -> c", ("Chain", (A, B, C))),
        ("(a -> b) -> c", ("Chain", (("Chain", (A, B)), C))),
        ("a if b else c -> d", ("Conditional", B, A, ("Chain", (C, D)))),
        ("a -> b if c else d", ("Conditional", C, ("Chain", (A, B)), D)),
        ("a if b else c if d else a", ("Conditional", B, A, ("Conditional", D, C, A))),
        ("a or b and c", binary("or", A, binary("and", B, C))),
        ("not a == b", ("Unary", "not", ("Comparison", "==", A, B))),
        ("not a and b", binary("and", ("Unary", "not", A), B)),
        ("a + b == c * d", ("Comparison", "==", binary("+", A, B), binary("*", C, D))),
        ("a in b + c", ("Comparison", "in", A, binary("+", B, C))),
        ("a - b - c", binary("-", binary("-", A, B), C)),
        ("a // b % c", binary("%", binary("//", A, B), C)),
        ("-a ** b", ("Unary", "-", binary("**", A, B))),
        ("a ** -b ** c", binary("**", A, ("Unary", "-", binary("**", B, C)))),
        ("a ** b ** c", binary("**", A, binary("**", B, C))),
        ("a.b[c](d)", ("Call", ("Index", ("Attribute", A, B), C),
                       (("Argument", None, D),))),
        ("a(b=c,)", ("Call", A, (("Argument", B, C),))),
        ("[]", ("ListExpr", ())),
        ("[a, b,]", ("ListExpr", (A, B))),
        ("[a for b, c in d]", ("Comprehension", A, (B, C), D)),
        ("(a)", A),
        ("(a,)", ("TupleExpr", (A,))),
        ("a, b", ("TupleExpr", (A, B))),
        ('"std/x.cnn"', ("String", "std/x.cnn")),
        ("true", ("Boolean", True)),
        ("trueish", name("trueish")),
    ],
)  # fmt: skip
def test_expressions(text: str, expected: Any) -> None:
    assert bare(value(text)) == expected


@pytest.mark.parametrize(
    "text, number",
    [("0", 0), ("1_000", 1000), ("64k", 64_000), ("26M", 26_000_000), ("4.2G", 4_200_000_000),
     ("1.1G", 1_100_000_000), ("32MB", 32_000_000), ("9223372036854775807", 2**63 - 1),
     ("0.5", 0.5), ("1_0.2_5", 10.25), ("1e-5", 1e-5), ("2.5E3", 2500.0)],
)  # fmt: skip
def test_numbers(text: str, number: float) -> None:
    node = value(text)
    assert isinstance(node, ast.Number)
    assert (node.value, type(node.value), node.text) == (number, type(number), text)


def test_sizes() -> None:
    assert bare(value("224x224")) == ("SizeLiteral", (224, 224))
    assert bare(value("7x07x7")) == ("SizeLiteral", (7, 7, 7))


@pytest.mark.parametrize(
    "text, code",
    [("1__0", "CNN109"), ("1_", "CNN109"), (".5", "CNN109"), ("5.", "CNN109"), ("1.2.3", "CNN109"),
     ("12abc", "CNN109"), ("3xx3", "CNN109"), ("3x", "CNN109"), ("0x10f", "CNN109"),
     ("1.0005k", "CNN109"), ("1e999", "CNN109"), ("5K", "CNN109"), ("1e5k", "CNN109"),
     ("9223372036854775808", "CNN403"), ("10000000000G", "CNN403"), ("3x4294967296", "CNN403"),
     ("9" * 500_000, "CNN403"), ("0." + "1" * 500_000, "CNN403")],
)  # fmt: skip
def test_wrong_numbers(text: str, code: str) -> None:
    with pytest.raises(CompileError) as caught:
        value(text)
    assert [d.code for d in caught.value.diagnostics] == [code]
    assert caught.value.diagnostics[0].span.text == text  # type: ignore[union-attr]


STATEMENTS = """\
network net(classes = 10, width)
import "std/resnet.cnn"
input image: float32[N, 3, H = 224, 2*w,]
let a, b = 1, 2
x = image; y = x
for i, d in pairs { x = f(x, d); output z = x }
if a { } else if b == c {
  x = a
      if b else c
} else { output y = x }
block f(x, n = 1) {
  return x, n
}
block g = a -> b
output x, y
assert params < 26M
"""


def test_statements() -> None:
    def number(text: str, n: int) -> Any:
        return ("Number", n, text)

    x, y, z, i, f, n = map(name, "xyzifn")
    call = ("Call", f, (("Argument", None, x), ("Argument", None, D)))
    assert bare(parsed(STATEMENTS).statements) == (
        ("Network", name("net"), (("Parameter", name("classes"), number("10", 10)),
                                  ("Parameter", name("width"), None))),
        ("Import", ("String", "std/resnet.cnn")),
        ("Input", name("image"), name("float32"), (
            ("ExtentDecl", name("N"), None), ("ExtentDecl", number("3", 3), None),
            ("ExtentDecl", name("H"), number("224", 224)),
            ("ExtentDecl", binary("*", number("2", 2), name("w")), None))),
        ("Bind", (A, B), ("TupleExpr", (number("1", 1), number("2", 2))), True),
        ("Bind", (x,), name("image"), False),
        ("Bind", (y,), x, False),
        ("For", (i, D), name("pairs"), (
            ("Bind", (x,), call, False),
            ("Output", (z,), x))),
        ("If", (("Branch", A, ()),
                ("Branch", ("Comparison", "==", B, C), (
                    ("Bind", (x,), ("Conditional", B, A, C), False),))),
               (("Output", (y,), x),)),
        ("Block", f, (("Parameter", x, None), ("Parameter", n, number("1", 1))), (
            ("Return", ("TupleExpr", (x, n))),)),
        ("Block", name("g"), (), ("Chain", (A, B))),
        ("Output", (x, y), None),
        ("Assert", ("Comparison", "<", name("params"), number("26M", 26_000_000))),
    )  # fmt: skip


def test_empty_program_has_no_statements() -> None:
    assert parsed("").statements == ()
    assert parsed("\n# a\n").statements == ()


def spans(node: Any) -> list[tuple[str, str]]:
    """Return (class, text of the span) for a node and all below it."""
    if isinstance(node, tuple):
        return [pair for item in node for pair in spans(item)]
    if not is_dataclass(node) or isinstance(node, Span):
        return []
    below = [pair for f in fields(node) for pair in spans(getattr(node, f.name))]
    return [(type(node).__name__, node.span.text), *below]


def test_spans_are_exact() -> None:
    (statement,) = parsed("\n  x = ( a->b ) + c . d( k = (1) , [2] ) # e").statements
    assert spans(statement) == [
        ("Bind", "x = ( a->b ) + c . d( k = (1) , [2] )"),
        ("Name", "x"),
        ("Binary", "( a->b ) + c . d( k = (1) , [2] )"),
        ("Chain", "a->b"),
        ("Name", "a"),
        ("Name", "b"),
        ("Call", "c . d( k = (1) , [2] )"),
        ("Attribute", "c . d"),
        ("Name", "c"),
        ("Name", "d"),
        ("Argument", "k = (1)"),
        ("Name", "k"),
        ("Number", "1"),
        ("Argument", "[2]"),
        ("ListExpr", "[2]"),
        ("Number", "2"),
    ]
    assert isinstance(statement, ast.Bind)
    assert isinstance(statement.value, ast.Binary)
    assert str(statement.span) == "test.cnn:2:3"
    assert statement.value.operator_span.text == "+"


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts)
def test_text_of_a_statement_parses_to_that_statement(text: str) -> None:
    for statement in parsed(text).statements:
        assert bare(parsed(statement.span.text).statements) == (bare(statement),)


def test_comments() -> None:
    comments = parsed("# one\r\nx = [ # two\n\t# three\n  a]# four").comments
    assert [(c.text, c.own_line, c.span.text) for c in comments] == [
        ("# one", True, "# one"),
        ("# two", False, "# two"),
        ("# three", True, "# three"),
        ("# four", False, "# four"),
    ]
    assert parsed('x = "# no comment"').comments == ()


def test_statements_start_on_their_own_line_or_behind_a_bracket_or_semicolon() -> None:
    for text in (
        "x = a y = b",
        "x = a let y = b",
        "block b { } x = a",
        "for i in a { } output x",
        "if a { } x = a",
        "if a { } if b { }",
        "if a { x = b y = c }",
    ):
        with pytest.raises(CompileError) as caught:
            parsed(text)
        assert [d.code for d in caught.value.diagnostics] == ["CNN108"], text
    assert len(parsed("x = a; y = b\nz = c;").statements) == 3


def test_bracket_on_a_new_line_is_no_call() -> None:
    with pytest.raises(CompileError) as caught:
        parsed("x = [\n  a\n  [b, c],\n]")
    assert [d.code for d in caught.value.diagnostics] == ["CNN102"]
    assert bare(value("[\n a,\n [b]]")) == ("ListExpr", (A, ("ListExpr", (B,))))
