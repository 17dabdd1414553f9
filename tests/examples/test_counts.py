"""The examples compile, and count what the literature counts, to the last digit."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.analysis.cost import summarize
from cnndsl.driver.load import load
from cnndsl.ir.verifier import verify
from cnndsl.ops.conv import Conv

EXAMPLES = Path(__file__).parents[2] / "examples"

COUNTS = {
    # torchvision's metadata agrees with the first four
    "vgg16": (138_357_544, 15_470_264_320),
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet50": (25_557_032, 4_089_184_256),
    "mobilenet_v1": (4_231_976, 568_740_352),
    "unet_padded": (31_037_698, 48_171_581_440),
    "unet": (31_030_658, 150_428_424_448),
    # Darknet's own counts, less the running statistics of its batch norms
    "darknet19": (20_842_376, 3_645_374_464),
    "darknet53": (41_609_928, 9_285_115_904),
    "yolov1": (197_301_875, 20_210_729_728),
    "yolov3": (61_949_149, 32_932_037_632),
    # of ibab/tensorflow-wavenet; a MAC for every weight and sample
    "wavenet": (1_515_968, 1_484_800 * 16_000),
    # 30 blocks, the embedding, the last layer with its bias
    "bytenet": (30 * 1_841_152 + 256 * 1024 + 1025 * 256, 28_319_940_608),
    # as fairseq builds it: embedding, convolutions and projections, adaptive softmax
    "gcnn": (267_744 * 280 + 102_116_434 + 52_190_208, 9_873_675_264),
    # counted by hand, layer by layer
    "lenet": (61_706, 416_520),
    "inception": (1_908_650, 335_143_040),
    "conv3d": (19_709_925, 9_897_060_352),
}


def test_every_example_is_counted() -> None:
    assert {p.stem for p in EXAMPLES.glob("*.cnn")} == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_macs(name: str) -> None:
    loaded = load(EXAMPLES / f"{name}.cnn")
    summary = summarize(loaded.graph, {})
    assert (summary.params, summary.macs) == COUNTS[name]
    assert loaded.warnings == ()
    verify(loaded.graph)


@pytest.mark.parametrize("name", COUNTS)
def test_every_example_claims_its_counts(name: str) -> None:
    text = (EXAMPLES / f"{name}.cnn").read_text(encoding="utf-8")
    params, macs = COUNTS[name]
    assert f"assert params == {params:_}" in text
    assert f"assert macs == {macs:_}" in text


@pytest.mark.parametrize("name", COUNTS)
def test_every_example_fits_a_page(name: str) -> None:
    lines = (EXAMPLES / f"{name}.cnn").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= (25 if name == "resnet50" else 40)
    assert max(map(len, lines)) <= 110


@pytest.mark.parametrize(
    ("alpha", "params", "macs"),
    [
        (0.75, 2_585_560, 325_400_448),
        (0.5, 1_331_592, 149_497_088),
        (0.25, 470_072, 41_030_272),
    ],
)
def test_narrow_mobilenets(alpha: float, params: int, macs: int) -> None:
    graph = load(EXAMPLES / "mobilenet_v1.cnn", {"alpha": alpha}).graph
    summary = summarize(graph, {})
    assert (summary.params, summary.macs) == (params, macs)


@pytest.mark.parametrize(
    ("size", "macs"), [(192, 418_121_728), (160, 290_675_200), (128, 186_400_768)]
)
def test_mobilenet_on_smaller_images(size: int, macs: int) -> None:
    graph = load(EXAMPLES / "mobilenet_v1.cnn").graph
    assert summarize(graph, {"H": size, "W": size}).macs == macs


def test_resnet_stages_halve_a_symbolic_map() -> None:
    graph = load(EXAMPLES / "resnet18.cnn").graph
    assert str(graph.types["logits"]) == "float32[N, 1000]"
    assert graph.usual_sizes == (("H", 224), ("W", 224))
    stem = next(n for n in graph.nodes if isinstance(n.op, Conv))
    assert graph.symbols == ("N", "H", "W")
    for size in (224, 225, 97):
        at = {"N": 1, "H": size, "W": 64}
        assert stem.output.type.at(at) == (1, 64, (size - 1) // 2 + 1, 32)
