"""Graph to source text: the text means the graph, whatever the graph."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest
from elaborate.elaborating import graph_of, no_imports
from hypothesis import HealthCheck, given, settings
from properties.networks import GraphBuilder, Network, float32, networks

from cnndsl.diagnostics import CompileError, Source
from cnndsl.driver.load import load
from cnndsl.elaborate.elaborate import elaborate
from cnndsl.importers.writing.compare import Different, same_network
from cnndsl.importers.writing.write import write_source
from cnndsl.ir.graph import Graph
from cnndsl.ir.verifier import verify
from cnndsl.ops.activation import Relu, Sigmoid, Tanh
from cnndsl.ops.elementwise import Affine
from cnndsl.syntax.formatter import format_program
from cnndsl.syntax.parser import parse

EXAMPLES = Path(__file__).parents[2] / "examples"
GOLDEN = Path(__file__).parents[1] / "golden" / "importers" / "lines.txt"
ZOO = sorted(p.stem for p in EXAMPLES.glob("*.cnn"))


def bare(graph: Graph) -> Graph:
    """Return the graph as a poor importer makes it: all names inside are numbers."""
    ends = {i.value.name: i.value.name for i in graph.inputs}
    names = ends | {n.output.name: f"v{i}" for i, n in enumerate(graph.nodes)}
    nodes = [
        replace(
            n,
            label=f"node_{i}",
            inputs=tuple(names[v] for v in n.inputs),
            output=replace(n.output, name=names[n.output.name]),
            span=None,
            path=(),
        )
        for i, n in enumerate(graph.nodes)
    ]
    outputs = tuple(replace(o, value=names[o.value]) for o in graph.outputs)
    return replace(graph, nodes=tuple(nodes), outputs=outputs)


def test_zoo_round_trip() -> None:
    """What is written means the graph (else it raises), and is as short as the golden file says."""
    lines = {}
    for name in ZOO:
        graph = bare(load(EXAMPLES / f"{name}.cnn").graph)
        written = write_source(graph)
        assert set(written.names) == {p.value.name for p in graph.parameters}
        assert len(set(written.names.values())) == len(written.names)
        program = parse(Source("net.cnn", written.text))
        assert format_program(program) == written.text
        assert elaborate(program, {}, no_imports).warnings == ()
        lines[name] = len(written.text.splitlines())
    text = "".join(f"{name} {count}\n" for name, count in lines.items())
    if os.environ.get("CNNDSL_UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(parents=True, exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_resnet50_reads_as_a_person_would_write_it() -> None:
    text = write_source(bare(load(EXAMPLES / "resnet50.cnn").graph)).text
    assert "block bottleneck(x, width) {" in text
    assert "-> stage(64, 2, stride=1) -> stage(128, 3) -> stage(256, 5) -> stage(512, 2)" in text


def test_a_wrong_program_is_found_out() -> None:
    graph = graph_of("output y = x -> conv3x3(4) -> bn -> relu\noutput z = x -> relu")
    for body in (
        "output y = x -> conv3x3(4) -> bn -> tanh\noutput z = x -> relu",
        "output y = x -> conv3x3(4, bias=true) -> bn -> relu\noutput z = x -> relu",
        "output y = x -> conv3x3(4) -> bn -> relu\noutput z = y",
        "output y = x -> conv3x3(4) -> bn -> relu\noutput z = x -> relu\n_w = x -> relu",
    ):
        with pytest.raises(Different):
            same_network(graph, graph_of(body))


def test_comments_stand_above_what_they_speak_of() -> None:
    graph = graph_of("h = x -> conv3x3(4)\noutput y = h -> relu\noutput z = h -> tanh")
    written = write_source(graph, {"": "Of old.", "tanh": "anchors 1, 2\nclasses 3"})
    assert written.text.startswith("# Of old.\nnetwork net\n")
    assert "# anchors 1, 2\n# classes 3\noutput z" in written.text


def test_names_that_mean_something_in_a_program_change() -> None:
    b = GraphBuilder("for")
    x = b.input("relu", float32("N", 4, "range", 8))
    graph = b.graph(conv3=b.add(Relu(), b.add(Affine(scale=0.5, shift=0.25), x)))
    graph = replace(graph, usual_sizes=(("range", 8),))
    verify(graph)
    text = write_source(graph).text
    assert "network for_" in text
    assert "* 0.5 + 0.25 -> relu" in text


def test_what_the_language_cannot_say_is_refused_all_at_once() -> None:
    b = GraphBuilder()
    x = b.input("x", float32("N", 4, 8, 8))
    first = b.add(Relu(), b.add(Affine(scale=float("inf")), x))
    graph = b.graph(y=b.add(Affine(shift=float("nan")), first))
    with pytest.raises(CompileError) as caught:
        write_source(graph)
    assert [d.code for d in caught.value.diagnostics] == ["CNN807", "CNN807"]


@pytest.mark.parametrize("kinds", [1, 3])
def test_large_graphs_take_seconds(kinds: int) -> None:
    b = GraphBuilder()
    x = b.input("x", float32("N", 4, 8, 8))
    for i in range(4_000):
        x = b.add((Relu(), Tanh(), Sigmoid())[(i * i // 7) % kinds], x)
    started = process_time()
    write_source(b.graph(y=x))
    assert process_time() - started < 30


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(networks(max_steps=14))
def test_any_network_round_trip(network: Network) -> None:
    write_source(network.graph)
