"""Chains in the place of layers: at full rank the network computes what it did."""

from __future__ import annotations

import numpy as np
import pytest
from elaborate.elaborating import graph_of

from cnndsl.backends.reference.run import run
from cnndsl.driver.samples import random_inputs
from cnndsl.factorize.candidates import Place, chain_cost_of, known, places, ranks_to_try, refusal
from cnndsl.factorize.catalog import WEIGHT_SCHEMES
from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.rewrite import Key, Replacement, rewrite
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.types.extents import evaluate_extent
from cnndsl.weights.initialize import initialize

NETWORK = """\
network net
input x: float32[N, 4, H = 13, W = 11]
block unit(x, width, stride) {
  main = x -> conv3x3(width, stride) -> bn -> relu -> conv5x3(width, padding=(2, 1))
  skip = x -> conv1x1(width, stride)
  return main + skip -> relu
}
a = x -> unit(6, 1) -> unit(8, 2)
b = a -> conv3x3(8, groups=2) -> conv3x3(8, dilation=2, bias=false)
again = share(conv3x3(8, padding=valid))
c = b -> pad(2) -> again
d = c -> again
output early = a -> global_avgpool
output y = d -> global_avgpool -> dense(10)
"""


@pytest.fixture(scope="module")
def graph() -> Graph:
    return graph_of(NETWORK, "")


@pytest.fixture(scope="module")
def weights(graph: Graph) -> dict[str, Array]:
    return initialize(graph, 3)


SIZES = {"N": 1, "H": 13, "W": 11}


def full_rank(place: Place, scheme: WeightScheme, weights: dict[str, Array]) -> Replacement:
    layer = place.uses[0]
    weight, *bias = (weights[name] for name in place.key)
    ranks = tuple(limit.maximum for limit in scheme.rank_limits(layer))
    found = scheme.decompose(layer, weight, bias[0] if bias else None, ranks)
    return Replacement(found.factors, found.tensors)


@pytest.mark.parametrize("scheme", WEIGHT_SCHEMES[:4], ids=lambda s: s.name)
def test_at_full_rank_the_network_is_the_same(
    scheme: WeightScheme, graph: Graph, weights: dict[str, Array]
) -> None:
    found, _ = places(graph, SIZES)
    chosen: dict[Key, Replacement] = {
        place.key: full_rank(place, scheme, weights)
        for place in found
        if refusal(place, scheme) is None
    }
    assert chosen
    made = rewrite(graph, weights, chosen)
    assert {p.value.name for p in made.graph.parameters} == set(made.weights)
    assert [o.value for o in made.graph.outputs] == [o.value for o in graph.outputs]
    inputs = random_inputs(graph, 0, {"N": 2, "H": 13, "W": 11})
    before, after = run(graph, inputs, weights), run(made.graph, inputs, made.weights)
    for name, expected in before.items():
        np.testing.assert_allclose(after[name], expected, rtol=1e-4, atol=1e-5)


def test_layers_that_share_tensors_share_chains(graph: Graph, weights: dict[str, Array]) -> None:
    found, _ = places(graph, SIZES)
    (shared,) = (place for place in found if len(place.uses) > 1)
    made = rewrite(graph, weights, {shared.key: full_rank(shared, WEIGHT_SCHEMES[0], weights)})
    first, second = (made.made[use.label] for use in shared.uses)
    params = {node.label: node.params for node in made.graph.nodes}
    assert [params[label] for label in first] == [params[label] for label in second]
    assert not set(first) & set(second)


def test_a_chain_is_called_like_its_layer_and_factors(
    graph: Graph, weights: dict[str, Array]
) -> None:
    found, _ = places(graph, SIZES)
    place = found[0]
    made = rewrite(graph, weights, {place.key: full_rank(place, WEIGHT_SCHEMES[0], weights)})
    assert made.made == {"unit.conv3x3": ("unit.conv3x3.vertical", "unit.conv3x3.horizontal")}
    # The tensors stand where the layer's stood.
    names = [p.value.name for p in made.graph.parameters]
    assert names[:2] == ["unit.conv3x3.vertical.weight", "unit.conv3x3.horizontal.weight"]


@pytest.mark.parametrize("scheme", WEIGHT_SCHEMES, ids=lambda s: s.name)
def test_candidates_cost_less_of_everything(scheme: WeightScheme, graph: Graph) -> None:
    for place in places(graph, SIZES)[0]:
        if refusal(place, scheme) is None:
            for ranks in ranks_to_try(place, scheme):
                cost = chain_cost_of(place, scheme, ranks)
                assert cost.macs <= place.dense.macs
                assert cost.params <= place.dense.params
                assert cost != place.dense


def test_costs_of_shared_layers_count_tensors_once(graph: Graph) -> None:
    found, _ = places(graph, SIZES)
    (shared,) = (place for place in found if len(place.uses) > 1)
    assert shared.dense.params == 8 * 8 * 9 + 8
    macs = (
        sum(known(evaluate_extent(use.output.elements, dict(use.sizes))) for use in shared.uses)
        * 8
        * 9
    )
    assert shared.dense.macs == macs
