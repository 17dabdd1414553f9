"""The effective receptive field: published and computed anchors, and measured gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import sqrt

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from properties.networks import GraphBuilder, Network, float32, int64, networks

from cnndsl.analysis.effective_field import EffectiveField, effective_fields
from cnndsl.backends.reference.gradient import gradient
from cnndsl.backends.reference.statistics import with_statistics
from cnndsl.ir.graph import Graph
from cnndsl.ops.activation import Glu, Relu, Sigmoid, Tanh
from cnndsl.ops.base import Op
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.elementwise import Add, Affine, Mul
from cnndsl.ops.embedding import Embedding
from cnndsl.ops.norm import BatchNorm
from cnndsl.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from cnndsl.ops.resample import Upsample
from cnndsl.ops.shape import Concat, Flatten
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.weights.initialize import initialize


def conv(k: int, stride: int = 1, dilation: int = 1, channels: int = 24) -> Conv:
    """Return a one-dimensional convolution."""
    window = {"kernel": (k,), "stride": (stride,), "dilation": (dilation,)}
    return Conv(out_channels=channels, bias=False, **window)


def stack(*layers: tuple[int, int]) -> EffectiveField:
    """Return the effective field of a chain of (kernel, stride), convolutions or pools."""
    b = GraphBuilder()
    v = b.input("x", float32("N", 2, 4096))
    for k, s in layers:
        v = b.add(conv(k, s, channels=2), v)
    (field,) = effective_fields(b.graph(v)).of(v) or ()
    return field


@pytest.mark.parametrize("n, ratio", [(5, 0.66), (10, 0.49), (20, 0.36), (40, 0.25), (80, 0.18)])
def test_a_stack_of_3x3_sees_a_vanishing_part_of_its_field(n: int, ratio: float) -> None:
    field = stack(*[(3, 1)] * n)
    assert field.theoretical_px == 2 * n + 1
    assert field.sigma_px == pytest.approx(sqrt(n * 8 / 12))

    assert field.extent_px / field.theoretical_px == pytest.approx(ratio, abs=0.0055)


ALEXNET = [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1)]
VGG16 = [
    *[(3, 1), (3, 1), (2, 2)] * 2,
    *[(3, 1), (3, 1), (3, 1), (2, 2)] * 2,
    *[(3, 1), (3, 1), (3, 1)],
]
RESNET50 = [
    *[(7, 2), (3, 2)],
    *[
        layer
        for n, s in ((3, 1), (4, 2), (6, 2), (3, 2))
        for layer in [(3, s), *[(3, 1)] * (n - 1)]
    ],
]
MOBILENET = [(3, s) for s in (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)]


@pytest.mark.parametrize(
    "layers, theoretical, sigma, ratio",
    [
        pytest.param(ALEXNET, 163, 26.5, 0.65, id="alexnet_conv5"),
        pytest.param(VGG16, 196, 26.5, 0.54, id="vgg16_conv5_3"),
        pytest.param(RESNET50, 427, 51, 0.48, id="resnet50_main_branches"),
        pytest.param(MOBILENET, 315, 43, 0.54, id="mobilenet_v1"),
    ],
)
def test_published_networks(
    layers: Sequence[tuple[int, int]], theoretical: int, sigma: float, ratio: float
) -> None:
    field = stack(*layers)
    assert field.theoretical_px == theoretical
    assert field.sigma_px == pytest.approx(sigma, abs=0.5 if sigma > 30 else 0.05)
    assert field.extent_px / theoretical == pytest.approx(ratio, abs=0.005)


LENGTH = 120
CHANNELS = 24
SEEDS = 150

Build = Callable[[GraphBuilder, str], str]


def _chain(ops: Iterable[Op]) -> Build:
    def build(b: GraphBuilder, v: str) -> str:
        for op in ops:
            v = b.add(op, v)
        return v

    return build


def _residual(*branch: Op, after: Sequence[Op] = ()) -> Build:
    """Return a network of three residual blocks, `after` being what follows the sums."""

    def build(b: GraphBuilder, v: str) -> str:
        v = b.add(conv(7), v)
        for _ in range(3):
            v = _chain(after)(b, b.add(Add(), _chain(branch)(b, v), v))
        return v

    return build


def _gated(b: GraphBuilder, v: str) -> str:
    v = b.add(conv(3), v)
    for dilation in (1, 2, 4, 8):
        gate = b.add(Sigmoid(), b.add(conv(1), v))
        signal = b.add(Tanh(), b.add(conv(3, dilation=dilation), v))
        v = b.add(Add(), b.add(conv(1), b.add(Mul(), signal, gate)), v)
    return v


def _glu(b: GraphBuilder, v: str) -> str:
    for _ in range(3):
        v = b.add(Add(), b.add(Glu(), b.add(conv(5, channels=2 * CHANNELS), v)), v)
    return v


def _dense(b: GraphBuilder, v: str) -> str:
    v = b.add(conv(3), v)
    for _ in range(5):
        h = _chain([BatchNorm(), Relu(), conv(1), BatchNorm(), Relu(), conv(5, channels=8)])(b, v)
        v = b.add(Concat(), v, h)
    return v


def _branches(b: GraphBuilder, v: str) -> str:
    v = b.add(conv(3, 2), v)
    wide, narrow = b.add(conv(9, channels=8), v), b.add(conv(1), v)
    pooled = b.add(conv(3), b.add(AveragePool(kernel=(3,), stride=(1,)), v))
    return b.add(conv(1), b.add(Concat(), wide, narrow, pooled))


DECONV = ConvTranspose(
    out_channels=CHANNELS,
    kernel=(3,),
    stride=(2,),
    dilation=(1,),
    bias=False,
    output_padding=(0,),
)
DEPTHWISE = DepthwiseConv(kernel=(5,), stride=(1,), dilation=(2,), bias=False)

MEASURED = {
    "chain": (_chain([conv(3), conv(3, 1, 2), conv(5, 2), conv(3), conv(2)]), 1),
    "depthwise": (_chain([conv(3, 2), DEPTHWISE, conv(1), conv(3)]), 1),
    "residual": (_residual(conv(3), conv(3, 1, 2)), 1),
    "residual with relu": (_residual(conv(3), Relu(), conv(3, 1, 2), after=[Relu()]), 1),
    "residual with batch norm": (
        _residual(
            *(conv(3), BatchNorm(), Relu(), conv(3, 1, 2), BatchNorm(), Relu(), conv(1)),
            *(BatchNorm(),),
            after=[Relu()],
        ),
        1,
    ),
    "gates": (_gated, 1),
    "glu": (_glu, 1),
    "branches": (_branches, 1),
    "dense": (_dense, 1),
    "transposed": (_chain([conv(3, 2), DECONV, conv(3)]), 2),
    "nearest": (_chain([conv(5, 2), Upsample(scale=(2,), mode="nearest"), conv(3)]), 2),
    "bilinear": (_chain([conv(5, 2), Upsample(scale=(2,), mode="bilinear"), conv(3)]), 2),
}
"""Networks, with the number of phases of their units."""


def gradient_energy(graph: Graph, value: str, unit: int) -> np.ndarray:
    """Return the mean of the squared gradient of a unit, by position, over random weights."""
    energy = np.zeros(LENGTH)
    for number in range(SEEDS):
        rng = np.random.default_rng(number)
        x = rng.standard_normal((1, CHANNELS, LENGTH))
        seed = np.zeros(graph.types[value].at({"N": 1}))
        # Random signs, so that the channels' gradients add up in square.
        seed[0, :, unit] = rng.choice([-1, 1], seed.shape[1])
        weights = initialize(graph, number)
        if any(isinstance(node.op, BatchNorm) for node in graph.nodes):
            batch = rng.standard_normal((4, CHANNELS, LENGTH))
            weights = with_statistics(graph, {"x": batch}, weights)
        found = gradient(graph, {"x": x}, weights, value, seed)
        energy += (found["x"][0] ** 2).sum(axis=0)
    return energy / SEEDS


@pytest.mark.parametrize("name", MEASURED)
def test_the_closed_form_agrees_with_measured_gradients(name: str) -> None:
    build, phases = MEASURED[name]
    b = GraphBuilder()
    value = build(b, b.input("x", float32("N", CHANNELS, LENGTH)))
    graph = b.graph(value)
    (field,) = effective_fields(graph).of(value) or ()
    extent = (
        graph.types[value].at({})[2] if not graph.symbols else graph.types[value].at({"N": 1})[2]
    )
    jump = LENGTH / extent
    variances, centres = [], []
    for unit in range(extent // 2, extent // 2 + phases):
        energy = gradient_energy(graph, value, unit)
        share = energy / energy.sum()
        places = np.arange(LENGTH) - unit * jump
        centres.append(float(share @ places))
        variances.append(float(share @ (places - share @ places) ** 2))
    assert sqrt(sum(variances) / phases) == pytest.approx(field.sigma_px, rel=0.04)
    assert sum(centres) / phases == pytest.approx(field.centre, abs=0.1)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_an_effective_field_lies_within_the_receptive_field(network: Network) -> None:
    fields = effective_fields(network.graph, network.sizes)
    for node in network.graph.nodes:
        name = node.output.name
        found = fields.of(name)
        if found is None:
            assert fields.reason(name)
            continue
        for mine, axis in zip(found, fields.receptive.fields[name].hull, strict=True):
            # A distribution within an interval deviates by half of it at most (Popoviciu).
            assert mine.sigma_px <= (axis.size - 1) / 2 + 1e-9
            assert mine.theoretical_px == axis.size
            assert axis.centre is not None
            assert abs(mine.centre - float(axis.centre)) <= axis.size / 2


def test_a_batch_norm_makes_branches_count_alike() -> None:
    """After a norm a branch has the stream's variance, whatever it had before."""

    def sigma(*ops: Op) -> float:
        b = GraphBuilder()
        x = b.input("x", float32("N", 8, 64))
        v = b.add(Add(), _chain(ops)(b, x), x)
        (field,) = effective_fields(b.graph(v)).of(v) or ()
        return field.sigma_px

    wide = conv(9, channels=8)
    assert sigma(wide, BatchNorm()) == pytest.approx(sqrt(80 / 12 / 2), rel=1e-5)
    assert sigma(wide, Sigmoid(), BatchNorm()) == pytest.approx(sqrt(80 / 12 / 2), rel=0.02)
    assert sigma(wide, Sigmoid()) < 0.5 * sigma(wide)


def test_a_batch_norm_makes_concatenated_channels_count_alike() -> None:
    """Each by its own deviation, however deep it was concatenated."""

    def sigma(*after: Op) -> float:
        b = GraphBuilder()
        x = b.input("x", float32("N", 8, 64))
        large = b.add(Affine(scale=3.0), b.add(conv(9, channels=8), x))
        inner = b.add(Concat(), b.add(conv(1, channels=8), x), large)
        outer = b.add(Concat(), b.add(conv(1, channels=16), x), inner)
        (field,) = effective_fields(b.graph(v := _chain(after)(b, outer))).of(v) or ()
        return field.sigma_px

    wide = 80 / 12
    assert sigma(BatchNorm()) == pytest.approx(sqrt(wide / 4), rel=1e-5)
    # Without a norm gains count: 9 for the large, 1, and 2 * 8 / (8 + 16), for twice the channels.
    assert sigma(conv(1)) == pytest.approx(sqrt(wide * 9 / (9 + 1 + 2 * 2 / 3)), rel=1e-5)
    # Behind a convolution channels are alike.
    assert sigma(conv(1), BatchNorm()) == sigma(conv(1))


def test_axes_are_apart_and_pools_count() -> None:
    b = GraphBuilder()
    x = b.input("x", float32("N", 3, "H", "W"))
    v = b.add(Conv(out_channels=4, kernel=(1, 7), stride=(1, 2), dilation=(1, 1), bias=False), x)
    v = b.add(MaxPool(kernel=(3, 3), stride=(2, 2), dilation=(1, 1)), v)
    found = effective_fields(b.graph(v), {"H": 64, "W": 64}).of(v)
    assert found is not None
    assert [f.sigma_px for f in found] == pytest.approx([sqrt(8 / 12), sqrt(48 / 12 + 4 * 8 / 12)])


def test_what_has_no_closed_form_says_why() -> None:
    b = GraphBuilder()
    x = b.input("x", float32("N", 3, 8, 8))
    other = b.input("other", float32("N", 3, 8, 8))
    pooled = b.add(GlobalAveragePool(keep_axes=True), x)
    gated = b.add(Mul(), x, pooled)
    flat = b.add(Dense(out_features=2, bias=False), b.add(Flatten(), x))
    aside = b.add(Relu(), other)
    both = b.add(Add(), aside, x)
    fields = effective_fields(b.graph(gated, flat, both))
    assert fields.of(gated) is None
    assert fields.reason(gated) == f"{pooled} reads the whole map"
    assert fields.reason(flat) == "flatten_2 reads the whole map"
    assert fields.reason(aside) == "it does not depend on the input"
    assert fields.reason(both) is None
    assert [f.sigma_px for f in fields.of(both) or ()] == [0, 0]


@pytest.mark.parametrize("norm", [False, True])
def test_a_thousand_residual_blocks(norm: bool) -> None:
    """Without norms the variance doubles with every block: float32 ends after 250 or so."""
    b = GraphBuilder()
    v = b.input("x", float32("N", 4, 64))
    for _ in range(1000):
        h = b.add(conv(3, channels=4), b.add(Relu(), v))
        v = b.add(Add(), b.add(BatchNorm(), h) if norm else h, v)
    fields = effective_fields(b.graph(v))
    if norm:
        # The stream grows, so that each block counts for less: a chain would give sqrt(2000 / 3).
        (field,) = fields.of(v) or ()
        assert 1 < field.sigma_px < 5
        assert field.theoretical_px == 2001
    else:
        assert "values grow without bound" in (fields.reason(v) or "")


def test_words_are_positions() -> None:
    b = GraphBuilder()
    words = b.input("words", int64("N", "L"))
    v = b.add(conv(5), b.add(Embedding(entries=9, features=4), words))
    (field,) = effective_fields(b.graph(v)).of(v) or ()
    assert field.sigma_px == pytest.approx(sqrt(24 / 12))
