"""Graph to source text: the text means the graph, whatever the graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from properties.networks import Network, networks

from cnndsl.driver.load import load
from cnndsl.importers.writing.write import write_source
from cnndsl.ir.graph import Graph

EXAMPLES = Path(__file__).parents[2] / "examples"
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


@pytest.mark.parametrize("name", ZOO)
def test_zoo_round_trip(name: str) -> None:
    graph = bare(load(EXAMPLES / f"{name}.cnn").graph)
    # Raises unless what the text means is the graph.
    written = write_source(graph)
    assert set(written.names) == {p.value.name for p in graph.parameters}
    assert len(set(written.names.values())) == len(written.names)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(networks(max_steps=14))
def test_any_network_round_trip(network: Network) -> None:
    write_source(network.graph)
