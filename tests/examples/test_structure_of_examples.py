"""What counts of parameters and MACs cannot see of the examples: order, slopes, constants.

From torchvision, Caffe's bvlc models, the authors' Caffe models, and Darknet's cfg files.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.ops.activation import Dropout, LeakyRelu, Relu, Relu6
from cnndsl.ops.base import Op
from cnndsl.ops.norm import LRN, BatchNorm
from cnndsl.ops.pool import AveragePool, MaxPool
from cnndsl.ops.transposed import ConvTranspose

EXAMPLES = Path(__file__).parents[2] / "examples"


def graph_of(name: str) -> Graph:
    return load(EXAMPLES / f"{name}.cnn").graph


def layers(name: str, op: type[Op]) -> list[Op]:
    return [node.op for node in graph_of(name).nodes if isinstance(node.op, op)]


@pytest.mark.parametrize(
    ("name", "op", "readers"),
    [
        # Both norms stand before a pool in bvlc_alexnet, behind and before one in bvlc_googlenet.
        ("alexnet", LRN, {"MaxPool": 2}),
        ("googlenet", LRN, {"Conv": 1, "MaxPool": 1}),
        ("googlenet", Dropout, {"Dense": 1}),
        ("vgg16", Dropout, {"Dense": 2}),
        ("squeezenet", Dropout, {"Conv": 1}),
        ("yolov1", Dropout, {"Dense": 1}),
        # A ReLU behind every up-convolution; skips are taken behind the dropout.
        ("unet", ConvTranspose, {"Relu": 4}),
        ("unet", Relu, {"Conv": 10, "Concat": 4, "Crop MaxPool": 3, "ConvTranspose": 3,
                        "Dropout": 2}),
        ("unet", Dropout, {"Crop MaxPool": 1, "ConvTranspose": 1}),
        # The sum has a ReLU in a ResNet, which both branches of the next block read.
        ("resnet50", Relu, {"Conv": 35, "Add Conv": 12, "MaxPool": 1, "GlobalAveragePool": 1}),
        # No activation where a MobileNet v2 is narrow: 17 of its norms have none.
        ("mobilenet_v2", Relu6, {"DepthwiseConv": 17, "Conv": 17, "GlobalAveragePool": 1}),
        ("mobilenet_v2", BatchNorm, {"Relu6": 35, "Add": 10, "Add Conv": 5, "Conv": 2}),
        # Norm and ReLU come first in a DenseNet, and once more at the end.
        ("densenet121", BatchNorm, {"Relu": 121}),
        ("densenet121", Relu, {"Conv": 119, "MaxPool": 1, "GlobalAveragePool": 1}),
    ],
)  # fmt: skip
def test_what_follows_what(name: str, op: type[Op], readers: dict[str, int]) -> None:
    graph = graph_of(name)
    found = Counter(
        " ".join(sorted({type(reader.op).__name__ for reader in graph.readers[node.output.name]}))
        for node in graph.nodes
        if isinstance(node.op, op)
    )
    assert found == readers


@pytest.mark.parametrize("name", ["darknet19", "darknet53", "yolov1", "yolov3"])
def test_slope_of_darknet(name: str) -> None:
    assert set(layers(name, LeakyRelu)) == {LeakyRelu(slope=0.1)}


@pytest.mark.parametrize("name", ["alexnet", "googlenet"])
def test_constants_of_local_response_normalisation(name: str) -> None:
    assert set(layers(name, LRN)) == {LRN(size=5, alpha=1e-4, beta=0.75, k=1.0)}


def test_inception_v3_as_torchvision_builds_it() -> None:
    assert set(layers("inception_v3", BatchNorm)) == {BatchNorm(epsilon=0.001)}
    averages = layers("inception_v3", AveragePool)
    assert len(averages) == 9
    assert all(isinstance(p, AveragePool) and p.count_padding for p in averages)


@pytest.mark.parametrize(
    ("name", "up", "down"),
    [("nin", 3, 0), ("squeezenet", 3, 0), ("squeezenet1_1", 3, 0), ("googlenet", 4, 9),
     ("conv3d", 1, 4), ("alexnet", 0, 3), ("inception_v3", 0, 4)],
)  # fmt: skip
def test_pools_that_round_up(name: str, up: int, down: int) -> None:
    pools = [p for p in layers(name, MaxPool) if isinstance(p, MaxPool)]
    assert Counter(p.ceil_mode for p in pools) == +Counter({True: up, False: down})
