"""`cnndsl profile`: a table, or everything as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

KEYS = {
    "label", "parts", "op", "shape", "algorithm", "seconds", "macs", "macs_done", "map_bytes",
    "weight_bytes", "arithmetic_limit_s", "memory_limit_s", "steps", "limit_s", "bound",
}  # fmt: skip


def test_json_has_everything(cnndsl: Any) -> None:
    outcome = cnndsl("profile", "net.cnn", "--threads", 1, "--runs", 3, "--batch", 2, "--json")
    assert outcome.code == 0
    data = outcome.json
    assert (data["ok"], data["network"], data["threads"], data["runs"]) == (True, "net", 1, 3)
    assert data["sizes"] == {"N": 2, "H": 16, "W": 16}
    assert data["peak_macs_per_s"] > 0
    assert len(data["bandwidths"]) >= 4
    assert data["limit_s"] == sum(x["limit_s"] for x in data["layers"])
    labels = ["input", "conv3x3", "maxpool2x2", "global_avgpool", "dense", "output"]
    assert [x["label"] for x in data["layers"]] == labels
    assert all(x.keys() == KEYS for x in data["layers"])
    conv = data["layers"][1]
    assert conv["macs"] == 2 * 8 * 3 * 9 * 16 * 16
    steps = {"kernel", "algorithm", "seconds", "fastest_s", "macs", "weight_bytes"}
    assert all(step.keys() == steps for step in conv["steps"])
    assert all(0 <= s["fastest_s"] <= s["seconds"] for x in data["layers"] for s in x["steps"])


def test_the_table_ends_in_a_total(cnndsl: Any) -> None:
    outcome = cnndsl("profile", "net.cnn", "--runs", 3, "--sort", "time")
    assert outcome.code == 0
    lines = [line.split() for line in outcome.out.splitlines() if line.strip()]
    (total,) = (line for line in lines if line[0] == "total")
    place = lines.index(total)
    heading = next(i for i, line in enumerate(lines) if line[0] == "layer")
    rows = lines[heading + 2 : place]
    assert {row[0] for row in rows} >= {"input", "conv3x3", "dense", "output"}
    # ms is the first figure with three decimals
    times = [
        next(float(w) for w in row if w.replace(".", "").isdigit() and w[-4] == ".") for row in rows
    ]
    assert times == sorted(times, reverse=True)
    assert total[2] == "100.0"
    assert "the limit is" in outcome.out


def test_layers_far_from_their_limit_come_first(cnndsl: Any) -> None:
    data = cnndsl("profile", "net.cnn", "--runs", 3, "--sort", "gap", "--json").json
    gaps = [x["seconds"] - x["limit_s"] for x in data["layers"]]
    assert gaps == sorted(gaps, reverse=True)


def test_what_is_wrong_is_said(cnndsl: Any) -> None:
    assert cnndsl("profile", "net.cnn", "--runs", 1).code == 2
    assert cnndsl("profile", "net.cnn", "--winograd", "f3").code == 2
    Path("open.cnn").write_text(
        "network open\ninput x: float32[N, 3, H, W]\noutput y = x -> conv3x3(2)\n"
    )
    outcome = cnndsl("profile", "open.cnn")
    assert outcome.code == 1
    assert "CNN207" in outcome.err
