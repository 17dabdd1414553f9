"""Tables of a device say what was measured, what was not, and whether it is what was wanted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks_results import STAMP, cells
from click.testing import CliRunner

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import measure, plot, report
from benchmarks.gpu.cases import ENGINES, PARTS, targets
from benchmarks.gpu.report import FOLDER, NOT_MEASURED
from benchmarks.measure import JobError
from benchmarks.results import Results, read_all

ROOT = Path(__file__).parents[2]
MACHINE = {
    "device": "Some GPU", "capability": "9.0", "multiprocessors": 132, "device_memory_gib": 80,
    "processor": "Some CPU", "system": "Linux x86_64", "python": "3.12.0",
}  # fmt: skip
VERSIONS = {"torch": "2.0", "cudnn": "9"}


def timed(left_out: dict[str, str] | None = None, **medians: float) -> dict[str, Any]:
    return {
        "milliseconds": {
            name: {"median": t, "lower_quartile": t - 1, "upper_quartile": t + 1}
            for name, t in medians.items()
        },
        "differences": {"ours": 2e-6},
        "left_out": left_out or {},
        "command": "python -m benchmarks.gpu zoo",
    }


def results(part: str, **entries: dict[str, Any]) -> dict[str, Results]:
    stamped = {key.replace("__", ", "): {**e, **STAMP} for key, e in entries.items()}
    return {part: Results(Path(f"{part}.json"), dict(MACHINE), dict(VERSIONS), stamped)}


def row(text: str, *first: str) -> list[str]:
    """Return the cells of the first row that begins with some."""
    return cells(text[text.index(f"| {' | '.join(first)} |") :].split("\n")[0] + "\n", first[0])


def test_the_documents_show_the_results_that_are_kept() -> None:
    found = read_all(FOLDER)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.count("<!-- generated: gpu -->\n") == 1
    assert report.fill(readme, found) == readme, "run python -m benchmarks.gpu --report"
    shown = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert report.page(found) == shown, "run python -m benchmarks.gpu --report"


def test_what_was_not_measured_is_said_in_every_cell() -> None:
    page = report.page({})
    tables = page.split("\n### ")[1:]
    assert [t.split("\n")[0] for t in tables] == [p for x in PARTS.values() for p in x.precisions]
    for text in tables:
        rows = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("| ")][2:]
        assert rows
        for line in rows:
            assert [c.strip() for c in line.split("|")[3:-1]] == [NOT_MEASURED] * (len(ENGINES) + 1)
    assert page.count(f"| {NOT_MEASURED} |  |\n") == len(targets()) == 15
    assert "nothing is measured" in page
    assert "nothing is measured" in report.section({})


def test_times_are_shown_and_held_against_the_targets() -> None:
    found = results(
        "zoo",
        **{
            "mobilenet_v1, fp32, batch 1": timed(ours=10, eager=30, graphs=9, compile=5),
            "resnet50, fp32, batch 8": timed(
                {"compile": "RuntimeError: no"}, ours=10, eager=8, channels_last=6.5
            ),
        },
    )
    page = report.page(found)
    assert row(page, "mobilenet_v1", "1", "eager PyTorch")[3:] == ["2.0", "3.00", "reached"]
    graphs = row(page, "mobilenet_v1", "1", "PyTorch under CUDA graphs")
    assert graphs[3:] == ["1.0", "0.90", "**not reached**"]
    assert row(page, "resnet50", "8", "cuDNN")[3:] == ["0.6", "0.65", "reached"]
    assert row(page, "resnet50", "1", "cuDNN")[3:] == ["0.6", NOT_MEASURED, ""]
    times = page[page.index("### fp32") :]
    assert row(times, "mobilenet_v1", "1")[2:] == [
        "10 (9 - 11)", NOT_MEASURED, "30 (29 - 31)", NOT_MEASURED, "9 (8 - 10)", NOT_MEASURED,
        "5 (4 - 6)", "0.50",
    ]  # fmt: skip
    assert row(times, "resnet50", "8")[-2:] == ["left out", "0.65"]
    assert "- resnet50, fp32, batch 8, torch.compile: RuntimeError: no\n" in page + "\n"
    assert "`python -m benchmarks.gpu zoo`, 2026-01-02, cnndsl 0.1.0 (abc)." in page
    assert "off by at most 2e-06" in page
    for text in (page, report.section(found)):
        assert "Some GPU (compute capability 9.0, 132 multiprocessors, 80 GiB), Some CPU" in text
        assert "torch 2.0, cudnn 9." in text


def test_the_slowest_of_the_pairs_counts_and_all_must_be_there() -> None:
    entries = {
        f"{program}, fp32, batch 1": timed(ours=10, graphs=20 - place)
        for place, program in enumerate(PARTS["pairs"].programs)
    }
    label = next(t.label for t in targets() if t.part == "pairs")
    assert row(report.page(results("pairs", **entries)), label, "1")[3:] == [
        "1.5", "1.60", "reached",
    ]  # fmt: skip
    entries.popitem()
    assert row(report.page(results("pairs", **entries)), label, "1")[3:] == [
        "1.5",
        NOT_MEASURED,
        "",
    ]


def test_failures_are_told() -> None:
    page = report.page(results("zoo", **{"vgg16, tf32, batch 1": {"error": "ours: is off"}}))
    assert "- vgg16, tf32, batch 1: ours: is off" in page
    assert row(page[page.index("### tf32") :], "vgg16", "1")[2] == NOT_MEASURED
    assert report.line({"error": "ours: is off"}) == "FAILED: ours: is off"
    entry = timed({"compile": "no"}, ours=1.5)
    assert report.line(entry) == "ours 1.5 ms  torch.compile: no"


def test_the_plot_has_equal_bytes_from_equal_results(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = results("zoo", **{"vgg16, fp32, batch 1": timed(ours=2, eager=3)})
    drawn = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (path,) = plot.draw(found, tmp_path / name)
        drawn.append(path.read_bytes())
    assert drawn[0] == drawn[1]
    assert b"vgg16" in drawn[0] or b"<svg" in drawn[0]
    assert plot.draw({}, tmp_path) == []
    assert plot.draw(results("zoo", **{"vgg16, fp32, batch 1": {"error": "x"}}), tmp_path) == []
    assert "speed.svg" in report.page(found)
    assert "speed.svg" not in report.page({})


# -- the command --------------------------------------------------------------------------------


class Jobs:
    """Stands for the processes: a device, and answers to cases."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, described: dict[str, Any]) -> None:
        self.described, self.asked = described, list[dict[str, Any]]()
        for module in (command, measure):
            monkeypatch.setattr(module, "job", self)

    def __call__(self, name: str, **arguments: Any) -> dict[str, Any]:
        if name == "describe":
            return self.described
        if name != "case":
            return {"program": f"{name}.cnn"}
        self.asked.append(arguments)
        if arguments["program"].endswith("alexnet.cnn"):
            raise JobError("WrongAnswerError: ours: output is off")
        return {k: v for k, v in timed(ours=2, eager=3).items() if k != "command"}


def test_without_a_device_nothing_is_measured_and_the_tables_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Jobs(monkeypatch, {"missing": "PyTorch finds no CUDA device"})
    done = CliRunner().invoke(command.main, ["--results", str(tmp_path)])
    assert done.exit_code == 1
    assert "nothing measured: PyTorch finds no CUDA device\n" in done.output
    assert [p.name for p in tmp_path.iterdir()] == ["README.md"]
    assert NOT_MEASURED in (tmp_path / "README.md").read_text()


def test_with_a_device_cases_are_measured_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = Jobs(monkeypatch, {"machine": MACHINE, "versions": VERSIONS})
    arguments = ["--results", str(tmp_path), "--quick", "--without", "compile"]
    arguments += ["--precision", "fp32", "--batch", "8"]
    done = CliRunner().invoke(
        command.main, [*arguments, "zoo", "--only", "wavenet", "--only", "alexnet"]
    )
    assert done.exit_code == 1, done.output
    assert "zoo 1/2  alexnet, fp32, batch 8" in done.output
    assert "FAILED: WrongAnswerError: ours: output is off" in done.output
    wavenet = jobs.asked[-1]
    assert (wavenet["settings"], wavenet["batch"], wavenet["precision"]) == ({"T": 4000}, 8, "fp32")
    assert wavenet["engines"] == [name for name in ENGINES if name != "compile"]
    kept = json.loads((tmp_path / "zoo.json").read_text())
    assert kept["machine"] == MACHINE
    assert kept["versions"] == VERSIONS
    entry = kept["entries"]["wavenet, fp32, batch 8"]
    assert entry["command"].startswith("python -m benchmarks.gpu")
    assert entry["milliseconds"]["ours"]["median"] == 2
    assert {"measured", "cnndsl", "differences", "left_out"} <= entry.keys()
    assert "error" in kept["entries"]["alexnet, fp32, batch 8"]
    jobs.asked.clear()
    done = CliRunner().invoke(
        command.main, [*arguments, "--only", "vgg16", "--only", "pairs", "factorized", "pairs"]
    )
    assert done.exit_code == 0, done.output
    programs = [asked["program"] for asked in jobs.asked]
    assert programs == ["smaller.cnn"] + ["pairs.cnn"] * 5


def test_every_case_has_a_network_and_a_key_of_its_own() -> None:
    networks = measure.programs()
    keys = [key for part in PARTS.values() for key in part.cases()]
    assert len(set(keys)) == len(keys) == (17 + 2) * 9 + 5 * 3
    assert {c.program for p in PARTS.values() for c in p.cases().values()} == networks.keys()
    for target in targets():
        assert all(c.key in PARTS[target.part].cases() for c in target.cases())
