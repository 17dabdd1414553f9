"""Diagnostics as text and as JSON."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.diagnostics import Diagnostic, Related, Severity, Source, Span
from cnndsl.diagnostics.excerpt import MAX_COLUMNS
from cnndsl.diagnostics.render import render, to_json

RESNET = Source(
    "resnet.cnn", "\n" * 11 + "  main = x -> conv3x3(width, groups=3) -> bn\n" + "\n" * 8
    + "y = stage_one -> bottleneck(64)\n",
)  # fmt: skip


def of(source: Source, first: str, last: str | None = None) -> Span:
    start = source.text.index(first)
    return Span(source, start, source.text.index(last or first, start) + len(last or first))


GROUPS = Diagnostic(
    code="CNN203",
    message="conv3x3 with groups=3 needs input channels divisible by 3, got 64",
    span=of(RESNET, "conv3x3(width, groups=3)"),
    label="here x is [N, 64, 56, 56]",
    trail=(("bottleneck", of(RESNET, "bottleneck(64)")),),
    help="groups=4 divides 64",
)


def test_text_has_the_documented_form() -> None:
    assert render(GROUPS) == (
        "error[CNN203]: conv3x3 with groups=3 needs input channels divisible by 3, got 64\n"
        "  --> resnet.cnn:12:15\n"
        "   |\n"
        "12 |   main = x -> conv3x3(width, groups=3) -> bn\n"
        "   |               ^^^^^^^^^^^^^^^^^^^^^^^^ here x is [N, 64, 56, 56]\n"
        "   = in block `bottleneck`, used at resnet.cnn:21:18\n"
        "   = help: groups=4 divides 64"
    )


def test_related_places_and_notes_follow() -> None:
    d = Diagnostic(
        code="CNN901",
        message="never used",
        span=of(RESNET, "main"),
        related=(Related("the other is here", of(RESNET, "stage_one")),),
        notes=("first\nsecond line",),
        severity=Severity.WARNING,
    )
    assert render(d) == (
        "warning[CNN901]: never used\n"
        "  --> resnet.cnn:12:3\n"
        "   |\n"
        "12 |   main = x -> conv3x3(width, groups=3) -> bn\n"
        "   |   ^^^^\n"
        "  ::: resnet.cnn:21:5\n"
        "   |\n"
        "21 | y = stage_one -> bottleneck(64)\n"
        "   |     --------- the other is here\n"
        "   = note: first\n"
        "           second line"
    )


def test_diagnostic_without_a_place() -> None:
    d = Diagnostic(code="CNN801", message="cannot read x.cnn", help="check the path")
    assert render(d) == "error[CNN801]: cannot read x.cnn\n  = help: check the path"


def test_span_of_several_lines_shows_the_first_and_the_last() -> None:
    source = Source("a.cnn", "x = conv(64,\n  stride=2,\n  groups=3)\n")
    d = Diagnostic(code="CNN203", message="m", span=of(source, "conv", ")"), label="here")
    assert render(d).splitlines()[3:] == [
        "1 | x = conv(64,",
        "  |     ^^^^^^^^",
        "...",
        "3 |   groups=3)",
        "  |   ^^^^^^^^^ here",
    ]


@pytest.mark.parametrize(
    "text, marked, shown, underline",
    [
        ("\tx = @", "@", "    x = @", "        ^"),
        ("漢 = @", "@", "漢 = @", "     ^"),
        ("e\u0301 = @", "@", "e\u0301 = @", "    ^"),
        ("\x1b[31m @", "@", "␛[31m @", "      ^"),
        ("a\u202eb @", "@", "a\\u{202e}b @", "           ^"),
        ("x = @\r", "@", "x = @", "    ^"),
    ],
)
def test_odd_characters_are_shown_and_counted(
    text: str, marked: str, shown: str, underline: str
) -> None:
    source = Source("a.cnn", text + "\n")
    d = Diagnostic(code="CNN105", message="m", span=of(source, marked))
    assert render(d).splitlines()[3:] == [f"1 | {shown}", f"  | {underline}"]


def test_message_and_file_name_cannot_control_the_terminal() -> None:
    source = Source("a\x1b[2J.cnn", "x\n")
    d = Diagnostic(code="CNN301", message="no \x1b]0;t\x07", span=Span(source, 0, 1), help="\x9b1m")
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", render(d)) is None


def test_end_of_the_source_has_a_caret() -> None:
    source = Source("a.cnn", "x =")
    d = Diagnostic(code="CNN100", message="m", span=Span(source, 3, 3), label="expected a value")
    assert render(d).splitlines()[3:] == ["1 | x =", "  |    ^ expected a value"]


def test_long_line_is_cut_around_the_caret() -> None:
    source = Source("a.cnn", "a + " * 100_000 + "@ + c" * 100_000)
    d = Diagnostic(code="CNN105", message="m", span=of(source, "@"))
    line, underline = render(d).splitlines()[3:]
    assert line.startswith("1 | …")
    assert line.endswith("…")
    assert len(line) <= MAX_COLUMNS + 6
    assert line[underline.index("^")] == "@"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300), st.data())
def test_any_span_of_any_text_renders(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    d = Diagnostic(code="CNN100", message=text, span=Span(Source(text, text), start, end))
    shown = render(d)
    assert "^" in shown
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u202e]", shown) is None
    plain = re.sub("\x1b\\[[0-9;]*m", "", render(d, color=True))
    assert plain == shown


def test_color_marks_severity() -> None:
    assert render(GROUPS, color=True).startswith("\x1b[1;31merror[CNN203]\x1b[0m: ")


def test_json_has_the_same_facts() -> None:
    source = Source("a.cnn", "x = [\n  @\n]\n")
    d = Diagnostic(
        code="CNN205",
        message="m",
        span=of(source, "[", "@"),
        label="l",
        notes=("n",),
        related=(Related("r", of(source, "x")),),
        trail=(("b", of(source, "@")),),
    )
    place = {"file": "a.cnn", "line": 1, "column": 1, "end_line": 1, "end_column": 2}
    assert json.loads(json.dumps(to_json(d))) == {
        "code": "CNN205",
        "severity": "error",
        "message": "m",
        "file": "a.cnn",
        "line": 1,
        "column": 5,
        "end_line": 2,
        "end_column": 4,
        "label": "l",
        "notes": ["n"],
        "related": [{"message": "r", **place}],
        "trail": [{"block": "b", **place, "line": 2, "column": 3, "end_line": 2, "end_column": 4}],
        "help": None,
    }
    nowhere = to_json(Diagnostic(code="CNN801", message="m"))
    assert nowhere["file"] is None
    assert nowhere["line"] is None
