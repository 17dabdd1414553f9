"""Random networks: the generated module, fused and unfused, against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from conformance.modules import module_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties.networks import Network, networks
from properties.tied import TIED

from cnndsl.backends.numba_cpu.options import FUSE, STRASSEN, WINOGRAD
from cnndsl.backends.reference.run import run
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimize

RELATIVE = 1e-4
ABSOLUTE = 1e-4
"""Norms of nearly constant groups divide by as little as sqrt(epsilon): what float32 rounds off
before them comes out some hundred times larger."""


def compare(network: Network, graph: Graph, winograd: str, fuse: str, strassen: str) -> None:
    module = module_of(graph)
    module.WINOGRAD, module.STRASSEN, module.FUSE = winograd, strassen, fuse
    got = module.load(network.weights, threads=2)(**network.inputs)
    results = got if isinstance(got, dict) else {next(iter(module.OUTPUTS)): got}
    wide = {name: x.astype(np.float64) for name, x in network.inputs.items()}
    for name, expected in run(network.graph, wide, network.weights).items():
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(
            results[name], expected, rtol=RELATIVE, atol=ABSOLUTE * scale, err_msg=name
        )


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.sampled_from(WINOGRAD), st.sampled_from(FUSE), st.sampled_from(STRASSEN))
def test_random_networks_equal_the_reference(
    network: Network, winograd: str, fuse: str, strassen: str
) -> None:
    compare(network, optimize(network.graph).graph, winograd, fuse, strassen)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.sampled_from(WINOGRAD), st.sampled_from(FUSE), st.sampled_from(STRASSEN))
def test_unoptimised_networks_equal_the_reference(
    network: Network, winograd: str, fuse: str, strassen: str
) -> None:
    compare(network, network.graph, winograd, fuse, strassen)


@pytest.mark.parametrize("fuse", FUSE)
@pytest.mark.parametrize("graph", TIED.values(), ids=TIED)
def test_layers_with_the_same_weights(graph: Graph, fuse: str) -> None:
    compare(Network(graph, {}, 3), optimize(graph).graph, "off", fuse, "on")
