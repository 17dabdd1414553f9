"""Whole networks in Numba's simulator, against `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elaborate.elaborating import graph_of
from gpu.modules import error, module_of
from gpu.tiny import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties.networks import Network, networks, random_inputs, random_weights

import cnndsl
from cnndsl.backends.numba_cuda.options import DEFAULTS, FUSE, WINOGRAD, Options
from cnndsl.backends.reference.run import run
from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimize

EXAMPLES = Path(__file__).parents[2] / "examples"
SLOW = ("alexnet", "densenet121", "inception_v3", "yolov3")
LEFT_OUT = {
    "unet": "valid convolutions need an input of 188; unet_padded, and test_ops for slices",
    "resnet34": "resnet18",
    "resnet101": "resnet50",
    "resnet152": "resnet50",
    "vgg13": "vgg11",
    "vgg16": "vgg11",
    "vgg19": "vgg11",
    "squeezenet1_1": "squeezenet",
    "nin": "nin_cifar10",
}
"""Examples that others, with the same kinds of layers, stand for."""


def compare(
    graph: Graph,
    *all_sizes: Mapping[str, int],
    weights: Mapping[str, Any] | None = None,
    options: Options = DEFAULTS,
    tolerance: float = 2e-5,
) -> Any:
    """Run a network on inputs of some sizes, one after the other; return its module."""
    weights = random_weights(graph, 1) if weights is None else weights
    module = module_of(optimize(graph).graph, options)
    net = module.load(weights)
    for seed, sizes in enumerate(all_sizes):
        inputs = random_inputs(graph, sizes, seed, entries=2)
        got = net(**inputs)
        results = got if isinstance(got, dict) else {next(iter(module.OUTPUTS)): got}
        wide = {n: x.astype(np.float64) if x.dtype == np.float32 else x for n, x in inputs.items()}
        for name, expected in run(graph, wide, weights).items():
            assert error(results[name], expected) <= tolerance, (name, sizes)
    return module


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(p.stem, marks=pytest.mark.slow) if p.stem in SLOW else p.stem
        for p in sorted(EXAMPLES.glob("*.cnn"))
        if p.stem not in LEFT_OUT
    ],
)
def test_a_tiny_version_of_every_example(name: str) -> None:
    graph = tiny(load(EXAMPLES / f"{name}.cnn").graph)
    compare(graph, {next(iter(graph.batch_symbols)): 1 if name in SLOW else 2})


TRANSPOSED = """
network transposed()
input x: float32[N, 2, 2 * h, 2 * w]
a = x -> conv3x3(4, padding=same) -> relu
b = a -> maxpool2x2 -> conv3x3(4, padding=same) -> relu -> deconv2x2(4, stride=2)
output y = [a, b] -> conv1x1(3)
"""

RESULTS_SHARED = """
network shared()
input x: float32[N, 4, H, W]
a = x -> conv3x3(4) -> relu
b = x -> maxpool3x3(stride=1)
c = [a, b, x] -> dropout
output first = a
output second = c
output third = c -> conv1x1(4) -> relu
output unchanged = x -> dropout
output flat = x -> global_avgpool
"""

RANKS = """
network ranks()
input line: float32[N, 4, T]
input solid: float32[N, 2, D, H, W]
output one = (line -> conv3(4, dilation=2, padding=causal) -> relu) + line
output three = solid -> conv3x3x3(6, groups=2) -> bn -> relu -> maxpool2x2x2 -> deconv2x2x2(2)
"""


@pytest.mark.parametrize(
    ("text", "all_sizes"),
    [
        (TRANSPOSED, ({"N": 1, "h": 3, "w": 2}, {"N": 3, "h": 2, "w": 4})),
        (RESULTS_SHARED, ({"N": 2, "H": 5, "W": 4}, {"N": 1, "H": 3, "W": 7})),
        (
            RANKS,
            ({"N": 1, "T": 9, "D": 4, "H": 3, "W": 5}, {"N": 2, "T": 5, "D": 3, "H": 4, "W": 2}),
        ),
    ],
    ids=["transposed", "shared", "ranks"],
)
def test_any_sizes_through_one_loaded_network(
    text: str, all_sizes: tuple[Mapping[str, int], ...]
) -> None:
    compare(graph_of(text, ""), *all_sizes)


def test_parts_of_a_concatenation_lie_in_it() -> None:
    """Nothing is copied: each branch writes where the result is read."""
    graph = graph_of(
        "network n()\ninput x: float32[N, 2, 6]\n"
        "output y = x -> [conv3(3) -> relu, conv1(5), conv3(2)] -> conv1(2)\n",
        "",
    )
    module = compare(graph, {"N": 2})
    plan = module.Plan(module.Paper(), module.bind({"x": (2, 2, 6)}))
    assert "gather" not in [module._kernel_name(step.kernel) for step in plan.steps]


@pytest.mark.parametrize("scheme", ["spatial_svd", "channel_output"])
def test_factorized_networks(scheme: str) -> None:
    graph = graph_of(
        "network net()\ninput x: float32[N, 4, H = 12, W = 12]\n"
        "output y = x -> conv3x3(12) -> relu -> conv3x3(12) -> relu -> global_avgpool\n",
        "",
    )
    found = cnndsl.optimize(graph, random_weights(graph, 2), schemes=(scheme,), budget="macs=0.6x")
    assert len(found.graph.nodes) > len(graph.nodes)
    compare(found.graph, {"N": 2, "H": 6, "W": 5}, weights=found.weights)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.sampled_from(WINOGRAD), st.sampled_from(FUSE))
def test_random_networks_equal_the_reference(network: Network, winograd: str, fuse: str) -> None:
    compare_random(network, winograd, fuse)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(max_steps=4), st.sampled_from(WINOGRAD), st.sampled_from(FUSE))
def test_small_random_networks_equal_the_reference(
    network: Network, winograd: str, fuse: str
) -> None:
    compare_random(network, winograd, fuse)


def compare_random(network: Network, winograd: str, fuse: str) -> None:
    """Norms of nearly constant groups make what is rounded off some hundred times larger."""
    compare(
        network.graph,
        network.sizes,
        weights=network.weights,
        options=Options(winograd=winograd, fuse=fuse),
        tolerance=2e-4,
    )
