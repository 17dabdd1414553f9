"""The advice of failed claims: what it proposes is written into the program, and must come true."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from elaborate.elaborating import elaborated
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnndsl.analysis.coverage import coverage
from cnndsl.analysis.receptive_field import receptive_fields
from cnndsl.diagnostics import CompileError, Diagnostic


@dataclass(frozen=True)
class LayerText:
    """A layer as it is written: its word, what comes first in the brackets, and arguments."""

    word: str
    first: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    joined: bool = False
    """Whether its operand is added to its result."""

    def __str__(self) -> str:
        given = [self.first] if self.first else []
        given += [f"{name}={value}" for name, value in self.arguments.items()]
        return f"{self.word}({', '.join(given)})"

    def changed(self, **arguments: str) -> LayerText:
        return replace(self, arguments={**self.arguments, **arguments})


@st.composite
def layers(draw: st.DrawFn) -> LayerText:
    if draw(st.integers(0, 5)) == 0:
        return LayerText("upsample", draw(st.sampled_from(["2", "(1, 2)", "3"])))
    if draw(st.integers(0, 5)) == 0:
        return LayerText("maxpool2x2", "", {"stride": draw(st.sampled_from(["1", "2", "(2, 1)"]))})
    word = "conv" + draw(st.sampled_from(["3x3", "1x3", "5x2", "3x1"]))
    arguments = {}
    if draw(st.booleans()):
        arguments["dilation"] = draw(st.sampled_from(["1", "2", "3", "(1, 3)", "(2, 4)"]))
    elif draw(st.integers(0, 2)) == 0:
        arguments["stride"] = draw(st.sampled_from(["2", "(1, 2)"]))
    padding = draw(st.sampled_from(["same", "same", "valid", "1", "(2, 4)"]))
    if padding != "same":
        arguments["padding"] = padding
    if draw(st.booleans()):
        arguments["bias"] = "false"
    return LayerText(word, str(draw(st.integers(2, 6))), arguments, draw(st.integers(0, 3)) == 0)


def text_of(program: list[LayerText], claim: str = "") -> str:
    lines = ["network n", "input v0: float32[N, 4, 60, 60]"]
    for i, layer in enumerate(program):
        lines.append(f"v{i + 1} = v{i} -> {layer}{f' + v{i}' if layer.joined else ''}")
    return "\n".join([*lines, f"output y = v{len(program)}", claim, ""])


def failure(program: list[LayerText], claim: str) -> Diagnostic | None:
    """Return the error of a claim that fails; None if it holds or the network is no good."""
    try:
        elaborated(text_of(program, claim), "")
    except CompileError as error:
        (found,) = error.diagnostics
        return found if found.code == "CNN501" else None
    return None


def place_of(program: list[LayerText], label: str) -> int:
    """Return which layer bears a label: they are numbered by word."""
    labels = [
        n.label for n in elaborated(text_of(program), "").graph.nodes if n.op.keyword != "add"
    ]
    return labels.index(label)


def field_px(program: list[LayerText]) -> tuple[int, ...]:
    graph = elaborated(text_of(program), "").graph
    found = receptive_fields(graph).of(graph.outputs[0].value)
    assert found is not None
    return found.receptive_field_px


def with_arguments(program: list[LayerText], label: str, given: str) -> list[LayerText]:
    place = place_of(program, label)
    arguments = dict(re.findall(r"(\w+)=(\((?:[^()]|\([^()]*\))*\)|\w+)", given))
    assert arguments
    return [layer.changed(**arguments) if i == place else layer for i, layer in enumerate(program)]


programs = st.lists(layers(), min_size=1, max_size=5)
CHANGE = re.compile(
    r"(?:(one|\d+) more conv(\S+) behind it|((?:stride|dilation)=.*?) in (\S+)) "
    r"would give (\S+?)(?:,|$)"
)
_ARGUMENTS = r"(dilation=(?:(?! in ).)*) in (\S+?)(?:,|$| would)"


@settings(max_examples=150, deadline=None)
@given(programs, st.integers(2, 60), st.integers(2, 60), st.sampled_from([">=", ">", "=="]))
def test_what_would_widen_a_field_does(
    program: list[LayerText], height: int, width: int, operator: str
) -> None:
    claim = f"assert receptive_field(y) {operator} {height}x{width}"
    found = failure(program, claim)
    assume(found is not None)
    assert found is not None
    for text in ([found.help] if found.help else []) + list(found.notes):
        for number, kernel, arguments, label, reached in CHANGE.findall(text):
            if number:
                more = LayerText("conv" + kernel, "2")
                changed = [*program, *[more] * (1 if number == "one" else int(number))]
            else:
                changed = with_arguments(program, label, arguments)
            assert "x".join(map(str, field_px(changed))) == reached
            assert failure(changed, claim) is None


@st.composite
def dilated(draw: st.DrawFn) -> list[LayerText]:
    """Draw a stack of dilated windows, most of which leave holes."""
    found = []
    for first in (True, *draw(st.lists(st.just(False), max_size=3))):
        along = [2 * draw(st.integers(1, 3)), draw(st.integers(1, 4))]
        if draw(st.booleans()) and not first:
            along[0] -= 1
        arguments = {"dilation": f"({along[0]}, {along[1]})"}
        if draw(st.booleans()):
            arguments["padding"] = f"({along[0]}, {along[1]})"
        found.append(LayerText("conv" + draw(st.sampled_from(["3x3", "2x3"])), "4", arguments))
    return found


@settings(max_examples=60, deadline=None)
@given(dilated())
def test_what_would_cover_a_field_does(program: list[LayerText]) -> None:
    found = failure(program, "assert covered(y)")
    assume(found is not None and found.help is not None)
    assert found is not None
    assert found.help is not None
    changed = program
    for arguments, label in re.findall(_ARGUMENTS, found.help):
        changed = with_arguments(changed, label, arguments)
    assert changed != program
    graph = elaborated(text_of(changed), "").graph
    assert coverage(graph, receptive_fields(graph)).covered(graph.outputs[0].value)


@settings(max_examples=100, deadline=None)
@given(programs, st.sampled_from(["params", "macs", "weight_bytes"]))
def test_a_separable_layer_saves_what_is_said(program: list[LayerText], fact: str) -> None:
    actual = elaborated_fact(program, fact)
    assume(actual is not None)
    assert actual is not None
    found = failure(program, f"assert {fact} < {actual}")
    assert found is not None
    assume(found.help is not None)
    said = re.fullmatch(r"making (\S+) separable, `(.*) -> (.*)`, saves ([\d_]+)", found.help or "")
    assert said is not None
    label, deep, point, saved = said.groups()
    place = place_of(program, label)
    text = text_of(program).replace(
        f"v{place} -> {program[place]}", f"v{place} -> {deep} -> {point}"
    )
    after = text + f"assert {fact} == {actual - int(saved.replace('_', ''))}\n"
    elaborated(after, "")


def elaborated_fact(program: list[LayerText], fact: str) -> int | None:
    from cnndsl.analysis.cost import summarize

    try:
        graph = elaborated(text_of(program), "").graph
    except CompileError:
        return None
    total = sum(getattr(layer, fact) for layer in summarize(graph).layers)
    assert isinstance(total, int)
    return total
