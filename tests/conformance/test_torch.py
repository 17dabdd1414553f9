"""The generated torch module against the reference: every op over grids, and random networks."""

from __future__ import annotations

import pytest
from backends import op_grid
from conformance.cases import cases, vector_cases
from conformance.modules import graph_of_cases, random_arrays, random_weights
from conformance.torch_modules import check_agrees
from hypothesis import HealthCheck, given, settings
from properties.networks import Network, graph_of, networks
from properties.networks import random_inputs as inputs_of
from properties.networks import random_weights as weights_of


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_every_op_agrees_with_its_definition(rank: int) -> None:
    graph = graph_of_cases(cases(rank) if rank else vector_cases())
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, rank)
    check_agrees(graph, random_weights(graph, rank), inputs)


def test_every_op_agrees_on_symbolic_sizes() -> None:
    for number, (op, types, sizes) in enumerate(op_grid.cases()):
        graph = graph_of(op, types)
        try:
            check_agrees(graph, weights_of(graph, number), inputs_of(graph, sizes, number))
        except Exception as error:
            raise AssertionError(f"{op} on {', '.join(map(str, types))}") from error


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks())
def test_random_networks_agree(network: Network) -> None:
    check_agrees(network.graph, network.weights, network.inputs, relative=1e-6)
