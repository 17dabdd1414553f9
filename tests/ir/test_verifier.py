"""Each check of the verifier fails on a graph that breaks its rule, and names the place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace

import pytest
from properties.networks import GraphBuilder, float32

from cnndsl.ir import verifier
from cnndsl.ir.graph import Graph, Node, Output, Value
from cnndsl.ir.verifier import InvalidGraph, verify
from cnndsl.ops.activation import Relu
from cnndsl.ops.conv import Conv
from cnndsl.ops.fused import Fused
from cnndsl.ops.pool import MaxPool
from cnndsl.ops.shape import Reshape
from cnndsl.ops.slicing import Slice

CONV = Conv(out_channels=4, kernel=(3, 3), stride=(1, 1), dilation=(1, 1), bias=True)


def small() -> Graph:
    b = GraphBuilder()
    x = b.input("x", float32("N", 4, "H", 8))
    y = b.add(Relu(), b.add(CONV, x))
    return b.graph(y=b.add(CONV, y))


def with_node(graph: Graph, index: int, **changes: object) -> Graph:
    nodes = list(graph.nodes)
    nodes[index] = replace(nodes[index], **changes)
    return graph.with_nodes(nodes)


def with_type(graph: Graph, index: int, *shape: object) -> Graph:
    value = graph.nodes[index].output
    return with_node(graph, index, output=Value(value.name, float32(*shape)))


BROKEN: list[tuple[str, str, Callable[[Graph], Graph]]] = [
    ("check_unique_names", "x", lambda g: with_node(g, 1, output=Value("x", g.types["relu_1"]))),
    ("check_names", "1x", lambda g: with_node(g, 2, output=Value("1x", g.types["conv_2"]))),
    ("check_names", "conv_0", lambda g: with_node(g, 0, label="")),
    ("check_defined", "relu_1", lambda g: with_node(g, 1, inputs=("nowhere",))),
    ("check_defined", "conv_0", lambda g: with_node(g, 0, params=("w", "b"))),
    ("check_order", "conv_0", lambda g: with_node(g, 0, inputs=("relu_1",))),
    ("check_arity", "relu_1", lambda g: with_node(g, 1, inputs=("conv_0", "x"))),
    ("check_arity", "relu_1", lambda g: with_node(g, 1, inputs=())),
    ("check_normalised", "conv_0", lambda g: with_node(g, 0, op=replace(CONV, stride=(1,)))),
    ("check_normalised", "conv_0", lambda g: with_node(g, 0, op=replace(CONV, bias=None))),
    (
        "check_normalised",
        "conv_0",
        lambda g: with_node(g, 0, op=Fused(base=replace(CONV, bias=None))),
    ),
    (
        "check_normalised",
        "relu_1",
        lambda g: with_node(g, 1, op=MaxPool(kernel=(1, 1), dilation=(1, 1))),
    ),
    ("check_types", "relu_1", lambda g: with_type(g, 1, "N", 4, "H", 9)),
    ("check_types", "conv_0", lambda g: with_node(g, 0, op=replace(CONV, groups=3))),
    ("check_parameters", "conv_0", lambda g: with_node(g, 0, params=g.nodes[0].params[:1])),
    ("check_parameters", "conv_0", lambda g: with_node(g, 0, params=g.nodes[0].params[::-1])),
    ("check_outputs", "network", lambda g: replace(g, outputs=())),
    ("check_outputs", "y", lambda g: replace(g, outputs=g.outputs * 2)),
    ("check_outputs", "z", lambda g: replace(g, outputs=(Output("z", "nowhere"),))),
    ("check_symbols", "W", lambda g: replace(g, usual_sizes=(("W", 3),))),
    ("check_symbols", "H", lambda g: replace(g, usual_sizes=(("H", 0),))),
]


def test_a_sound_graph_passes() -> None:
    verify(small())
    b = GraphBuilder()
    x = b.input("x", float32("N", 4, 2, 3))
    # The extents of a reshape are no extents per spatial axis; a slice may have no stop.
    verify(b.graph(b.add(Slice(axis=1, start=1), b.add(Reshape(shape=(24,)), x))))


@pytest.mark.parametrize("check, place, break_", BROKEN)
def test_a_broken_rule_is_named(check: str, place: str, break_: Callable[[Graph], Graph]) -> None:
    with pytest.raises(InvalidGraph) as error:
        verify(break_(small()))
    assert (error.value.check, error.value.place) == (check, place)


def test_every_check_is_broken_above() -> None:
    assert {check for check, _, _ in BROKEN} == {c.__name__ for c in verifier.CHECKS}


def test_a_tensor_that_depends_on_the_input_is_no_parameter() -> None:
    graph = small()
    weight = graph.nodes[0].params[0]
    vector = Value("vector", float32(4))
    ghost = Node(Relu(), ("x",), (), vector, "ghost")
    nodes = (ghost, *(replace(n, params=(weight, "vector")) for n in graph.nodes[:1]))
    broken = graph.with_nodes(nodes)
    found = list(verifier.check_parameters(broken))
    assert found == [("conv_0", "bias vector depends on the network's input")]


def test_a_spec_that_is_not_the_type_is_found() -> None:
    graph = small()
    first = graph.parameters[0]
    changed = dataclasses.replace(first, spec=replace(first.spec, shape=(1,)))
    with pytest.raises(InvalidGraph, match="check_parameters"):
        verify(replace(graph, parameters=(changed, *graph.parameters[1:])))
