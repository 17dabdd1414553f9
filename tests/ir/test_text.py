"""The text form of graphs: what is printed is read back, whatever the ops and extents."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.networks import GraphBuilder, Network, float32, graph_of, networks

from cnndsl.diagnostics import Source, Span
from cnndsl.ir.graph import Graph
from cnndsl.ir.printer import print_graph, without_spans
from cnndsl.ir.reader import GraphSyntaxError, read_graph
from cnndsl.ir.verifier import verify
from cnndsl.ops.activation import HardSigmoid, Relu
from cnndsl.ops.conv import Conv
from cnndsl.ops.elementwise import Add, Affine
from cnndsl.ops.shape import Reshape
from cnndsl.ops.slicing import Crop, Pad, Slice
from cnndsl.passes.pipeline import optimize
from cnndsl.types.extents import Dim, Extent
from cnndsl.types.padding import Explicit, Same

GOLDEN = Path(__file__).parent.parent / "golden" / "ir"


def check_round_trip(graph: Graph) -> None:
    text = print_graph(graph)
    assert read_graph(text) == without_spans(graph)
    assert print_graph(read_graph(text)) == print_graph(without_spans(graph))


@settings(max_examples=60, deadline=None)
@given(networks())
def test_printing_and_reading_gives_the_same_graph(network: Network) -> None:
    check_round_trip(network.graph)
    check_round_trip(optimize(network.graph).graph)


SYMBOLS = st.sampled_from([Dim.symbol(name) for name in ("N", "H", "h_2", "inf")])
EXTENTS: st.SearchStrategy[Extent] = st.recursive(
    SYMBOLS | st.integers(-9, 9),
    lambda inner: st.one_of(
        st.builds(lambda a, b: a + b, inner, inner),
        st.builds(lambda a, b: a - b, inner, inner),
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda a, n: a // n, inner, st.integers(1, 5)),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(EXTENTS)
def test_every_extent_is_read_back(extent: Extent) -> None:
    graph = graph_of(Relu(), [float32("N", 2, 3)])
    type_ = graph.inputs[0].value.type.with_shape(Dim.symbol("N"), extent)
    value = dataclasses.replace(graph.inputs[0].value, type=type_)
    given_type = dataclasses.replace(graph.inputs[0], value=value)
    check_round_trip(dataclasses.replace(graph, inputs=(given_type,)))


@pytest.mark.parametrize(
    "op",
    [
        Affine(scale=-1e-30, shift=float("inf")),
        Affine(scale=1e22, shift=-0.5),
        HardSigmoid(),
        Reshape(shape=(2, -1)),
        Slice(axis=1, start=-2),
        Slice(axis=1, start=0, stop=2, step=2),
        Crop(margin=Explicit(((1, 0),))),
        Pad(amount=Explicit(((1, 2),)), mode="edge"),
        Conv(out_channels=3, kernel=(2,), padding=Same(), bias=False),
    ],
    ids=lambda op: type(op).__name__,
)
def test_every_kind_of_field_is_read_back(op) -> None:
    check_round_trip(graph_of(op, [float32("N", 4, 6)]))


def spanned_graph() -> Graph:
    """A fused residual block with spans, block paths, a usual size and a shared weight."""
    b = GraphBuilder("residual")
    x = b.input("x", float32("N", 4, "H"))
    conv = Conv(out_channels=4, kernel=(3,), bias=True)
    first = b.add(conv, x)
    total = b.add(Add(), b.add(conv, first, params=b.nodes[-1].params), x)
    graph = optimize(b.graph(y=b.add(Relu(), total))).graph
    source = Source("residual file.cnn", "block f\nuse f # twice\n")
    node = dataclasses.replace(
        graph.nodes[0],
        label='conv "3" # first',
        span=Span(source, 6, 7),
        path=(("outer", Span(source, 0, 5)), ("f", Span(source, 8, 11))),
    )
    return dataclasses.replace(graph, nodes=(node, *graph.nodes[1:]), usual_sizes=(("H", 64),))


def test_the_text_form_is_the_golden_one() -> None:
    graph = spanned_graph()
    verify(graph)
    check_round_trip(graph)
    golden = GOLDEN / "residual.graph"
    assert print_graph(graph) == golden.read_text()


@pytest.mark.parametrize(
    "line, message",
    [
        ("node y float32", "line 2: expected ':', got float32"),
        ('node y: float32[N] = Nope()(x) "y"', "line 2: unknown op Nope"),
        ('node y: float32[N] = Relu(slope=1)(x) "y"', "line 2: .*slope"),
        ("node y: float32[N] = Relu()(x)", "line 2: expected the node's label"),
        ("input x: float16[N]", "line 2: unknown dtype float16"),
        ("input x: float32[N] extra", "line 2: expected the end of the line"),
        ("parameter w: float32[2] = Relu()", "line 2: expected a ParameterSpec"),
        ("layer x", "line 2: a line cannot start with layer"),
        ("output y = $", "line 2: cannot read"),
        ("usual H = many", "line 2: expected a whole number"),
    ],
)
def test_text_that_is_no_graph_names_the_line(line: str, message: str) -> None:
    with pytest.raises(GraphSyntaxError, match=message):
        read_graph(f"graph g\n{line}\n")
