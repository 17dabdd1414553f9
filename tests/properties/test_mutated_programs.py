"""Whatever the text, the answer is a program or diagnostics: no other exception, at any stage.

Programs that compile, and some that do not, are mutated token by token and taken through
everything that needs no machine code: format, elaborate, summarize, optimize, verify, ONNX.
"""

from __future__ import annotations

import os
import random
import re
from math import prod
from pathlib import Path

import numpy as np
import pytest

from cnndsl.analysis.cost import summarize
from cnndsl.backends.onnx.emit import emit
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.diagnostics.render import render, to_json
from cnndsl.driver.load import load
from cnndsl.ir.printer import print_graph, without_spans
from cnndsl.ir.reader import read_graph
from cnndsl.ir.verifier import verify
from cnndsl.ops.registry import arguments, keywords, op_by_keyword
from cnndsl.passes.pipeline import optimize
from cnndsl.syntax.formatter import format_program
from cnndsl.syntax.language import language
from cnndsl.syntax.parser import parse

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
COMPUTING = """
network computing(n = 3, scale = 0.5)
input x: float32[N, 4, H = 8, W = 8]
let table = [[4, 1], [6, 2]]
let last, k = table[-1][0], 7 // 2 % 3 + 2 ** 2
for i, row in enumerate(table) { w, d = row; x = x -> conv3x3(int(w * scale)) ** d }
if n > 2 and scale < 1 { s = x -> relu } else if n == 0 { s = x } else { let s = x -> tanh }
if k in [1, 7] { output s; assert s.channels == 3 }
output y = x * (n / 2) -> conv1x1(last if k > 1 and not n == 0 else min(k, 1)) -> flatten
"""
PROGRAMS = [
    *[COMPUTING] * 20,
    *(p.read_text(encoding="utf-8") for p in sorted(ROOT.glob("examples/*.cnn"))),
    *(p.read_text("utf-8") for p in sorted(ROOT.glob("tests/golden/diagnostics/*.ok.cnn"))),
    *re.findall(r"```cnn\n(.*?)```", DOCUMENT, re.DOTALL),
]
RUNS = int(os.environ.get("CNNDSL_FUZZ_RUNS", "1000"))
MOST_WEIGHTS = 100_000
"""Weights of a mutant that is still written as ONNX."""

NUMBERS = "0 1 2 3 5 7 8 16 31 64 224 100_000 26M 4G 0.5 1.5 1e-5 1e300 2147483647 4294967296"
NUMBERS += " 9223372036854775807 1x1 3x3 2x0 1x7 3x3x3 100000x100000"
SIGNS = "-> + - * / // % ** == != < <= in if else and or not ( ) [ ] { } , = : . ; for"
WORDS = "range len min max sum abs round floor ceil int float reversed zip enumerate share shape"
WORDS += " valid same causal params macs weight_bytes true false x y i N H W T channels height"
WORDS += " width rank size batch length depth receptive_field let block return output input assert"


def words() -> list[str]:
    ops = [cls for cls in map(op_by_keyword, sorted(keywords())) if cls is not None]
    suffixed = [cls.keyword + k for cls in ops if cls.kernel_suffix for k in ("1x1", "3x3", "2")]
    names = {spec.name for cls in ops for spec in arguments(cls)}
    return [*WORDS.split(), *sorted(keywords()), *suffixed, *sorted(names)]


def mutant(rng: random.Random, vocabulary: list[str]) -> str:
    text = re.sub("#.*", "", rng.choice(PROGRAMS))
    if rng.random() < 0.7:  # a claim that fails would hide what comes behind it
        text = re.sub(r"^assert.*\n?", "", text, flags=re.MULTILINE)
    pieces: list[str] = []
    last = 0
    for token in language().scan(text):
        pieces += [text[last : token.start_pos], str(token)]
        last = token.end_pos
    pieces.append(text[last:])
    places = range(1, len(pieces), 2)
    plain = [i for i in places if pieces[i][0].isalnum()]
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.choice(plain)
        other = rng.choice(plain)
        if rng.random() < 0.8:  # mild: a word for a word, a number for a number
            if rng.random() < 0.3:
                pieces[at], pieces[other] = pieces[other], pieces[at]
            elif pieces[at][:1].isdigit():
                pieces[at] = rng.choice(NUMBERS.split())
            else:
                pieces[at] = rng.choice(vocabulary)
            continue
        at = rng.choice(places)
        spare = rng.choice([*SIGNS.split(), *vocabulary, *NUMBERS.split()])
        old = pieces[at]
        pieces[at] = rng.choice(["", spare, f"{old} {spare}", f"({old})", "-" + spare])
    return "".join(pieces)


def diagnostics(path: Path, text: str) -> tuple[Diagnostic, ...]:
    """Return the errors of a program; none if it goes through every stage."""
    try:
        compile_text(path, text)
    except CompileError as error:
        assert error.diagnostics  # noqa: PT017 - an error without a word would be a fault
        return error.diagnostics
    return ()


def compile_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    loaded = load(path)
    for warning in loaded.warnings:
        render(warning)
    formatted = format_program(parse(loaded.source))
    graph = loaded.graph
    verify(graph)
    summarize(graph)
    printed = print_graph(without_spans(graph))
    assert print_graph(read_graph(printed)) == printed
    path.write_text(formatted, encoding="utf-8")
    again = load(path)
    assert print_graph(without_spans(again.graph)) == printed
    optimized = optimize(graph).graph
    shapes = {p.value.name: [int(e) for e in p.value.type.shape] for p in graph.parameters}
    if sum(map(prod, shapes.values())) <= MOST_WEIGHTS:
        emit(optimized, {name: np.ones(shape, np.float32) for name, shape in shapes.items()})


@pytest.mark.parametrize("part", range(4))
def test_mutated_programs_compile_or_are_refused(part: int, tmp_path: Path) -> None:
    vocabulary = words()
    compiled = 0
    for number in range(part, RUNS, 4):
        rng = random.Random(number)
        text = mutant(rng, vocabulary)
        try:
            found = diagnostics(tmp_path / "mutant.cnn", text)
            shown = [(render(d), to_json(d)) for d in found]
        except Exception as error:
            error.add_note(f"mutant {number}:\n{text}")
            raise
        assert all(d.span is not None or d.code == "CNN107" for d in found), shown
        compiled += not found
    assert compiled > RUNS // 4 // 20
