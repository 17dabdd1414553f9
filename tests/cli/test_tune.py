"""`cnndsl tune`, and the options that choose how convolutions are done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cnndsl.driver.tuning import read_tuning


def test_a_file_is_written_that_compile_reads(cnndsl: Any) -> None:
    outcome = cnndsl("tune", "net.cnn", "--runs", 3, "--threads", 1)
    assert outcome.code == 0
    path = Path("net.tuning.json")
    assert f"{path}  {path.stat().st_size:,} bytes" in outcome.out
    tuning, sha256 = read_tuning(path)
    assert (tuning.network, tuning.machine["threads"]) == ("net", 1)
    assert tuning.sizes == {"N": 1, "H": 16, "W": 16}
    for number in (1, 2):
        outcome = cnndsl("compile", "net.cnn", "--tuning", path, "-o", f"tuned{number}.py")
        assert (outcome.code, outcome.err) == (0, "")
    text = Path("tuned1.py").read_text()
    assert f"# tuning sha256: {sha256}\n" in text
    assert text.replace("tuned1", "tuned2") == Path("tuned2.py").read_text()
    # It may be written again, being ours; a file of somebody else may not.
    outcome = cnndsl("tune", "net.cnn", "--runs", 3, "--json")
    assert outcome.code == 0
    assert outcome.json["layers"].keys() == tuning.layers.keys()
    Path("mine.json").write_text("{}")
    outcome = cnndsl("tune", "net.cnn", "--runs", 3, "-o", "mine.json")
    assert outcome.code == 1
    assert "CNN802" in outcome.err


def test_a_file_that_does_not_fit_is_a_warning(cnndsl: Any) -> None:
    cnndsl("tune", "net.cnn", "--runs", 3)
    value = json.loads(Path("net.tuning.json").read_text())
    value["layers"] = {"gone": {"shape": "", "algorithm": "f4", "seconds": {}}}
    Path("other.json").write_text(json.dumps(value))
    outcome = cnndsl("compile", "net.cnn", "--tuning", "other.json")
    assert outcome.code == 0
    assert "warning[CNN904]" in outcome.err
    assert "'gone'" in outcome.err


def test_a_file_that_is_none_is_an_error(cnndsl: Any) -> None:
    Path("bad.json").write_text('{"format": ')
    outcome = cnndsl("compile", "net.cnn", "--tuning", "bad.json")
    assert outcome.code == 1
    assert "error[CNN805]" in outcome.err
    assert "bad.json:1:12" in outcome.err
    assert not Path("net.py").exists()
    outcome = cnndsl("compile", "net.cnn", "--tuning", "missing.json")
    assert outcome.code == 1
    assert "CNN801" in outcome.err


def test_winograd_is_written_into_the_module(cnndsl: Any) -> None:
    for choice in ("auto", "off", "f2", "f4"):
        outcome = cnndsl("compile", "net.cnn", "--winograd", choice, "--force")
        assert outcome.code == 0
        assert f'WINOGRAD = "{choice}"' in Path("net.py").read_text()


def test_fusion_is_written_into_the_module_and_told(cnndsl: Any) -> None:
    Path("pair.cnn").write_text(
        "network pair\ninput x: float32[N, 32, 24, 24]\n"
        "output y = x -> dwconv3x3 -> relu -> conv1x1(48)\n"
    )
    told = "#   [N, 32, 24, 24] -> [N, 32, 24, 24]; 165_888 MACs; depthwise, fused with conv1x1"
    for choice in ("auto", "off", "on"):
        outcome = cnndsl("compile", "pair.cnn", "--fuse", choice, "--force")
        assert outcome.code == 0
        text = Path("pair.py").read_text()
        assert f'FUSE = "{choice}"' in text
        assert choice == "auto" or (told.replace("_", " ") in text) == (choice == "on")
    assert cnndsl("verify", "pair.cnn", "--fuse", "on").code == 0


def test_strassen_may_be_wanted_or_forbidden(cnndsl: Any) -> None:
    Path("wide.cnn").write_text(
        "network wide\ninput x: float32[N, 64, 12, 12]\n"
        "output y = x -> conv1x1(64) -> relu -> maxpool2x2\n"
    )
    for choice in ("auto", "off", "on"):
        outcome = cnndsl("compile", "wide.cnn", "--strassen", choice, "--force")
        assert outcome.code == 0
        text = Path("wide.py").read_text()
        assert f'STRASSEN = "{choice}"' in text
        assert ("strassen: 516 096 done" in text) == (choice == "on")
    assert cnndsl("verify", "wide.cnn", "--strassen", "on").code == 0


def test_options_that_exclude_each_other(cnndsl: Any) -> None:
    outcome = cnndsl("compile", "net.cnn", "--winograd", "off", "--tuning", "x.json")
    assert outcome.code == 2
    assert "--winograd and --tuning exclude each other" in outcome.err
    outcome = cnndsl("compile", "net.cnn", "--strassen", "on", "--tuning", "x.json")
    assert outcome.code == 2
    assert "--strassen and --tuning exclude each other" in outcome.err
    outcome = cnndsl("compile", "net.cnn", "--target", "onnx", "--strassen", "on")
    assert outcome.code == 2
    assert "--strassen are for the target numba-cpu" in outcome.err
    outcome = cnndsl("compile", "net.cnn", "--target", "onnx", "--winograd", "off")
    assert outcome.code == 2
    assert "are for the targets numba-cpu and numba-cuda" in outcome.err
    assert cnndsl("compile", "net.cnn", "--target", "onnx", "--fuse", "on").code == 2


def test_verify_runs_what_was_chosen(cnndsl: Any) -> None:
    """By Winograd's algorithm the last bits differ from those of the direct sum."""
    Path("wide.cnn").write_text(
        "network wide\ninput x: float32[N, 16, 12, 12]\noutput y = x -> conv3x3(16)\n"
    )

    def error(choice: str) -> float:
        data = cnndsl("verify", "wide.cnn", "--winograd", choice, "--json").json
        assert data["ok"]
        (ours,) = (d for d in data["differences"] if d["backend"] == "numba-cpu")
        return float(ours["max_abs"])

    assert len({error("off"), error("f2"), error("f4")}) == 3
