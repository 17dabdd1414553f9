"""Diagrams: which layers share a box, how blocks nest and fold, what is said of each."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures.drawing import EXAMPLES, GOLDEN, example, graph_of
from properties.networks import Network, networks

from cnndsl.analysis.cost import summarize
from cnndsl.driver.load import load
from cnndsl.pictures.build import MOST_BOXES, build
from cnndsl.pictures.content import Ink
from cnndsl.pictures.diagram import Box, Diagram, Kind
from cnndsl.pictures.formats import WRITERS

SMALL = load(GOLDEN / "small.cnn").graph


def titles(diagram: Diagram) -> list[str]:
    return [box.title + box.note for box in diagram.leaves]


def box(diagram: Diagram, title: str) -> Box:
    (found,) = [b for b in diagram.walk() if b.title == title]
    return found


def test_pointwise_layers_share_the_box_of_what_they_touch_up() -> None:
    assert titles(build(SMALL, 1)) == [
        "image",
        "conv5x5 /2 · relu",
        "conv3x3 · bn · relu",
        "conv3x3 · bn",
        "add · relu",
        "conv3x3 · bn · relu",
        "conv3x3 · bn",
        "add · relu",
        "maxpool2x2 /2",
        "avgpool2x2 /2",
        "concat",
        "global_avgpool",
        "dense",
        "conv1x1 · sigmoid",
        "logits",
        "mask",
    ]


def test_equal_blocks_in_a_row_are_one_box() -> None:
    diagram = build(SMALL, 0)
    folded = box(diagram, "residual")
    assert (folded.kind, folded.note) == (Kind.FOLDED, "(8) × 2")
    assert folded.cost.layers == 14
    assert folded.cost.params == 2 * 2 * (9 * 8 * 8 + 16)
    assert folded.cost.macs == 2 * 2 * 9 * 8 * 8 * 16 * 16
    assert folded.details[:2] == (
        "residual: block residual, used in small.cnn, line 11",
        "residual_2: block residual, used in small.cnn, line 11",
    )


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("b(4) -> b(4) -> b(4)", ["b(4) × 3"]),
        ("b(4) -> b(4) -> b(8)", ["b(4) × 2", "b_3(8)"]),
        ("b(4) -> relu -> b(4)", ["b(4)", "relu", "b_2(4)"]),
        ("b(8) -> b(4) -> b(4)", ["b(8)", "b_2(4) × 2"]),
        # Those that read a different number of channels cost differently.
        ("conv1x1(3) -> b(4) -> b(4) -> b(4)", ["conv1x1", "b(4)", "b_2(4) × 2"]),
    ],
)
def test_only_equal_blocks_are_counted_together(
    tmp_path: Path, use: str, expected: list[str]
) -> None:
    program = f"""network net()
input image: float32[N, 4, 8, 8]
block b(n) = conv3x3(n) -> relu -> conv3x3(4)
output y = image -> {use}
"""
    found = titles(build(graph_of(program, tmp_path), 0))
    assert found == ["image", *expected, "y"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("a = image -> conv3x3(4)\noutput y = (a -> relu) + a", ["conv3x3", "relu", "add"]),
        ("output a = image -> conv3x3(4)\noutput y = a -> relu", ["conv3x3", "relu"]),
        ("output y = image -> conv3x3(4) -> conv1x1(4)", ["conv3x3", "conv1x1"]),
        ("output y = image -> conv3x3(4) -> maxpool3x3(stride=1)", ["conv3x3", "maxpool3x3"]),
        ("output y = image -> conv3x3(4) -> global_avgpool", ["conv3x3", "global_avgpool"]),
    ],
)
def test_what_others_read_and_what_works_itself_has_its_own_box(
    tmp_path: Path, body: str, expected: list[str]
) -> None:
    diagram = build(
        graph_of(f"network net()\ninput image: float32[N, 4, 8, 8]\n{body}\n", tmp_path)
    )
    kinds = (Kind.INPUT, Kind.OUTPUT)
    assert [b.title + b.note for b in diagram.leaves if b.kind not in kinds] == expected


def test_blocks_that_read_something_else_too_are_not_counted_together(tmp_path: Path) -> None:
    program = """network net()
input image: float32[N, 4, 8, 8]
block b(x) {
  a, other = x
  return (a -> conv3x3(4)) + (other -> conv3x3(4))
}
first = (image, image) -> b
output y = (first, image) -> b
"""
    assert titles(build(graph_of(program, tmp_path), 0)) == ["image", "b", "b_2", "y"]


def test_blocks_whose_result_is_read_elsewhere_are_not_counted_together(tmp_path: Path) -> None:
    program = """network net()
input image: float32[N, 4, 8, 8]
block b(n) = conv3x3(n) -> relu -> conv3x3(4)
first = image -> b(4)
output y = first + (first -> b(4))
"""
    assert titles(build(graph_of(program, tmp_path), 0)) == ["image", "b(4)", "b_2(4)", "add", "y"]


def test_a_block_of_one_box_and_a_wrapper_are_not_drawn(tmp_path: Path) -> None:
    program = """network net()
input image: float32[N, 4, 8, 8]
block unit(n) = conv3x3(n) -> bn -> relu
block pair(n) = unit(n) -> unit(n)
block wrapper(n) = pair(n)
output y = image -> wrapper(4)
"""
    diagram = build(graph_of(program, tmp_path), 9)
    assert [b.title for b in diagram.walk()] == ["image", "wrapper", "conv3x3", "conv3x3", "y"]


def test_depth_zero_opens_nothing_and_great_depth_everything() -> None:
    graph = example(EXAMPLES[0].with_name("resnet50.cnn"))
    closed, opened = build(graph, 0), build(graph, 99)
    assert all(not b.children for b in closed.walk())
    assert all(b.kind is not Kind.FOLDED for b in opened.walk())
    assert opened.depth < 99


def test_the_usual_depth_keeps_diagrams_readable() -> None:
    for name in ("resnet50", "unet", "googlenet", "wavenet"):
        graph = example(EXAMPLES[0].with_name(f"{name}.cnn"))
        diagram = build(graph)
        boxes = len(titles(diagram))
        assert boxes <= MOST_BOXES or diagram.depth == 0
        deeper = build(graph, diagram.depth + 1)
        assert deeper.depth == diagram.depth or len(titles(deeper)) > MOST_BOXES


def check_costs(diagram: Diagram, params: int, macs: object) -> None:
    """Compare totals with the summary, at every level."""
    leaves = list(diagram.leaves)
    assert sum(b.cost.params for b in leaves) == params == diagram.total.params
    assert sum(b.cost.macs for b in leaves) == macs == diagram.total.macs
    for block in diagram.walk():
        if block.children:
            assert block.cost.params == sum(b.cost.params for b in block.children)
            assert block.cost.macs == sum(b.cost.macs for b in block.children)
            assert block.cost.layers == sum(b.cost.layers for b in block.children)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_boxes_add_up_to_the_summary(path: Path) -> None:
    graph = example(path)
    summary = summarize(graph)
    for depth in (None, 0, 2):
        diagram = build(graph, depth)
        check_costs(diagram, summary.params, summary.macs)
        assert sum(b.cost.layers for b in diagram.leaves) == len(graph.nodes)


@settings(max_examples=60, deadline=None)
@given(networks(), st.integers(0, 2))
def test_edges_of_random_networks_are_those_of_the_graph(network: Network, depth: int) -> None:
    """Every box but the inputs is reached, edges lead forward, and none is lost or made up."""
    graph = network.graph
    diagram = build(graph, depth)
    order = {b.key: i for i, b in enumerate(diagram.leaves)}
    assert all(order[e.source] < order[e.target] for e in diagram.edges)
    assert len(set(diagram.edges)) == len(diagram.edges)
    values = {i.value.name for i in graph.inputs} | {n.output.name for n in graph.nodes}
    assert {e.value for e in diagram.edges} <= values
    read = {e.target for e in diagram.edges}
    kinds = {b.key: b.kind for b in diagram.leaves}
    assert all(key in read for key, kind in kinds.items() if kind is not Kind.INPUT)
    # What several boxes of this diagram read is read several times in the graph, and so often.
    for value in values:
        readers = len(graph.readers[value]) + sum(o.value == value for o in graph.outputs)
        assert sum(e.value == value for e in diagram.edges) <= readers


def test_arguments_are_on_one_line_without_comments(tmp_path: Path) -> None:
    program = """network net()
input image: float32[N, 4, 8, 8]
block pair(a, b) = conv3x3(a) -> relu -> conv3x3(b)
output y = image -> pair(4,  # as many as "<the> & input"
                         8)
"""
    assert box(build(graph_of(program, tmp_path), 0), "pair").note == "(4, 8)"


def test_a_file_of_any_name_can_be_drawn(tmp_path: Path) -> None:
    """Names of files may hold what is no text."""
    path = tmp_path / "a\x01<&\udcff.cnn"
    path.write_text("network net()\ninput x: float32[N, 3, 8, 8]\noutput y = x -> conv3x3(4)\n")
    diagram = build(load(path).graph)
    assert box(diagram, "conv3x3").details[0] == "conv3x3: conv3x3, a�<&�.cnn, line 3"
    for write in WRITERS.values():
        write(diagram, Ink.MACS, path.name).encode("utf-8")


def test_symbols_without_size_stay_formulas(tmp_path: Path) -> None:
    program = "network net()\ninput x: float32[N, 3, H, W]\noutput y = x -> conv3x3(4)\n"
    diagram = build(graph_of(program, tmp_path))
    assert diagram.missing_sizes == ("H", "W")
    assert box(diagram, "conv3x3").shape == "4 × H × W"
    assert "108*H*W MACs" in " ".join(box(diagram, "conv3x3").details)
