"""`cnndsl summary`: columns, folding, sorting, CSV and JSON, on a program with blocks."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from cnndsl.cli.columns import COLUMNS
from cnndsl.cli.summary import outline

BLOCKS = """network blocks
input x: float32[N, 8, H = 16, W = 16]
block unit(x) {
  h = x -> conv3x3(8) -> bn -> relu
  return h + x -> relu
}
block stage() = unit -> unit
h = x -> conv1x1(8) -> stage -> maxpool2x2 -> stage
output y = h -> global_avgpool -> dense(5)
"""
UNIT = 8 * 8 * 9 + 16


@pytest.fixture
def run(cnndsl: Any) -> Any:
    Path("blocks.cnn").write_text(BLOCKS)
    return lambda *arguments: cnndsl("summary", "blocks.cnn", *arguments)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_columns_are_shown_as_asked(run: Any) -> None:
    out = run("--columns", "macs, layer,flops").out
    rows = [line.split() for line in out.splitlines()]
    assert ["MACs", "layer", "FLOPs"] in rows
    assert ["147,456", "stage.unit.conv3x3", "294,912"] in rows


def test_an_unknown_column_is_a_usage_error_with_the_nearest(run: Any) -> None:
    for option in ("--columns", "--sort"):
        outcome = run(option, "mac")
        assert outcome.code == 2
        assert "there is no column 'mac': did you mean macs?" in outcome.err
    assert "columns are layer, op, shape" in run("--columns", "zzz").err


def test_a_column_named_twice_is_a_usage_error(run: Any) -> None:
    found = run("--columns", "layer,macs,macs")
    assert (found.code, "column 'macs' is named twice" in found.err) == (2, True)


def test_help_names_every_column(run: Any) -> None:
    out = run("--help").out
    assert all(f"\n    {name} " in out for name in COLUMNS)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_folding_keeps_the_totals(run: Any, depth: int) -> None:
    whole, folded = run("--json").json, run("--json", "--depth", depth).json
    for what in ("params", "macs", "other_operations", "activation_bytes", "bytes_moved"):
        assert folded[what] == whole[what]
        assert sum(layer[what] for layer in folded["layers"]) == whole[what]
    assert sum(layer["layers"] for layer in folded["layers"]) == len(whole["layers"])
    if depth == 3:
        assert folded == whole


def test_rows_of_folded_blocks(run: Any) -> None:
    found = rows(run("--csv", "--depth", 2).out)
    labels = [row["layer"] for row in found]
    assert labels[:4] == ["conv1x1", "stage.unit", "stage.unit_2", "maxpool2x2"]
    unit = found[1]
    assert (unit["op"], unit["layers"], unit["params"]) == ("unit", "5", str(UNIT))
    # 2 for the norm, 1 for the sum, 1 for each relu.
    assert unit["other"] == str(5 * 8 * 16 * 16)
    assert unit["rf"] == "3"
    outermost = rows(run("--csv", "--depth", 1).out)
    assert outermost[1]["layer"] == "stage"
    assert outermost[1]["shape"] == "[N, 8, 16, 16]"
    assert outermost[1]["params"] == str(2 * UNIT)
    live = [int(row["peak"]) for row in rows(run("--csv").out) if row["peak"]]
    assert max(int(row["peak"]) for row in outermost if row["peak"]) == max(live)


def test_sorting_puts_the_largest_first_and_text_in_order(run: Any) -> None:
    macs = [int(row["macs"]) for row in rows(run("--csv", "--sort", "macs").out)]
    assert macs == sorted(macs, reverse=True)
    words = [row["op"] for row in rows(run("--csv", "--sort", "op").out)]
    assert words == sorted(words)
    fields = [row["rf"] for row in rows(run("--csv", "--sort", "rf").out)]
    assert fields[:2] == ["all", "all"]
    assert fields[-1] == "1"
    live = [row["peak"] for row in rows(run("--csv", "--sort", "peak").out)]
    known = [int(n) for n in live if n]
    assert live[: len(known)] == [str(n) for n in sorted(known, reverse=True)]
    table = run("--sort", "peak").out.splitlines()
    largest = rows(run("--csv", "--sort", "peak").out)[0]["layer"]
    (rule,) = (place for place, line in enumerate(table) if line.startswith(" ──"))
    assert table[rule + 1].split()[0] == largest


def test_formulas_come_last_when_sorted_and_stay_in_csv(cnndsl: Any) -> None:
    Path("symbolic.cnn").write_text(
        "network symbolic\ninput x: float32[N, 3, H, W]\n"
        "output y = x -> conv3x3(4, stride=2) -> relu -> global_avgpool -> dense(2)\n"
    )
    found = rows(cnndsl("summary", "symbolic.cnn", "--csv", "--sort", "macs").out)
    assert [row["layer"] for row in found] == ["dense", "relu", "global_avgpool", "conv3x3"]
    assert found[-1]["macs"] == "108*((H + 1) // 2)*((W + 1) // 2)"
    assert all(row["peak"] == "" for row in found)
    data = cnndsl("summary", "symbolic.cnn", "--json").json
    assert data["peak_memory_bytes"] is None
    assert data["peak_memory_missing"] == "the size H must be known to plan memory"
    assert data["arithmetic_intensity"] is None
    outcome = cnndsl("summary", "symbolic.cnn", "--columns", "peak")
    assert outcome.code == 1
    assert "CNN207" in outcome.err
    known = cnndsl("summary", "symbolic.cnn", "--json", "--set", "H=9", "--set", "W=8").json
    assert known["macs"] == 108 * 5 * 4 + 8
    assert known["peak_memory_bytes"] > 0


def test_csv_holds_every_column_and_plain_numbers(run: Any) -> None:
    out = run("--csv").out
    assert out.splitlines()[0] == ",".join(COLUMNS)
    first = rows(out)[0]
    assert first["macs"] == str(64 * 256)
    assert first["buffers"] == "0"
    assert run("--csv", "--columns", "layer,macs").out.splitlines()[1] == "conv1x1,16384"
    assert run("--csv", "--json").code == 2


def test_json_has_all_fields(run: Any) -> None:
    data = run("--json").json
    layer = data["layers"][1]
    assert layer["name"] == "stage.unit.conv3x3"
    assert layer["receptive_field_px"] == [3, 3]
    assert layer["jump_px"] == [1, 1]
    assert layer["sees_whole_map"] is False
    assert layer["other_operations_rule"] == "1 addition per output element with a bias"
    assert layer["bytes_moved"] == 4 * (2 * 8 * 256 + 8 * 8 * 9)
    assert layer["arithmetic_intensity"] == layer["flops"] / layer["bytes_moved"]
    assert sum(x["macs_share"] for x in data["layers"]) == pytest.approx(1)
    assert data["peak_memory_bytes"] >= max(x["live_bytes"] or 0 for x in data["layers"])
    assert data["peak_memory_missing"] is None
    assert data["receptive_field_in"] == "x"
    assert data["not_counted"][0].startswith("negation")


def test_a_small_share_does_not_read_zero(cnndsl: Any) -> None:
    Path("small.cnn").write_text(
        "network small\ninput x: float32[N, 64, 64, 64]\n"
        "output y = x -> conv3x3(64) -> global_avgpool -> dense(2)\n"
    )
    lines = cnndsl("summary", "small.cnn", "--columns", "op,macs,macs_share").out.splitlines()
    found = [line.split() for line in lines]
    assert ["dense", "128", "<0.1"] in found
    assert ["conv3x3", "150,994,944", "100.0"] in found


def test_a_batch_given_a_size_is_said(run: Any) -> None:
    assert "figures for" not in run().out
    assert "\n  figures for a batch of 4\n" in run("--set", "N=4").out
    one, four = run("--json").json, run("--json", "--set", "N=4").json
    assert (one["samples"], four["samples"]) == ({"x": 1}, {"x": 4})
    assert four["macs"] == 4 * one["macs"]


def test_the_text_says_what_is_not_counted(cnndsl: Any) -> None:
    Path("moved.cnn").write_text(
        "network moved\ninput x: float32[N, 4, 2, 2]\n"
        "output y = x -> flatten -> dropout -> dense(2)\n"
    )
    out = cnndsl("summary", "moved.cnn").out
    assert "; flatten (it moves data only); dropout (it does nothing at inference)" in out
    assert "32 MACs (64 FLOPs), 2 other operations" in out


def test_the_peak_is_the_footer_of_its_column(run: Any) -> None:
    peak = run("--json").json["peak_memory_bytes"]
    out = run("--columns", "layer,peak").out
    (total,) = [line for line in out.splitlines() if line.strip().startswith("total")]
    assert total.split() == ["total", f"{peak:,}"]
    assert "blocks of 16 channels" in out


def test_long_labels_become_an_outline() -> None:
    long = "a_block_with_a_long_name"
    labels = [f"{long}.one.conv", f"{long}.one.bn", f"{long}.two.conv", "conv"]
    assert outline(labels) == [labels[0], "    bn", "  two.conv", "conv"]
    assert outline(["a.b", "a.c"]) == ["a.b", "a.c"]
