"""Cost tables: sizes, formulas, shared weights, buffers."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cnndsl.analysis.cost import Summary, fold, summarize
from cnndsl.driver.load import load
from cnndsl.types.extents import evaluate_extent

EXAMPLES = Path(__file__).parents[2] / "examples"


def summary_of(tmp_path: Path, text: str, **sizes: int) -> Summary:
    path = tmp_path / "net.cnn"
    path.write_text("network net\n" + text)
    return summarize(load(path).graph, sizes)


@pytest.mark.parametrize(
    ("name", "params", "gmacs"),
    [
        # torchvision's own metadata: weights.meta["num_params"], and _ops in GMACs.
        ("vgg11", 132_863_336, 7.609),
        ("vgg13", 133_047_848, 11.308),
        ("vgg16", 138_357_544, 15.470),
        ("vgg19", 143_667_240, 19.632),
        ("resnet18", 11_689_512, 1.814),
        ("resnet34", 21_797_672, 3.664),
        ("resnet50", 25_557_032, 4.089),
        ("resnet101", 44_549_160, 7.801),
        ("resnet152", 60_192_808, 11.514),
        ("resnext50_32x4d", 25_028_904, 4.230),
        ("densenet121", 7_978_856, 2.834),
        ("mobilenet_v2", 3_504_872, 0.301),
        ("squeezenet1_1", 1_235_496, 0.349),
    ],
)
def test_published_numbers(name: str, params: int, gmacs: float) -> None:
    summary = summarize(load(EXAMPLES / f"{name}.cnn").graph)
    assert isinstance(summary.macs, int)
    assert (summary.params, round(summary.macs / 1e9, 3)) == (params, gmacs)
    assert summary.flops == 2 * summary.macs
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


def test_a_batch_of_fixed_size_counts_whole_and_is_said(tmp_path: Path) -> None:
    text = "input x: float32[8, 2, 3, 3]\noutput y = x -> conv1x1(1, bias=false)\n"
    s = summary_of(tmp_path, text)
    assert (s.macs, s.samples, s.batch_text) == (8 * 18, (("x", 8),), "a batch of 8")
    assert summary_of(tmp_path, text.replace("8,", "N,")).batch_text == ""
    text += "input z: float32[2*N, 2, 3, 3]\noutput w = z -> conv1x1(1, bias=false)\n"
    s = summary_of(tmp_path, text)
    assert (s.macs, s.batch_text) == ((8 + 2) * 18, "batches of 8 (x), 2 (z)")


def test_a_symbol_of_other_axes_too_is_no_batch(tmp_path: Path) -> None:
    text = "input x: float32[N, 2, N, 3]\noutput y = x -> conv1x1(1, bias=false)\n"
    s = summary_of(tmp_path, text)
    assert (str(s.macs), s.batch_text) == ("6*N*N", "a batch of N")
    assert summary_of(tmp_path, text, N=5).macs == 6 * 25


def test_operations_outside_the_macs_and_bytes_moved_by_hand(tmp_path: Path) -> None:
    s = summary_of(
        tmp_path,
        "input x: float32[N, 3, 10, 12]\n"
        "h = x -> conv3x3(8) -> bn -> relu -> maxpool2x2\n"
        "output y = h + h -> flatten -> dense(5)\n",
    )
    conv, norm, relu, pool, add, _, dense = s.layers
    big, small = 8 * 10 * 12, 8 * 5 * 6
    assert [layer.other_operations for layer in s.layers] == [
        0, 2 * big, big, 3 * small, small, 0, 5
    ]  # fmt: skip
    assert s.other_operations == 3 * big + 4 * small + 5
    assert conv.bytes_moved == 4 * (3 * 120 + big + 216)
    assert norm.bytes_moved == 4 * (2 * big + 4 * 8)
    assert relu.bytes_moved == 4 * 2 * big
    assert pool.bytes_moved == 4 * (big + small)
    # One operand, though it is used twice, is read once.
    assert add.bytes_moved == 4 * 2 * small
    assert dense.bytes_moved == 4 * (small + 5 + 5 * small + 5)
    assert s.bytes_moved == sum(int(str(layer.bytes_moved)) for layer in s.layers)
    assert dense.arithmetic_intensity == 2 * 5 * small / dense.bytes_moved
    assert s.without_operations == {"none: it moves data only": ("flatten",)}


def test_an_embedding_reads_the_vectors_that_are_looked_up(tmp_path: Path) -> None:
    s = summary_of(tmp_path, "input x: int64[N, 6]\noutput y = x -> embedding(1000, 16)\n")
    assert s.params == 16_000
    assert s.bytes_moved == 8 * 6 + 4 * 2 * (6 * 16)


def test_every_use_of_shared_weights_reads_them(tmp_path: Path) -> None:
    s = summary_of(
        tmp_path,
        "input x: float32[N, 4, 6, 6]\nf = share(conv1x1(4, bias=false))\noutput y = x -> f -> f\n",
    )
    assert [layer.bytes_moved for layer in s.layers] == [4 * (2 * 144 + 16)] * 2


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v1", "unet_padded", "wavenet", "yolov3"])
def test_formulas_give_the_numbers(name: str) -> None:
    """Formulas, worked out for the usual sizes later, are what these sizes cost."""
    graph = load(EXAMPLES / f"{name}.cnn").graph
    numbers, formulas = summarize(graph), summarize(replace(graph, usual_sizes=()))
    sizes = dict(graph.usual_sizes)
    assert formulas.sizes == ()
    for what in ("macs", "other_operations", "activation_bytes", "bytes_moved"):
        formula = getattr(formulas, what)
        assert not isinstance(formula, int)
        assert evaluate_extent(formula, sizes) == getattr(numbers, what)
    assert formulas.arithmetic_intensity is None


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["resnet50", "wavenet", "yolov3", "lenet"])
def test_folding_moves_layers_into_rows_and_loses_none(name: str, depth: int) -> None:
    summary = summarize(load(EXAMPLES / f"{name}.cnn").graph)
    rows = fold(summary.layers, depth)
    assert len({row.label for row in rows}) == len(rows)
    assert sum(row.layers for row in rows) == len(summary.layers)
    for what in ("params", "buffers", "macs", "other_operations", "activation_bytes"):
        assert sum(getattr(row, what) for row in rows) == getattr(summary, what)
    assert all(row.label.count(".") < depth for row in rows)


def test_the_time_is_linear_in_the_layers(tmp_path: Path) -> None:
    """Counted in calls of functions, which no other process disturbs."""

    def calls(units: int) -> int:
        text = (
            "input x: float32[N, 8, 16, 16]\nblock unit(x, c) {\n"
            "  return (x -> conv3x3(c) -> bn) + x -> relu\n}\n"
            f"output y = x -> unit(8) ** {units}\n"
        )
        count = 0

        def count_call(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += event == "call"

        sys.setprofile(count_call)
        try:
            layers = len(summary_of(tmp_path, text).layers)
        finally:
            sys.setprofile(None)
        assert layers == 4 * units
        return count

    calls(10)
    few, many = calls(50), calls(250)
    assert (many - few) / 200 < 1.2 * few / 50
