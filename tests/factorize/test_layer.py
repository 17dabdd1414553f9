"""The facts about layers, taken from the graphs of programs."""

from __future__ import annotations

import numpy as np
import pytest
from elaborate.elaborating import graph_of
from factorize.layers import chain_outputs, layer_outputs, tensors

from cnndsl.factorize.catalog import REWRITES, WEIGHT_SCHEMES
from cnndsl.factorize.factors import layer_cost
from cnndsl.factorize.layer import Layer, layer_of, refusal_of_op
from cnndsl.types.padding import Explicit, Same

BY_NAME = {s.name: s for s in (*WEIGHT_SCHEMES, *REWRITES)}
SIZED = "network net\ninput x: float32[N, 3, H = 32, W = 48]\n"


def layers_of(body: str, head: str = SIZED) -> list[Layer | None]:
    graph = graph_of(body, head)
    return [layer_of(graph, node) for node in graph.nodes]


def test_facts() -> None:
    graph = graph_of(
        "a = x -> conv3x5(8, stride=2, padding=(1, 2), dilation=2) -> bn -> relu\n"
        "b = a -> conv1x1(6) -> dwconv3x3 -> conv3x3(6, groups=3)\n"
        "output y = b -> global_avgpool -> dense(10)\n",
        SIZED,
    )
    found = {layer.label: layer for n in graph.nodes if (layer := layer_of(graph, n))}
    assert list(found) == ["conv3x5", "conv1x1", "dwconv3x3", "conv3x3", "dense"]
    first = found["conv3x5"]
    assert (first.rank, first.in_channels, first.out_channels) == (2, 3, 8)
    assert (first.kernel, first.stride, first.dilation) == ((3, 5), (2, 2), (2, 2))
    assert first.pads == ((1, 1), (2, 2))
    assert (first.taps, first.patch, first.bias) == (15, 45, False)
    assert dict(first.sizes) == {"H": 32, "N": 1, "W": 48}
    assert layer_cost(first).macs == 8 * 45 * 15 * 22
    assert found["dwconv3x3"].groups == 6
    assert found["dwconv3x3"].patch == 9
    assert found["conv3x3"].groups == 3
    assert found["conv3x3"].patch == 18
    dense = found["dense"]
    assert (dense.rank, dense.is_dense, dense.bias, dense.patch) == (0, True, True, 6)
    assert layer_of(graph, graph.producers["a"]) is None


def test_layers_that_no_scheme_knows() -> None:
    graph = graph_of(
        "output y = x -> deconv2x2(4, stride=2) -> local3x3(2) -> relu",
        "network net\ninput x: float32[N, 3, 8, 8]\n",
    )
    reasons = [refusal_of_op(node.op) for node in graph.nodes]
    assert "transposed" in str(reasons[0])
    assert "locally connected" in str(reasons[1])
    assert reasons[2] is None
    assert [layer_of(graph, node) for node in graph.nodes] == [None] * 3


def test_sizes_given_go_before_the_usual_ones() -> None:
    graph = graph_of("output y = x -> conv3x3(4)", SIZED)
    layer = layer_of(graph, graph.nodes[0], {"H": 10, "W": 20})
    assert layer is not None
    assert layer_cost(layer).macs == 4 * 27 * 200
    symbolic = layer_of(graph_of("output y = x -> conv3x3(4)"), graph.nodes[0])
    assert symbolic is not None
    assert str(layer_cost(symbolic).macs) == "108*H*W"


def test_padding_that_depends_on_an_open_size() -> None:
    """same, with a stride: how much is padded depends on the map, and is not known here."""
    (layer,) = layers_of("output y = x -> conv5x5(4, stride=2, padding=same)")
    assert layer is not None
    assert layer.pads is None
    assert "padding depends" in str(BY_NAME["stacked"].refusal(layer))
    assert BY_NAME["stack3x3"].refusal(layer) is None
    # Whole axes keep the word, and so are right at any size.
    vertical, horizontal = BY_NAME["spatial_svd"].factors(layer, (3,))
    assert vertical.op.padding == horizontal.op.padding == Same()  # type: ignore[attr-defined]
    weight, bias = tensors(layer)
    scheme = next(s for s in WEIGHT_SCHEMES if s.name == "spatial_svd")
    made = scheme.decompose(layer, weight, bias, (15,))
    for extents in ((9, 12), (12, 9), (10, 10), (11, 7)):
        x = np.random.default_rng(0).standard_normal((1, 3, *extents))
        expected = layer_outputs(layer, weight, bias, x)
        np.testing.assert_allclose(
            chain_outputs(layer, made.factors, made.tensors, x), expected, atol=1e-9
        )


@pytest.mark.parametrize("padding", ["2", "(0, 4)", "(3, 1)"])
def test_padding_once(padding: str) -> None:
    (layer,) = layers_of(f"output y = x -> conv5x5(4, stride=2, padding={padding})")
    assert layer is not None
    first, second = BY_NAME["stacked"].factors(layer, (6,))
    assert first.op.padding == Explicit(layer.pads or ())  # type: ignore[attr-defined]
    assert str(second.op.padding) == "valid"  # type: ignore[attr-defined]
