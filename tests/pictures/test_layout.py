"""Layouts: nothing overlaps, children lie in parents, edges lead down and through nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures.drawing import EXAMPLES, check, example, graph_of
from properties.networks import Network, networks

from cnndsl.ir.graph import Graph, Node
from cnndsl.pictures.build import build
from cnndsl.pictures.content import Ink
from cnndsl.pictures.diagram import Box, Cost, Diagram, Edge, Kind
from cnndsl.pictures.layout import lay_out


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_layouts_of_the_examples(path: Path) -> None:
    graph = example(path)
    found = build(graph)
    for depth in {0, 1, found.depth}:
        check(build(graph, depth), Ink.PARAMS if depth else Ink.MACS)


@settings(max_examples=60, deadline=None)
@given(networks())
def test_layouts_of_random_networks(network: Network) -> None:
    check(build(network.graph))


def relabelled(graph: Graph, draw: st.DrawFn) -> Graph:
    """Put the nodes into blocks, at random and without regard to what reads what."""
    blocks = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3)
    nodes: list[Node] = []
    path: list[str] = []
    for node in graph.nodes:
        path = draw(st.one_of(st.just(path), blocks))
        label = ".".join([*path, node.output.name])
        nodes.append(Node(node.op, node.inputs, node.params, node.output, label))
    return graph.with_nodes(nodes)


@settings(max_examples=60, deadline=None)
@given(st.data(), networks(), st.integers(0, 3))
def test_layouts_of_random_blocks(data: st.DataObject, network: Network, depth: int) -> None:
    """Labels may nest in any way: blocks are runs, so their boxes never wait for each other."""
    graph = data.draw(st.composite(lambda draw: relabelled(network.graph, draw))())
    check(build(graph, depth))


def test_a_block_that_nothing_enters_keeps_its_title_clear() -> None:
    children = tuple(Box(f"b{i}", Kind.LAYER, "conv3x3", shape="4 × 8") for i in (2, 3))
    block = Box("b1", Kind.BLOCK, "block", children=children)
    last = Box("b4", Kind.OUTPUT, "y", shape="4 × 8")
    edges = (Edge("b2", "b3", "a", "t"), Edge("b3", "b4", "b", "t"))
    check(Diagram("net", (block, last), edges, Cost()))


def test_an_input_stands_near_what_reads_it(tmp_path: Path) -> None:
    graph = graph_of(
        """network net()
input image: float32[N, 4, 8, 8]
input late: float32[N, 4, 8, 8]
output y = (image -> conv3x3(4) -> conv3x3(4) -> conv3x3(4)) * late
""",
        tmp_path,
    )
    layout = check(build(graph))
    placed = {p.box.title: p for p in layout.boxes}
    assert placed["mul"].y - placed["late"].y < 80 < placed["late"].y - placed["image"].y


def test_the_main_path_is_straight(tmp_path: Path) -> None:
    """Residual blocks with and without a projection stand below each other."""
    graph = graph_of(
        """network net()
input image: float32[N, 3, 32, 32]
block residual(x, width) {
  main = x -> conv3x3(width) -> relu -> conv3x3(width)
  skip = x if x.channels == width else x -> conv1x1(width)
  return main + skip -> relu
}
output y = image -> residual(8) -> residual(8) -> residual(16) -> conv1x1(2)
""",
        tmp_path,
    )
    layout = lay_out(build(graph, 1), Ink.NONE)
    main = [p for p in layout.boxes if not p.box.children and "conv1x1" not in p.box.title]
    middles = {round(p.x + p.width / 2) for p in main}
    assert len(main) == 11
    assert len(middles) == 1


def test_equal_branches_stand_on_both_sides(tmp_path: Path) -> None:
    graph = graph_of(
        """network net()
input image: float32[N, 4, 8, 8]
output y = (image -> conv3x3(4)) + (image -> conv3x3(4))
""",
        tmp_path,
    )
    layout = lay_out(build(graph), Ink.NONE)
    middle = {p.box.key: p.x + p.width / 2 for p in layout.boxes}
    image, left, right, add, y = middle.values()
    assert left < image < right
    assert abs((left + right) / 2 - image) < 1
    assert abs(image - add) < 1
    assert abs(image - y) < 1


def test_a_side_way_stays_one_within_a_block(tmp_path: Path) -> None:
    """The skip is marked up to the box that reads it; what the main path shares is not."""
    graph = graph_of(
        """network net()
input image: float32[N, 4, 32, 32]
block two() = conv3x3(4) -> conv3x3(4)
block merge(x) {
  main, skip = x
  return (main -> conv3x3(4)) + (skip -> conv1x1(4))
}
a = image -> two
output y = (a -> two, a) -> merge -> conv1x1(1)
""",
        tmp_path,
    )
    layout = lay_out(build(graph, 1), Ink.NONE)
    skip = next(p for p in layout.boxes if p.box.title == "conv1x1" and p.level == 1)
    side = [r for r in layout.routes if r.side]
    assert {r.value for r in side} == {"a"}
    (arrow,) = (r for r in side if r.arrow)
    assert arrow.stations[-1].bottom == skip.y
    assert len(side) == 2


def test_skips_nest_without_crossing(tmp_path: Path) -> None:
    """The outermost skip of an hourglass passes outermost."""
    graph = graph_of(
        """network net()
input image: float32[N, 4, 32, 32]
a = image -> conv3x3(4)
b = a -> conv3x3(4)
c = b -> conv3x3(4)
d = c -> conv3x3(4) -> conv3x3(4)
c2 = [d, c] -> conv3x3(4)
b2 = [c2, b] -> conv3x3(4)
output y = [b2, a] -> conv3x3(4)
""",
        tmp_path,
    )
    layout = lay_out(build(graph), Ink.NONE)
    main = min(p.x + p.width / 2 for p in layout.boxes)
    passing = {r.value: max(abs(s.x - main) for s in r.stations) for r in layout.routes if r.side}
    assert sorted(passing, key=lambda v: passing[v]) == ["c", "b", "a"]
    assert all(distance > 40 for distance in passing.values())


def test_a_long_chain_takes_time_in_proportion(tmp_path: Path) -> None:
    """2 000 layers with 500 skips are laid out; what is drawn grows with them."""
    body = "".join("x = x + (x -> conv1x1(4) -> bn -> relu -> conv1x1(4))\n" for _ in range(500))
    text = "network net()\ninput image: float32[N, 4, 8, 8]\nx = image -> conv1x1(4)\n"
    graph = graph_of(text + body + "output y = x -> relu\n", tmp_path)
    layout = lay_out(build(graph), Ink.MACS)
    assert len(layout.boxes) == 1503
    assert len(layout.routes) == 2002
