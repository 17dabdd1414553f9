"""Every example at full size: how far it sees, and that its two compiled forms agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from conformance.modules import module_of

from cnndsl.analysis.cost import summarize
from cnndsl.analysis.receptive_field import receptive_fields
from cnndsl.backends.onnx.emit import emit
from cnndsl.docs_gallery import last_map
from cnndsl.driver.load import load
from cnndsl.driver.samples import random_inputs, usual_sizes
from cnndsl.driver.verify import compare
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.passes.pipeline import optimize
from cnndsl.weights.initialize import initialize

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.cnn"))


@dataclass(frozen=True)
class Reach:
    """What a unit sees; one number stands for all axes alike."""

    receptive_field_px: int | tuple[int, ...]
    jump_px: int | tuple[int, ...]
    effective_padding_px: int | None = None


REACH: dict[str, Reach | dict[str, Reach]] = {
    # From the tables of google-research/receptive_field, or confirmed by gradients of torchvision's
    # networks; the effective padding is theirs, too.
    "alexnet": Reach(163, 16, 64),
    "vgg11": Reach(134, 16, 59),
    "vgg13": Reach(140, 16, 62),
    "vgg16": Reach(196, 16, 90),
    "vgg19": Reach(252, 16, 118),
    "nin": Reach(195, 32, 64),
    "nin_cifar10": Reach(27, 4, 10),
    "googlenet": Reach(715, 32, 327),
    "inception_v3": Reach(1311, 32, 618),
    "resnet18": Reach(435, 32, 217),
    "resnet34": Reach(899, 32, 449),
    "resnet50": Reach(427, 32, 213),
    "resnet101": Reach(971, 32, 485),
    "resnet152": Reach(1451, 32, 725),
    "resnext50_32x4d": Reach(427, 32),
    "mobilenet_v1": Reach(315, 32, 157),
    "mobilenet_v2": Reach(491, 32, 245),
    "squeezenet": Reach(155, 16, 60),
    "squeezenet1_1": Reach(207, 16, 88),
    "densenet121": Reach(2071, 32, 1021),
    # Darknet's cfg files, by the recurrence over their layers.
    "darknet19": Reach(374, 32),
    "darknet53": Reach(725, 32),
    "yolov1": Reach(877, 64),
    "yolov3": {"large": Reach(917, 32), "middle": Reach(965, 16), "small": Reach(989, 8)},
    # The union over phases; each phase sees 188 or 204.
    "unet": Reach(215, 1),
    "unet_padded": Reach(215, 1),
    # (kernel - 1) * sum of dilations + 1, and one more for the first causal convolution.
    "wavenet": Reach(5 * 1023 + 1 + 1, 1),
    "bytenet": Reach(6 * 2 * 31 + 1, 1),
    "gcnn": Reach(3 * 5 + 4 * 4 + 5 * 3 + 1, 1),
    # By hand.
    "lenet": Reach(14, 2),
    "selu_net": Reach(1 + 2 * 2 * (1 + 2 + 4), 8),
    "inception": Reach(7 + 2 * 8 + 4 + 2 * 16, 4),
    "conv3d": Reach((68, 134, 134), (8, 16, 16)),
}

DARKNET = {
    "darknet19": 20_856_776,
    "darknet53": 41_645_640,
    "yolov1": 197_328_243,
    "yolov3": 62_001_757,
}
"""Parameters as Darknet counts them, with the running statistics of batch norms."""

SMALLER = {"wavenet": {"T": 6000}}
"""ONNX Runtime takes ten seconds for one of sound; this is still more than WaveNet sees."""


@pytest.mark.parametrize("name", NAMES)
def test_receptive_field_and_jump_at_the_last_convolution(name: str) -> None:
    graph = load(EXAMPLES / f"{name}.cnn").graph
    fields = receptive_fields(graph)
    for output in graph.outputs:
        row = REACH[name]
        wanted = row[output.name] if isinstance(row, dict) else row
        found = fields.of(last_map(graph, fields, output.value))
        assert found is not None
        axes = len(found.hull)
        assert found.receptive_field_px == _each(wanted.receptive_field_px, axes)
        assert found.jump_px == _each(wanted.jump_px, axes)
        if wanted.effective_padding_px is not None:
            assert {axis.effective_padding for axis in found.hull} == {wanted.effective_padding_px}


def _each(number: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    return number if isinstance(number, tuple) else (number,) * axes


@pytest.mark.parametrize("name", ["unet", "unet_padded"])
def test_unet_sees_more_or_less_by_phase(name: str) -> None:
    graph = load(EXAMPLES / f"{name}.cnn").graph
    fields = receptive_fields(graph)
    for axis in fields.fields["mask"].hull:
        assert (set(axis.phase_sizes), len(axis.phase_sizes)) == ({188, 204}, 16)
    assert fields.fields["bottom"].receptive_field_px == (140, 140)
    assert fields.fields["bottom"].jump_px == (16, 16)


@pytest.mark.parametrize("name", DARKNET)
def test_darknet_counts_running_statistics_too(name: str) -> None:
    summary = summarize(load(EXAMPLES / f"{name}.cnn").graph, {})
    assert summary.params + summary.buffer_bytes // 4 == DARKNET[name]


def test_parts_of_language_models() -> None:
    """A residual block of ByteNet; convolutions and projections of the gated network."""
    parts = {
        name: summarize(load(EXAMPLES / f"{name}.cnn").graph, {}).layers
        for name in ("bytenet", "gcnn")
    }
    for number in range(1, 31):
        set_ = "set" if number <= 5 else f"set_{(number + 4) // 5}"
        residual = "residual" if number % 5 == 1 else f"residual_{(number - 1) % 5 + 1}"
        inside = [la for la in parts["bytenet"] if la.label.startswith(f"{set_}.{residual}.")]
        assert sum(layer.params for layer in inside) == 1_841_152
    gated = [la for la in parts["gcnn"] if la.label == "conv1" or la.label.startswith("gated")]
    assert sum(layer.params for layer in gated) == 102_116_434


def test_blocks_of_bytenet_at_the_width_of_its_translation_model(tmp_path: Path) -> None:
    text = (EXAMPLES / "bytenet.cnn").read_text(encoding="utf-8")
    lines = [
        line
        for line in text.splitlines()
        if not line.startswith(("assert params ==", "assert macs"))
    ]
    path = tmp_path / "bytenet.cnn"
    path.write_text("\n".join(lines), encoding="utf-8")
    summary = summarize(load(path, {"d": 800}).graph, {})
    blocks = [layer.params for layer in summary.layers if layer.label.startswith("set")]
    assert sum(blocks) == 134_688_000


@pytest.mark.parametrize(("size", "macs"), [(608, 70_345_950_208), (320, 19_486_412_800)])
def test_yolov3_at_its_other_published_sizes(size: int, macs: int) -> None:
    graph = load(EXAMPLES / "yolov3.cnn").graph
    assert summarize(graph, {"h": size // 32, "w": size // 32}).macs == macs


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_module_and_the_onnx_model_agree(name: str) -> None:
    graph = load(EXAMPLES / f"{name}.cnn").graph
    sizes = usual_sizes(graph) | SMALLER.get(name, {})
    weights = random_weights(graph)
    inputs = random_inputs(graph, 1, sizes)
    found = run_module(graph, weights, inputs)
    wanted = run_onnx(emit(graph, weights), inputs)
    assert list(found) == list(wanted)
    for output, value in wanted.items():
        assert np.isfinite(value).all()
        assert np.ptp(value) > 1e-3 * np.abs(value).max(), "nothing that could differ"
        difference = compare("numba-cpu", output, found[output], value)
        assert difference.agrees, f"{output} is off by {difference.relative:.1e} of its largest"


def random_weights(graph: Graph) -> dict[str, Array]:
    """Return weights as training begins with, but norms and biases that do something."""
    rng = np.random.default_rng(2)
    weights = initialize(graph, 0)
    for parameter in graph.parameters:
        name, spec = parameter.value.name, parameter.spec
        if spec.role == "running_var":
            weights[name] = rng.uniform(0.8, 1.25, spec.shape).astype(np.float32)
        elif spec.fill is not None:
            shift = 0.05 * rng.standard_normal(spec.shape)
            weights[name] = (spec.fill + shift).astype(np.float32)
    return weights


def run_module(
    graph: Graph, weights: Mapping[str, Array], inputs: Mapping[str, Array]
) -> dict[str, Array]:
    module: Any = module_of(optimize(graph).graph)
    results = module.load(weights, threads=2)(**inputs)
    return results if isinstance(results, dict) else {next(iter(module.OUTPUTS)): results}


def run_onnx(model: bytes, inputs: Mapping[str, Array]) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    del model
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))
