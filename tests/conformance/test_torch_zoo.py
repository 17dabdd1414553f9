"""Every network of the examples as a torch module: answers of the reference, its own weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conformance.torch_modules import check_agrees
from properties.networks import random_inputs

from cnndsl.driver.load import load
from cnndsl.driver.samples import usual_sizes
from cnndsl.elaborate.inputs import Setting
from cnndsl.ir.graph import Graph
from cnndsl.weights.initialize import initialize

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.cnn"))

SIZES = {
    "darknet53": {"H": 33, "W": 40},
    "inception_v3": {"H": 79, "W": 75},
    "unet": {"h": 12, "w": 13},
    "unet_padded": {"h": 2, "w": 3},
    "yolov3": {"h": 2, "w": 1},
    "wavenet": {"T": 70},
    "bytenet": {"T": 40},
    "gcnn": {"T": 8},
}
"""Sizes for the symbols, where 65 x 50 is not possible or not small."""

SETTINGS: dict[str, dict[str, Setting]] = {
    "alexnet": {"classes": 10},
    "bytenet": {"d": 128},
    "conv3d": {"classes": 10},
    "gcnn": {"words": 2100},
    "vgg11": {"classes": 10},
    "vgg13": {"classes": 10},
    "vgg16": {"classes": 10},
    "vgg19": {"classes": 10},
    "yolov1": {"classes": 10},
}

WRITTEN = {
    "alexnet": [("227, 227", "67, 99")],
    "conv3d": [("16, 112, 112", "16, 32, 48")],
    "gcnn": [("10_000", "100"), ("180_000", "1_800"), ("200_000", "2_000")],
    "vgg11": [("224, 224", "32, 64")],
    "vgg13": [("224, 224", "32, 64")],
    "vgg16": [("224, 224", "32, 64")],
    "vgg19": [("224, 224", "32, 64")],
    "yolov1": [("448, 448", "64, 128")],
}
"""Sizes that are fixed in the program, and smaller ones; claims about shapes are dropped."""


def smaller(name: str, folder: Path) -> Graph:
    """Return the graph of an example, its fixed sizes made smaller."""
    path = EXAMPLES / f"{name}.cnn"
    if name in WRITTEN:
        text = path.read_text(encoding="utf-8")
        for large, small in WRITTEN[name]:
            assert large in text
            text = text.replace(large, small)
        path = folder / path.name
        kept = (li for li in text.splitlines() if not li.startswith("assert shape("))
        path.write_text("\n".join(kept), encoding="utf-8")
    return load(path, SETTINGS.get(name, {})).graph


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_module_gives_the_references_answers(name: str, tmp_path: Path) -> None:
    graph = smaller(name, tmp_path)
    sizes = {s: {"N": 1, "H": 65, "W": 50}.get(s, n) for s, n in usual_sizes(graph).items()}
    sizes |= SIZES.get(name, {})
    rng = np.random.default_rng(3)
    weights = initialize(graph, 0)
    for parameter in graph.parameters:  # norms and biases that do something
        if parameter.spec.fill is not None:
            noise = 0.2 * rng.random(parameter.spec.shape)
            weights[parameter.value.name] += noise.astype(np.float32)
    check_agrees(graph, weights, random_inputs(graph, sizes, 1), relative=1e-8)
