"""`cnndsl compare`: totals side by side, ratios, and the layers that differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

HEAD = "network {}\ninput x: float32[N, 3, H = 16, W = 16]\n"
A = HEAD.format("a") + "output y = x -> conv3x3(8) -> relu -> conv3x3(8) -> relu\n"
WIDER = HEAD.format("b") + "output y = x -> conv3x3(8) -> relu -> conv3x3(16, stride=2) -> relu\n"
LONGER = HEAD.format("c") + (
    "output y = x -> conv3x3(8) -> bn -> relu -> conv3x3(8) -> relu -> conv5x5(8) -> relu\n"
)


@pytest.fixture
def run(cnndsl: Any) -> Any:
    for name, text in (("a", A), ("b", WIDER), ("c", LONGER)):
        Path(f"{name}.cnn").write_text(text)
    return lambda *arguments: cnndsl("compare", *arguments)


def test_totals_and_ratios(run: Any) -> None:
    out = run("a.cnn", "b.cnn", "--totals").out
    table = {line.split("  ")[0].strip(): line.split() for line in out.splitlines()}
    params_a, params_b = 224 + 584, 224 + 1168
    assert table["params"][1:] == [f"{params_a}", f"{params_b:,}", f"x{params_b / params_a:.3f}"]
    macs_a, macs_b = 256 * (216 + 576), 256 * 216 + 64 * 1152
    assert table["MACs"][1:] == [f"{macs_a:,}", f"{macs_b:,}", f"x{macs_b / macs_a:.3f}"]
    assert table["receptive field"][-2:] == ["5", "5"]
    assert table["jump"][-2:] == ["1", "2"]
    assert "from a to b" not in out


def test_equal_networks(run: Any) -> None:
    out = run("a.cnn", "a.cnn").out
    assert "from a.cnn (1) to a.cnn (2): all 4 layers are the same" in out


def test_a_changed_layer_says_how(run: Any) -> None:
    lines = run("a.cnn", "b.cnn").out.splitlines()
    assert "from a to b: 2 layers the same, 2 changed, 0 fewer, 0 more" in lines
    assert (
        "~ conv3x3_2: out_channels 8 -> 16, stride 1 -> 2, shape [N, 8, 16, 16] -> [N, 16, 8, 8], "
        "params 584 -> 1,168, MACs 147,456 -> 73,728"
    ) in lines


def test_layers_put_in_are_found_though_labels_shift(run: Any) -> None:
    lines = run("a.cnn", "c.cnn").out.splitlines()
    changes = [line for line in lines if line[:2] in ("+ ", "- ", "~ ")]
    assert changes == [
        "~ conv3x3: bias true -> false, params 224 -> 216",
        "+ bn: bn [N, 8, 16, 16], 16 params",
        "+ conv5x5: conv5x5 [N, 8, 16, 16], 1,608 params, 409,600 MACs",
        "+ relu_3: relu [N, 8, 16, 16]",
    ]
    back = run("c.cnn", "a.cnn").out.splitlines()
    assert sum(line.startswith("- ") for line in back) == 3


def test_json(run: Any) -> None:
    data = run("a.cnn", "b.cnn", "c.cnn", "--json").json
    assert [n["network"] for n in data["networks"]] == ["a", "b", "c"]
    for network in data["networks"]:
        assert network["peak_memory_bytes"] > 0
        assert network["last_map"] is not None
    assert [c["same"] for c in data["changes"]] == [2, 2 + 1]
    change = data["changes"][0]["layers"][0]
    assert change["before"]["name"] == change["after"]["name"] == "conv3x3_2"
    assert {"what": "stride", "before": "1", "after": "2"} in change["differences"]
    assert run("a.cnn", "b.cnn", "--totals", "--json").json["changes"] == [None]


def test_a_batch_of_fixed_size_is_said(run: Any) -> None:
    text = Path("a.cnn").read_text()
    Path("eight.cnn").write_text(text.replace("network a", "network eight").replace("[N,", "[8,"))
    assert "\neight: figures for a batch of 8\n" in run("a.cnn", "eight.cnn", "--totals").out
    data = run("a.cnn", "eight.cnn", "--json").json
    assert [n["samples"] for n in data["networks"]] == [{"x": 1}, {"x": 8}]
    assert data["networks"][1]["macs"] == 8 * data["networks"][0]["macs"]


def test_what_cannot_be_planned_is_said(run: Any) -> None:
    Path("s.cnn").write_text(
        "network s\ninput x: float32[N, 3, H, H]\noutput y = x -> conv3x3(8)\n"
    )
    out = run("a.cnn", "s.cnn", "--totals").out
    assert "s: no peak memory: the size H must be known to plan memory" in out
    assert "216*H^2" in out or "216*H*H" in out


def test_one_program_is_not_a_comparison(run: Any) -> None:
    outcome = run("a.cnn")
    assert outcome.code == 2
    assert "give at least two programs" in outcome.err


def test_no_colour_outside_a_terminal(run: Any) -> None:
    assert "\x1b" not in run("a.cnn", "c.cnn").out


def test_a_block_that_is_only_in_one_is_one_line(run: Any) -> None:
    text = HEAD + (
        "block unit(x, c) {{\n  h = x -> conv3x3(c) -> bn -> relu\n  return h + x -> relu\n}}\n"
        "block stage(c, n) = conv1x1(c) -> unit(c) ** n\n"
        "output y = x -> stage(8, {}) -> conv1x1(2)\n"
    )
    Path("two.cnn").write_text(text.format("two", 2))
    Path("four.cnn").write_text(text.format("four", 4))
    lines = run("two.cnn", "four.cnn").out.splitlines()
    (params, macs) = (2 * (576 + 16), 2 * 576 * 256)
    found = [line for line in lines if line[:2] in ("+ ", "- ", "~ ")]
    assert sum("block unit of 5 layers [N, 8, 16, 16], 592 params" in x for x in found) == 2
    assert len(found) == 2
    assert all(line.startswith("+ stage.unit") for line in found)
    data = run("two.cnn", "four.cnn", "--json").json
    assert sum(c["after"]["params"] for c in data["changes"][0]["layers"]) == params
    assert sum(c["after"]["macs"] for c in data["changes"][0]["layers"]) == macs
    Path("none.cnn").write_text(
        "network none\ninput x: float32[N, 3, H = 16, W = 16]\noutput y = x -> conv1x1(2)\n"
    )
    lines = run("two.cnn", "none.cnn").out.splitlines()
    assert "- stage: block stage of 11 layers [N, 8, 16, 16], 1,216 params, 301,056 MACs" in lines
