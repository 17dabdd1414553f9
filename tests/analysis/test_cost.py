"""Cost tables: sizes, formulas, shared weights, buffers."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.analysis.cost import Summary, summarize
from cnndsl.driver.load import load

EXAMPLES = Path(__file__).parents[2] / "examples"


def summary_of(tmp_path: Path, text: str, **sizes: int) -> Summary:
    path = tmp_path / "net.cnn"
    path.write_text("network net\n" + text)
    return summarize(load(path).graph, sizes)


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        # torchvision's own metadata: weights.meta["num_params"], and _ops in GMACs.
        ("vgg16", 138_357_544, 15_470_264_320),
        ("resnet18", 11_689_512, 1_814_073_344),
        ("resnet50", 25_557_032, 4_089_184_256),
    ],
)
def test_published_numbers(name: str, params: int, macs: int) -> None:
    summary = summarize(load(EXAMPLES / f"{name}.cnn").graph)
    assert (summary.params, summary.macs) == (params, macs)
    assert summary.flops == 2 * macs
    assert summary.weight_bytes == 4 * params


def test_layers_by_hand(tmp_path: Path) -> None:
    s = summary_of(tmp_path, "input x: float32[N, 3, 10, 12]\noutput y = x -> conv3x3(8) -> bn\n")
    conv, norm = s.layers
    assert (conv.label, conv.op, [str(e) for e in conv.output_shape]) == (
        "conv3x3",
        "conv3x3",
        ["N", "8", "10", "12"],
    )
    assert (conv.params, conv.macs) == (216, 216 * 120)
    assert conv.activation_bytes == 4 * 8 * 120
    assert (norm.params, norm.weight_bytes, norm.buffer_bytes) == (16, 64, 64)
    assert (s.params, s.weight_bytes, s.buffer_bytes) == (232, 928, 64)


def test_sizes_not_given_stay_formulas(tmp_path: Path) -> None:
    text = "input x: float32[N, 1, H, W]\noutput y = x -> conv3x3(2, bias=false)\n"
    assert str(summary_of(tmp_path, text).macs) == "18*H*W"
    assert summary_of(tmp_path, text, H=5, W=7).macs == 18 * 35


def test_given_sizes_come_before_usual_ones(tmp_path: Path) -> None:
    text = "input x: float32[N, 1, H = 4, W = 4]\noutput y = x -> conv1x1(1, bias=false)\n"
    assert summary_of(tmp_path, text).macs == 16
    assert summary_of(tmp_path, text, H=10).macs == 40


def test_shared_weights_count_once_and_their_work_twice(tmp_path: Path) -> None:
    s = summary_of(
        tmp_path,
        "input x: float32[N, 4, 6, 6]\nf = share(conv1x1(4, bias=false))\noutput y = x -> f -> f\n",
    )
    assert (s.params, s.macs) == (16, 2 * 16 * 36)
    assert [layer.params for layer in s.layers] == [16, 0]


def test_batch_counts_as_one_sample(tmp_path: Path) -> None:
    text = "input x: float32[B, 2, 3, 3]\noutput y = x -> conv1x1(1, bias=false)\n"
    s = summary_of(tmp_path, text, B=50)
    assert s.macs == 18
    assert str(s.layers[0].output_shape[0]) == "B"
