"""Tables say what was measured, and whether it is what was wanted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from benchmarks_results import cells, results

from benchmarks import plot, report
from benchmarks.networks import NETWORKS, TWO_DIMENSIONAL
from benchmarks.results import FOLDER, read_all

ROOT = Path(__file__).parents[2]


def speed(ours: float, ort: float, openvino: float | None = None, **more: Any) -> dict[str, Any]:
    times = {"numba-cpu": ours, "onnxruntime": ort}
    times |= {} if openvino is None else {"openvino": openvino}
    return {
        "network": "net",
        "threads": 4,
        "milliseconds": {
            n: {"median": t, "lower_quartile": t - 1, "upper_quartile": t + 1}
            for n, t in times.items()
        },
        "ratio": min(t for n, t in times.items() if n != "numba-cpu") / ours,
        "differences": {"y": {"max_abs": 1.0, "max_rel": 2e-6}},
        **more,
    }


def test_the_readme_shows_the_results_that_are_kept() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for section in ("speed", "smaller"):
        assert text.count(f"<!-- generated: {section} -->\n") == 1
    assert report.fill(text, read_all(FOLDER)) == text, "run python -m benchmarks --report"


def test_the_page_shows_the_results_that_are_kept() -> None:
    shown = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert report.page(read_all(FOLDER)) == shown, "run python -m benchmarks --report"


def test_only_the_section_of_the_readme_changes() -> None:
    text = "before\n<!-- generated: speed -->\nold\n<!-- end -->\nafter\n"
    filled = report.fill(text, {"batch1": results("batch1", {"vgg16": speed(100, 160, 170)})})
    assert filled.startswith("before\n<!-- generated: speed -->\n")
    assert filled.endswith("<!-- end -->\nafter\n")
    assert "old" not in filled
    assert cells(filled, "vgg16") == ["vgg16", "100", "160", "170", "1.60", "1.50", "reached"]


def test_networks_that_are_too_slow_are_marked() -> None:
    page = report.page(
        {
            "batch1": results(
                "batch1", {"resnet50": speed(10, 11, 12), "vgg16": speed(10, 30, 15)}
            ),
            "batch8": results("batch8", {"resnet50": speed(10, 9.5)}),
        }
    )
    assert cells(page, "vgg16")[-3:] == ["1.50", "1.50", "reached"]
    assert "| resnet50 | 10 (9 - 11) | 11 (10 - 12) | 12 (11 - 13) | 1.10 | 1.15 | **not" in page
    assert "| resnet50 | 10 (9 - 11) | 9.5 (8.5 - 10.5) | 0.95 | **slower** |" in page
    # sqrt(1.1 * 1.5) = 1.28; the table is in the order of the networks, not of the measurements.
    assert (
        "Batch 1: geometric mean 1.28 over 2 of 17 networks (wanted 1.5: **not reached**)" in page
    )
    assert "slower than the best peer: resnet50 0.95." in page
    assert page.index("| vgg16") < page.index("| resnet50")
    assert "by at most 2e-06 of their largest value" in page


def test_the_mean_is_over_all_networks_when_all_were_measured() -> None:
    entries = {name: speed(10, 16) for name in TWO_DIMENSIONAL}
    page = report.page({"batch8": results("batch8", entries)})
    assert "geometric mean 1.60 over 14 networks (wanted 1.3: reached); slower" in page
    assert "best peer: none." in page


def test_a_wrong_answer_has_no_speed() -> None:
    entries = {"vgg16": speed(10, 20), "alexnet": {"error": "output y differs"}}
    page = report.page({"batch1": results("batch1", entries)})
    assert "over 1 of 17 networks" in page
    assert "- alexnet: output y differs" in page
    assert "| alexnet" not in page


def test_what_a_busy_process_costs() -> None:
    entries = {"0": speed(10, 10), "1": speed(13, 20), "2": speed(40, 20)}
    page = report.page({"busy": results("busy", entries)})
    assert cells(page, "1")[2::2] == ["1.30", "2.00", "reached"]
    assert cells(page, "2")[2::2] == ["4.00", "2.00", "**not reached**"]
    assert cells(page, "2")[-2] == "2.00"
    section = report.section({"busy": results("busy", entries)})
    assert "net beside one busy process, times as long: ours 1.30, ONNX Runtime 2.00." in section


def test_starts_and_memory() -> None:
    starts = {
        "new cache": {"first_s": 8.1, "peak_bytes": 500e6},
        "warm cache": {"first_s": 0.9, "peak_bytes": 300e6},
        "onnxruntime": {"first_s": 0.6, "peak_bytes": 299e6},
    }
    page = report.page({"start": results("start", {"resnet50": {"starts": starts}})})
    assert "| ours, new cache | 8.10 | 500 MB | wanted 8.0 s: **not reached** |" in page
    assert (
        "| ours, warm cache | 0.90 | 300 MB | wanted 1.0 s: reached; "
        "memory not above ONNX Runtime's: **not reached** |" in page
    )
    assert "| ONNX Runtime | 0.60 | 299 MB |  |" in page


def test_compile_time_and_widths() -> None:
    page = report.page(
        {
            "compile": results(
                "compile",
                {
                    "vgg16": {"text_s": 0.2, "command_s": 2.5},
                    "alexnet": {"text_s": 0.1, "command_s": 1.9},
                },
            ),
            "width": results(
                "width",
                {
                    "resnet50, AVX2": {
                        "lanes": 8, "peak_gflops": 50.0, "done_gflops": 40.0,
                        "defined_gflops": 45.0, "milliseconds": 12.0,
                    }
                },
            ),
        }
    )  # fmt: skip
    assert cells(page, "vgg16")[1:] == ["0.20", "2.50", "2.0", "**not reached**"]
    assert cells(page, "alexnet")[1:] == ["0.10", "1.90", "2.0", "reached"]
    assert cells(page, "resnet50, AVX2")[1:] == ["8", "50", "40", "80%", "45", "12"]


def test_the_machine_is_told_once_unless_there_are_several() -> None:
    parts = {"batch1": results("batch1", {"vgg16": speed(1, 2)})}
    parts["batch8"] = results("batch8", {"vgg16": speed(1, 2)})
    assert report.page(parts).count("Some CPU (AVX2), 4 processors, 8 GiB") == 1
    parts["batch8"] = results("batch8", {"vgg16": speed(1, 2)}, processor="Another")
    assert report.page(parts).count("Some CPU (AVX2)") == 1
    assert report.page(parts).count("Another (AVX2)") == 1


def test_numbers_are_in_order() -> None:
    entries = {size: speed(1, 2) for size in ("1024", "64", "128")}
    page = report.page({"size": results("size", entries)})
    assert re.findall(r"^\| (\d+) \|", page, re.MULTILINE) == ["64", "128", "1024"]


def test_plots_have_equal_bytes_from_equal_results(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = {
        "batch1": results("batch1", {name: speed(1, 2, 3) for name in NETWORKS}),
        "one_thread": results("one_thread", {"vgg16": speed(1, 2)}),
        "size": results("size", {"64": speed(1, 2, 3), "128": speed(3, 4)}),
    }
    drawn = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths = plot.draw(found, tmp_path / name)
        assert [p.name for p in paths] == ["speed.svg", "scaling.svg"]
        drawn.append([p.read_bytes() for p in paths])
    assert drawn[0] == drawn[1]
    assert plot.draw({}, tmp_path) == []


def test_every_network_of_the_comparison_is_an_example() -> None:
    assert len(NETWORKS) == 17
    assert all(network.path.is_file() for network in NETWORKS.values())
