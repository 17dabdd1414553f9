"""What the benchmarks say of factorization: exact parts hold, and tables show what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks_results import cells, results

from benchmarks import plot, report
from benchmarks.factorization.accuracy import accuracy
from benchmarks.factorization.choice import compared, recovered
from benchmarks.factorization.report import TABLES, fitted_against_plain
from benchmarks.factorization.synthetic import decaying
from benchmarks.parts import GROUPS, parts


def test_planted_ranks_are_found() -> None:
    found = recovered(100, 300, ranks=(0, 3, 30), seeds=3)["recovered"]
    assert found == {"0": [0] * 3, "3": [3] * 3, "30": [30] * 3}


def test_dynamic_programming_beats_the_other_rules_on_a_trained_network() -> None:
    pytest.importorskip("sklearn")
    errors = compared("digits", ("channel_output",), (0.3, 0.4, 0.5, 0.6, 0.7))["errors"]
    table = np.array(errors["table"])
    for rule in ("greedy", "uniform"):
        assert (table <= np.array(errors[rule]) + 1e-12).all(), rule
        assert (table < np.array(errors[rule]) - 1e-3).any(), rule


@pytest.mark.slow
def test_layers_fitted_to_data_answer_better_than_plain_ones(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    found = accuracy("digits", "channel_output", [0.25], 0, str(tmp_path))
    plain, fitted = found["points"]
    assert found["dense"]["right"] == 446
    assert all(p["macs"] <= 0.25 * found["dense"]["macs"] for p in (plain, fitted))
    assert fitted["right"] > plain["right"]
    names = [path.name for path in sorted((tmp_path / "digits").glob("*.cnn"))]
    assert names == ["channel_output_25_fitted.cnn", "channel_output_25_plain.cnn"]


def test_spectra_of_synthetic_kernels_fall_by_a_power_law() -> None:
    rng = np.random.default_rng(1)
    kernel = rng.standard_normal((64, 48, 3, 3)).astype(np.float32)
    made = decaying(kernel, 0.7, rng)
    assert np.linalg.norm(made) == pytest.approx(np.linalg.norm(kernel), rel=1e-5)
    for axis in (0, 1):
        unfolding = np.moveaxis(made, axis, 0).reshape(made.shape[axis], -1)
        s = np.linalg.svd(unfolding, compute_uv=False)[:32]
        slope = np.polyfit(np.log(np.arange(1, 33)), np.log(s), 1)[0]
        assert -0.9 < slope < -0.5


def test_groups_name_all_parts() -> None:
    assert [name for names in GROUPS.values() for name in names] == list(parts())
    assert set(GROUPS["factorization"]) == set(TABLES)


def point(share: float, calibrated: bool, right: int, **more: Any) -> dict[str, Any]:
    return {
        "share": share,
        "calibrated": calibrated,
        "macs": 500,
        "params": 9,
        "right": right,
    } | more


ACCURACY = {
    "digits, tucker2": {
        "network": "digits", "scheme": "tucker2", "of": 200, "epochs": 3,
        "dense": {"macs": 1000, "params": 10, "right": 199},
        "points": [
            point(0.5, False, 150), point(0.5, True, 190),
            point(0.25, False, 100, right_retrained=180),
            point(0.25, True, 90, right_retrained=198),
        ],
    },
    "digits, cp3": {
        "network": "digits", "scheme": "cp3", "of": 200, "epochs": 3,
        "dense": {"macs": 1000, "params": 10, "right": 199},
        "points": [
            point(0.5, False, 150), point(0.5, True, 150),
            {"share": 0.25, "calibrated": False, "unmet": "cannot be met"},
            point(0.25, True, 80),
        ],
    },
}  # fmt: skip


def times(**medians: float) -> dict[str, dict[str, float]]:
    return {
        name: {"median": t, "lower_quartile": t, "upper_quartile": t} for name, t in medians.items()
    }


def way(macs: int, predicted: float) -> dict[str, Any]:
    return {
        "macs": [1000, macs], "params": [10, 5], "changed": 3, "layers": 4,
        "schemes": ["tucker2"], "predicted_s": [2.0, 2.0 / predicted],
    }  # fmt: skip


BUDGET = {
    "resnet18, 0.5x": {
        "network": "resnet18", "share": 0.5, "threads": 2,
        "ways": {"any": way(490, 1.6), "measured": way(500, 2.0)},
        "calls_ms": times(dense=10, any=12.5, measured=8),
    },
    "resnet18, 0.25x": {
        "network": "resnet18", "share": 0.25, "threads": 2,
        "ways": {"any": way(250, 3.0), "measured": {"unmet": "macs=0.25x cannot be met"}},
        "calls_ms": times(dense=10, any=9.9),
    },
}  # fmt: skip


def test_right_answers_are_shares_of_the_held_out_pictures() -> None:
    page = report.page({"accuracy": results("accuracy", ACCURACY)})
    assert "digits: 1_000 MACs, 199 of 200 held-out pictures right (99.5%)." in page
    assert cells(page, "tucker2")[1:] == ["75.0%", "95.0%", "50.0%", "45.0%", "90.0%", "99.0%"]
    assert cells(page, "cp3")[1:] == ["75.0%", "75.0%", "", "40.0%", "", ""]
    assert fitted_against_plain(results("accuracy", ACCURACY)) == (1, 1, 1)
    section = report.fill(
        "<!-- generated: smaller -->\n<!-- end -->\n", {"accuracy": results("accuracy", ACCURACY)}
    )
    assert (
        "- digits: 99.5% right as it is; with 0.25x of its MACs at best 50.0% plain (tucker2), "
        "45.0% fitted to data (tucker2), 99.0% after 3 epochs of training (tucker2).\n" in section
    )


def test_what_is_slower_than_before_is_marked() -> None:
    page = report.page({"budget": results("budget", BUDGET)})
    rows = [line.split(" | ")[2:] for line in page.splitlines() if line.startswith("| resnet18 |")]
    assert rows[0] == [
        "whatever is cheaper",
        "3 of 4",
        "0.49x",
        "1.60",
        "10 -> 12.5",
        "0.80, **slower** |",
    ]
    assert rows[1][1:] == ["3 of 4", "0.50x", "2.00", "10 -> 8", "1.25 |"]
    assert rows[3][-1] == "macs=0.25x cannot be met |"


def test_plots_have_equal_bytes_from_equal_results(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    curves = {"table": [None, 0.1], "greedy": [None, 0.2], "uniform": [0.9, 0.3]}
    chain = {"scheme": "tucker2", "fewer": 2, "predicted_s": [2.0, 1.0], "measured_s": [3.0, 2.0]}
    found = {
        "accuracy": results("accuracy", ACCURACY),
        "smaller": results(
            "smaller",
            {"digits": {"network": "digits", "batch": 8, "threads": 1,
                        "calls_ms": times(dense=2, tucker2_50_plain=1)}},
        ),
        "budget": results("budget", BUDGET),
        "chains": results(
            "chains", {"vgg16": {"network": "vgg16", "threads": 2, "chains": [chain]}}
        ),
        "rules": results(
            "rules",
            {"vgg16": {"network": "vgg16", "shares": [0.2, 0.5], "errors": curves}},
        ),
    }  # fmt: skip
    drawn = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths = plot.draw(found, tmp_path / name)
        assert [p.stem for p in paths] == ["budget", "chains", "rules", "accuracy"]
        drawn.append([p.read_bytes() for p in paths])
    assert drawn[0] == drawn[1]
    report.page(found)
