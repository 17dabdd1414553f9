"""Untrusted text: a located error within seconds, never a crash."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import parsed, texts

from cnndsl.diagnostics import CompileError
from cnndsl.diagnostics.model import MAX_ERRORS
from cnndsl.diagnostics.render import render
from cnndsl.limits import MAX_NESTING, MAX_SOURCE_BYTES
from cnndsl.syntax.text import decode

MEGABYTE = MAX_SOURCE_BYTES


def codes(text: str) -> list[str]:
    try:
        parsed(text)
    except CompileError as error:
        for d in error.diagnostics:
            render(d)
        return [d.code for d in error.diagnostics]
    return []


@pytest.mark.parametrize(
    "text, code",
    [
        ("(" * 10_000_000, "CNN404"),
        ("(" * MEGABYTE, "CNN402"),
        ("x = " + "[" * 500_000, "CNN402"),
        ("block b {" * 100_000, "CNN402"),
        ("x = " + "(" * 101 + "a" + ")" * 101, "CNN402"),
        ("x = " + "- " * 49_000 + "a", "CNN402"),
        ("x = " + "not " * 49_000 + "a", "CNN402"),
        ("x = " + "a ** " * 24_000 + "a", "CNN402"),
        ("x = 1" + "+1" * 24_000, "CNN402"),
        ("x = " + "a if b else " * 12_000 + "c", "CNN402"),
        ("x = a" + ".b" * 24_000, "CNN402"),
        ("x = a" + "()" * 16_000, "CNN402"),
        ("x = " + "a, " * 30_000 + "a", "CNN404"),
        ("9" * MEGABYTE, "CNN403"),
        ("x = a\0b", "CNN106"),
        ("x = \ud800", "CNN106"),
        ("x = \x1b[31m", "CNN105"),
        ("x = a\u00a0+ b", "CNN105"),
        ("\u202ex = a", "CNN105"),
        ("x = '" * 16_000, "CNN105"),
        (")" * (MEGABYTE // 32), "CNN101"),
        ("(\nlet " * 15_000, "CNN402"),
        (")" * 200 + "(" * 101, "CNN402"),
        ("x = (\n\nlet y = (a)\n" * 90, "CNN101"),
        ('"' * 90_000, "CNN100"),
        ('x"); import os', "CNN105"),
        ("x = = \n" * 16_000, "CNN100"),
        ("=" * 49_000, "CNN100"),
        ("a " * 49_000, "CNN100"),
    ],
    ids=lambda v: repr(v)[:20],
)
def test_hostile_text_is_answered_at_once(text: str, code: str) -> None:
    codes("x")  # the parser is built once, before the clock starts
    start = time.perf_counter()
    found = codes(text)
    assert code in found
    assert len(found) <= MAX_ERRORS
    assert time.perf_counter() - start < 6, "seconds; one or less on an idle machine"


def test_nesting_up_to_the_limit_is_a_program() -> None:
    assert codes("x = " + "(" * MAX_NESTING + "a" + ")" * MAX_NESTING) == []
    assert codes("x = 1" + "+1" * MAX_NESTING) == []
    assert codes("x = 1" + "+1" * (MAX_NESTING + 1)) == ["CNN402"]
    assert codes("x = [" + "a, " * 10_000 + "]") == []
    assert codes("x = a" + " -> relu" * 10_000) == []


def test_brackets_in_comments_and_strings_do_not_nest() -> None:
    assert codes("# " + "(" * 500 + '\nx = "' + "[" * 500 + '"') == []


def test_decode() -> None:
    assert decode("a.cnn", b"\xef\xbb\xbfx = a").text == "x = a"
    with pytest.raises(CompileError) as caught:
        decode("a.cnn", b"x = a\ny = \xff\n")
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.span)) == ("CNN106", "a.cnn:2:5")
    assert "0xff at offset 10" in render(found)
    with pytest.raises(CompileError) as caught:
        decode("a.cnn", b" " * (MAX_SOURCE_BYTES + 1))
    assert [d.code for d in caught.value.diagnostics] == ["CNN404"]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=80))
def test_any_text_parses_or_gives_diagnostics(text: str) -> None:
    codes(text)


FRAGMENTS = st.sampled_from(
    [
        *"()[]{},;:.=-+",
        *("==", "->", ">", "**", "not", "if", "else", "for", "in", "let", "block", "output"),
        *("return", "assert", "a", "b", "f(", "conv3x3", "3x3", "1_0", '"s"', '"', "#", "\n"),
        *("input", "import", "network", "true", "\n"),
    ]
)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(FRAGMENTS, max_size=25).map(" ".join))
def test_any_tokens_parse_or_give_diagnostics(text: str) -> None:
    codes(text)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts, st.data())
def test_a_program_with_a_part_cut_out_parses_or_gives_diagnostics(
    text: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 3)))
    codes(text[:start] + text[end:])
