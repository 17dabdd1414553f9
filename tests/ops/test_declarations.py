"""Every op is declared completely: documentation, example, arguments, costs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from op_checks import float_type

from cnndsl.backends.reference.run import run
from cnndsl.driver.load import load
from cnndsl.ops import Op, all_ops, arguments, conv, keywords, op_by_keyword, op_by_name
from cnndsl.ops.dense import Dense
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.reference_text import reference_markdown
from cnndsl.ops.registry import register
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types import evaluate_extent
from cnndsl.types.padding import Valid
from cnndsl.weights.initialize import initialize

LANGUAGE_OPS = [op for op in all_ops() if op.keyword]


@pytest.mark.parametrize("op", all_ops(), ids=lambda op: op.__name__)
def test_op_is_documented_and_found_by_name(op: type[Op]):
    assert op.__doc__
    assert op.__doc__.strip().split("\n\n")[0].endswith((".", "]", ":"))
    assert op_by_name(op.__name__) is op
    assert op.macs_rule == "none counted" or op.macs is not Op.macs


@pytest.mark.parametrize("op", LANGUAGE_OPS, ids=lambda op: op.__name__)
def test_every_field_of_a_language_op_is_an_argument_with_a_meaning(op: type[Op]):
    assert op_by_keyword(op.keyword) is op
    specs = {s.name: s for s in arguments(op)}
    assert list(specs) == [f.name for f in dataclasses.fields(op)]
    assert all(s.doc for s in specs.values())
    if op.kernel_suffix:
        assert list(specs)[-1] == "kernel"


@pytest.mark.parametrize("op", LANGUAGE_OPS, ids=lambda op: op.__name__)
def test_example_is_a_program_that_runs_and_uses_the_op(op: type[Op], tmp_path: Path):
    assert op.keyword in op.example
    path = tmp_path / "example.cnn"
    path.write_text(op.example)
    graph = load(path).graph
    assert any(type(node.op) is op for node in graph.nodes)
    rng = np.random.default_rng(1)
    inputs = {}
    for i in graph.inputs:
        shape = i.value.type.at({"N": 2})
        x = rng.standard_normal(shape) if i.value.type.dtype.is_float else rng.integers(0, 9, shape)
        inputs[i.value.name] = x.astype(i.value.type.dtype.numpy)
    results = run(graph, inputs, initialize(graph, 0))
    for output in graph.outputs:
        assert results[output.name].shape == graph.types[output.value].at({"N": 2})
        assert np.isfinite(results[output.name]).all()


def test_reference_has_a_section_for_every_word_with_all_its_arguments():
    text = reference_markdown(heading_level=2)
    sections = text.split("\n## ")
    sections[0] = sections[0].removeprefix("## ")
    assert tuple(s.split("\n")[0] for s in sections) == keywords()
    for section in sections:
        op = op_by_keyword(section.split("\n")[0])
        for spec in arguments(op):
            assert f"| {spec.name} |" in section
        assert op.example.strip() in section
        assert op.macs_rule in section
        assert op.other_operations_rule in section


def test_a_word_or_a_name_is_declared_once():
    with pytest.raises(ValueError, match="keyword conv is declared twice"):
        register(type("Other", (conv.Conv,), {}))
    with pytest.raises(ValueError, match="Conv is declared twice"):
        register(type("Conv", (conv.Conv,), {"keyword": ""}))


CONV = {"kernel": (3, 5), "stride": (2, 1), "padding": Valid()}
X = ("N", 8, 9, 12)
"""The convolutions below make 4 x 8 positions of it."""
COSTS = [
    (conv.Conv(out_channels=6, groups=2, dilation=(1, 1), bias=True, **CONV), X,
     4 * 8 * 6 * 4 * 15, 6 * 4 * 15 + 6),
    (conv.DepthwiseConv(multiplier=3, dilation=(1, 1), bias=False, **CONV), X,
     4 * 8 * 24 * 15, 24 * 15),
    (LocallyConnected(out_channels=6, bias=True, **CONV), X,
     4 * 8 * 6 * 8 * 15, 4 * 8 * (6 * 8 * 15 + 6)),
    (ConvTranspose(out_channels=6, groups=2, output_padding=(0, 0), dilation=(1, 1), bias=True,
                   **CONV), X, 9 * 12 * 8 * 3 * 15, 8 * 3 * 15 + 6),
    (Dense(out_features=10, bias=True), ("N", 12), 120, 130),
]  # fmt: skip


@pytest.mark.parametrize("op, shape, macs, params", COSTS, ids=lambda v: str(v)[:20])
def test_macs_and_parameters_by_hand(op: Op, shape, macs, params):
    x = float_type(*shape)
    assert evaluate_extent(op.macs([x]), {"N": 1}) == macs
    assert evaluate_extent(op.macs([x]), {"N": 3}) == 3 * macs
    specs = op.parameters([x])
    assert sum(int(np.prod(s.shape)) for s in specs) == params
    assert [s.role for s in specs] == ["weight", "bias"][: len(specs)]


@pytest.mark.parametrize("op, shape, macs, params", COSTS, ids=lambda v: str(v)[:20])
def test_fans_count_what_a_unit_reads_and_feeds(op: Op, shape, macs, params):
    taps = 1 if isinstance(op, Dense) else 15
    expected = {
        conv.Conv: (4 * taps, 3 * taps),
        conv.DepthwiseConv: (taps, 3 * taps),
        LocallyConnected: (8 * taps, 6 * taps),
        ConvTranspose: (4 * taps, 3 * taps),
        Dense: (12, 10),
    }
    weight = op.parameters([float_type(*shape)])[0]
    assert (weight.fan_in, weight.fan_out) == expected[type(op)]
    assert weight.fill is None
