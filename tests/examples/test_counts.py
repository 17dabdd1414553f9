"""The examples compile, and count what the literature counts, to the last digit."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.analysis.cost import summarize
from cnndsl.driver.load import load
from cnndsl.ir.verifier import verify
from cnndsl.ops.conv import Conv, DepthwiseConv

EXAMPLES = Path(__file__).parents[2] / "examples"

COUNTS = {
    # torchvision's metadata agrees with these
    "vgg11": (132_863_336, 7_609_090_048),
    "vgg13": (133_047_848, 11_308_466_176),
    "vgg16": (138_357_544, 15_470_264_320),
    "vgg19": (143_667_240, 19_632_062_464),
    "inception_v3": (23_834_568, 5_713_216_096),
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet34": (21_797_672, 3_663_761_408),
    "resnet50": (25_557_032, 4_089_184_256),
    "resnet101": (44_549_160, 7_801_405_440),
    "resnet152": (60_192_808, 11_513_626_624),
    "resnext50_32x4d": (25_028_904, 4_230_479_872),
    "mobilenet_v2": (3_504_872, 300_774_272),
    "squeezenet": (1_248_424, 818_924_576),
    "squeezenet1_1": (1_235_496, 349_151_936),
    "densenet121": (7_978_856, 2_834_161_664),
    # layer by layer from the authors' Caffe models, and the paper's table for MobileNet
    "alexnet": (60_965_224, 724_406_816),
    "nin": (7_595_176, 1_100_188_800),
    "nin_cifar10": (966_986, 222_486_528),
    "googlenet": (6_998_552, 1_582_671_872),
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
    "selu_net": (3_510_858, 70_194_176),
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


@pytest.mark.parametrize(
    ("name", "size", "params", "macs"),
    [
        ("googlenet", 224, 13_378_280, 1_591_044_096),
        ("inception_v3", 299, 27_161_264, 5_713_216_096 + 2 * 2_457_600 + 768_000),
    ],
)
def test_auxiliary_heads_can_be_switched_on(name: str, size: int, params: int, macs: int) -> None:
    path = EXAMPLES / f"{name}.cnn"
    assert [o.name for o in load(path).graph.outputs] == ["logits"]
    loaded = load(path, {"auxiliary": True, "H": size, "W": size})
    assert loaded.warnings == ()
    assert len(loaded.graph.outputs) > 1
    summary = summarize(loaded.graph, {})
    assert (summary.params, summary.macs) == (params, macs)


@pytest.mark.parametrize(
    ("name", "size", "macs"),
    [("inception_v3", 224, 2_837_921_120), ("nin", 227, 1_105_996_320)],
)
def test_other_image_sizes(name: str, size: int, macs: int) -> None:
    graph = load(EXAMPLES / f"{name}.cnn").graph
    assert summarize(graph, {"H": size, "W": size}).macs == macs


def conv_macs(name: str) -> list[tuple[Conv | DepthwiseConv, int]]:
    graph = load(EXAMPLES / f"{name}.cnn").graph
    costs = {cost.label: cost.macs for cost in summarize(graph, {}).layers}
    return [(n.op, costs[n.label]) for n in graph.nodes if isinstance(n.op, (Conv, DepthwiseConv))]


def test_macs_of_each_convolution_of_alexnet() -> None:
    macs = [macs for _, macs in conv_macs("alexnet")]
    assert macs == [105_415_200, 223_948_800, 149_520_384, 112_140_288, 74_760_192]


def test_macs_of_mobilenet_are_in_its_pointwise_convolutions() -> None:
    """The shares of Table 2 of the paper: 94.86 % in 1x1, 3.06 % in depthwise convolutions."""
    convs = conv_macs("mobilenet_v1")
    pointwise = sum(macs for op, macs in convs if op.kernel == (1, 1))
    depthwise = sum(macs for op, macs in convs if isinstance(op, DepthwiseConv))
    assert round(100 * pointwise / 568_740_352, 2) == 94.86
    assert round(100 * depthwise / 568_740_352, 2) == 3.06


OTHER = {
    # settings that every claim outside the published setting must survive
    "bytenet": {"d": 64, "sets": 2, "T": 100},
    "gcnn": {"words": 300_000},
    "googlenet": {"auxiliary": True, "H": 224, "W": 224, "classes": 10},
    "unet": {"classes": 3, "h": 20},
    "unet_padded": {"classes": 3, "h": 5},
    "wavenet": {"stacks": 2, "T": 500},
    "yolov1": {"classes": 3, "boxes": 2},
    "yolov3": {"classes": 3, "h": 5},
}


@pytest.mark.parametrize("name", COUNTS)
def test_examples_may_be_set_otherwise(name: str) -> None:
    graph = load(EXAMPLES / f"{name}.cnn").graph
    settings = OTHER.get(name, {"classes": 7, **({"H": 320} if "H" in graph.symbols else {})})
    assert load(EXAMPLES / f"{name}.cnn", settings).warnings == ()
