"""Every pass keeps the meaning of random networks, within what its effect allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from properties.networks import Network, networks

from cnndsl.backends.reference.run import run
from cnndsl.ir.graph import Graph
from cnndsl.ir.verifier import verify
from cnndsl.passes.base import Effect, Pass
from cnndsl.passes.fold_constants import fold_constants
from cnndsl.passes.pipeline import PASSES, optimize

DIFFERENT = tuple(dict.fromkeys(PASSES))


def check_same(network: Network, rewritten: Graph, effect: Effect) -> None:
    """Compare in float64 for what is claimed, and in float32 for exactness."""
    assert {o.name for o in rewritten.outputs} == {o.name for o in network.graph.outputs}
    weights = network.weights
    inputs = {name: x.astype(np.float64) for name, x in network.inputs.items()}
    before, after = run(network.graph, inputs, weights), run(rewritten, inputs, weights)
    for name, expected in before.items():
        if effect is Effect.EXACT:
            np.testing.assert_array_equal(after[name], expected)
        else:
            # Rounding only: in float64 nothing but its last bits may move. Norms of nearly
            # constant groups divide by as little as sqrt(epsilon), 300 times what they are given.
            np.testing.assert_allclose(after[name], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("step", DIFFERENT, ids=lambda p: p.name)
@settings(max_examples=40, deadline=None)
@given(network=networks())
def test_a_pass_keeps_the_meaning(step: Pass, network: Network) -> None:
    graph, report = step.run(network.graph)
    verify(graph)
    assert bool(report.rewrites) == (graph != network.graph)
    check_same(network, graph, step.effect)


@settings(max_examples=60, deadline=None)
@given(networks())
def test_the_pipeline_keeps_the_meaning(network: Network) -> None:
    optimized = optimize(network.graph)
    check_same(network, optimized.graph, Effect.ROUNDS)
    assert optimize(optimized.graph).graph == optimized.graph, "a second run finds more"


@settings(max_examples=40, deadline=None)
@given(networks())
def test_folding_load_time_values_keeps_the_meaning(network: Network) -> None:
    optimized = optimize(network.graph).graph
    folded, weights = fold_constants(optimized, network.weights)
    verify(folded)
    assert set(weights) == {p.value.name for p in folded.parameters}
    assert not [n for n in folded.nodes if n.output.name in folded.load_time]
    before, after = (
        run(optimized, network.inputs, network.weights),
        run(folded, network.inputs, weights),
    )
    for name, expected in before.items():
        np.testing.assert_array_equal(after[name], expected)
