"""The canonical form: same program, same comments, and stable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import bare, parsed, texts

from cnndsl.cli.main import main
from cnndsl.syntax.formatter import WIDTH, format_program
from cnndsl.syntax.language import language

ROOT = Path(__file__).parents[2]
SHIPPED = [*sorted(ROOT.glob("examples/*.cnn")), *sorted(ROOT.glob("cnndsl/library/**/*.cnn"))]

relaxed = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def formatted(text: str) -> str:
    return format_program(parsed(text))


def commented(draw: Callable[..., int], text: str) -> str:
    """Put comments and line breaks between the tokens of a program."""
    out = []
    last = 0
    previous = None
    for number, token in enumerate(language().scan(text)):
        gap = text[last : token.start_pos]
        calls = previous in ("NAME", "RPAR", "RSQB") and token.type in ("LPAR", "LSQB")
        kind = draw(st.integers(0, 11)) if not calls else 9
        if kind == 0:
            gap = f" # note {number}\n" + gap
        elif kind == 1:
            gap += f"\n  # own {number}\n\n\n"
        elif kind == 2:
            gap += "\n\n"
        elif kind == 3:
            gap += f" #note {number}a\n# own {number}b\n"
        out += [gap, str(token)]
        last, previous = token.end_pos, token.type
    return "".join(out) + ["", "# end", "\n\n\n# end\n", "\n"][draw(st.integers(0, 3))]


def spaced(text: str, space: str) -> str:
    """Write the spaces inside statements anew, but for lines begun by arrows."""
    parts = []
    previous = None
    for token in language().scan(text):
        starts = previous is not None and token.line > previous.end_line
        stays = token.type in ("LPAR", "LSQB") or "->" in (token, previous)
        parts.append("\n" if starts else " " if stays else space)
        parts.append(str(token))
        previous = token
    return "".join(parts)


@relaxed
@given(st.data())
def test_printing_keeps_programs_and_comments_whatever_the_layout(data: st.DataObject) -> None:
    """One drawn program serves all three: to draw it takes longer than to print it."""
    text = data.draw(texts)
    plain = parsed(text)
    once = format_program(plain)
    assert bare(parsed(once).statements) == bare(plain.statements)

    assert formatted(spaced(text, data.draw(st.sampled_from([" ", "\n", "  \t"])))) == once

    annotated = parsed(commented(data.draw, text))
    assert bare(annotated.statements) == bare(plain.statements)
    printed = format_program(annotated)
    again = parsed(printed)
    assert bare(again.statements) == bare(plain.statements)
    assert sorted(c.text for c in again.comments) == sorted(c.text for c in annotated.comments)
    assert format_program(again) == printed


@pytest.mark.parametrize(
    "written, canonical",
    [
        ("x=a->b", "x = a -> b\n"),
        ("x = ((a) -> (b + (c * d))) -> (e -> f)", "x = (a -> b + c * d) -> (e -> f)\n"),
        ("x = (a - b) - (c - d)", "x = a - b - (c - d)\n"),
        ("x = (2 ** 3) ** 2 ** (1 + 1)", "x = (2 ** 3) ** 2 ** (1 + 1)\n"),
        ("x = -(a ** 2) + (-a) ** 2", "x = -a ** 2 + (-a) ** 2\n"),
        ("x = not (a == b) and (not c)", "x = not a == b and not c\n"),
        ("x = (not a) == b", "x = (not a) == b\n"),
        ("x = (a if b else c) if (d if e else f) else (g if h else i)",
         "x = (a if b else c) if (d if e else f) else g if h else i\n"),
        ("x = (5).a + (f)(3)[(1)]", "x = (5).a + f(3)[1]\n"),
        ("x = (a,)", "x = (a,)\n"),
        ("x = (a, b)", "x = a, b\n"),
        ("for d in (1, 2) { y = d; z = d }", "for d in (1, 2) {\n  y = d\n  z = d\n}\n"),
        ("if a{x=b}\nelse if not (b or c)\n{}else{ # why\ny=a}",
         "if a {\n  x = b\n} else if not (b or c) {} else {  # why\n  y = a\n}\n"),
        ("if a {x=b} # one\n# two\nelse # three\nif b == c # four\n{ # five\n}",
         "if a {\n  x = b\n} else if b == c {  # one\n  # two\n  # three\n  # four\n  # five\n}\n"),
        ("x = a\nif b else c\nif b { x = a }\n", "x = a if b else c\nif b {\n  x = a\n}\n"),
        ("x = 1_000 + 4.20G + 1E-5", "x = 1_000 + 4.20G + 1E-5\n"),
        ("network n()\n\n\n\ninput x:float32[N,H=3,]",
         "network n\n\ninput x: float32[N, H = 3]\n"),
        ("block f(x,n=1){return x}", "block f(x, n = 1) {\n  return x\n}\n"),
        ("x = f(a, k = 2)", "x = f(a, k=2)\n"),
        ("", ""),
        ("\n\n", ""),
        ("# only\n", "# only\n"),
        ("\n\n# first\n\n\nx = a # b", "# first\n\nx = a  # b\n"),
    ],
)  # fmt: skip
def test_canonical_form(written: str, canonical: str) -> None:
    assert formatted(written) == canonical


LONG = """\
# a chain breaks before an arrow, and only where it has to
trunk = image -> conv7x7(64, stride=2, padding=3) -> bn -> relu
    -> maxpool3x3(stride=2, padding=1) -> stage(64, 3, stride=1) -> stage(128, 4)
    -> stage(256, 6)  # the deepest
    -> stage(512, 3)

block inception(c1, r3, c3, r5, c5, proj) = [
  conv1x1(c1) -> relu,  # one
  # before the second
  conv1x1(r3) -> relu -> conv3x3(c3) -> relu,
  conv1x1(r5) -> relu -> conv5x5(c5) -> relu,
  maxpool3x3(stride=1) -> conv1x1(proj) -> relu,
  # last
]

y = x -> [
      conv1x1(64) -> relu -> conv3x3(64) -> relu,
      conv1x1(64) -> relu -> conv5x5(64) -> relu,
    ] -> dense(10)

block unit(x, width, stride = 1) {  # as in the paper
  # the long way
  main = x -> conv1x1(width)

  skip = x if stride == 1 and x.channels == 4 * width and x.height == x.width
      else x -> conv1x1(4 * width, stride) -> bn  # projected
  return main + skip -> relu
  # nothing follows
}
"""


def test_long_program_stays_as_it_is() -> None:
    assert formatted(LONG) == LONG


STAGES = """\
trunk = image
    -> conv3x3(8) -> relu
    -> conv3x3(16)
    -> relu

block stage(width, depth, repeated_before_the_pool = 2) =
    (conv3x3(width) -> relu) ** depth ** 2 -> maxpool2x2

block unit(width) = conv3x3(width) -> bn
    -> relu
y = f(
  x -> a
      -> b,
)

block narrow(width, depth, stride = 1, expansion = 6) =
    inverted_residual(width, stride, expansion)
    -> inverted_residual(width, 1, expansion) ** (depth - 1)
block narrow_again(
  a_parameter_with_a_long_name,
  another_parameter_with_a_long_name,
  dilation = 1,
  stride = 1,
) = conv3x3(a_parameter_with_a_long_name) -> relu
    -> conv3x3(another_parameter_with_a_long_name, stride=stride, dilation=dilation)
"""


def test_arrows_that_begin_lines_keep_them() -> None:
    assert formatted(STAGES) == STAGES
    assert formatted("x = a ->\n b -> # why\n c -> d") == "x = a\n    -> b  # why\n    -> c -> d\n"
    assert formatted("x = (\na\n) -> b") == "x = a -> b\n"
    assert formatted("x = [\na,\nb -> c\n]") == "x = [a, b -> c]\n"


def test_a_body_that_breaks_on_its_own_line_too_begins_behind_its_head() -> None:
    """It fits on a line, but not on one that is indented."""
    chain = "conv1x1(width) -> bn -> leaky_relu(0.1) -> conv3x3(2 * width) -> bn"
    once = formatted(f"block unit(width) = {chain} -> leaky_relu(0.1)\n")
    assert once == f"block unit(width) = {chain}\n    -> leaky_relu(0.1)\n"
    assert formatted(once) == once


def test_lines_are_as_long_as_allowed_and_no_longer() -> None:
    head = "x = aaaa -> "
    fits = head + "b" * (WIDTH - len(head))
    assert formatted(fits) == fits + "\n"
    assert formatted(fits + "b") == "x = aaaa\n    -> " + "b" * (WIDTH - len(head) + 1) + "\n"


def test_deep_program_prints_without_running_out_of_stack() -> None:
    deep = "x = " + "[" * 99 + "a" + "]" * 99
    assert bare(parsed(formatted(deep)).statements) == bare(parsed(deep).statements)
    nested = "block b {\n" * 98 + "x = " + "- " * 98 + "a" + "\n}" * 98
    assert bare(parsed(formatted(nested)).statements) == bare(parsed(nested).statements)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_shipped_programs_are_canonical(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert formatted(text) == text
    with pytest.raises(SystemExit) as checked:
        main(["fmt", "--check", str(path)])
    assert checked.value.code == 0
    assert all(len(line.split("#")[0].rstrip()) <= WIDTH for line in text.splitlines())
