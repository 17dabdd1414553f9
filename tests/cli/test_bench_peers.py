"""`cnndsl bench` against several runtimes."""

from __future__ import annotations

import sys
from typing import Any

import pytest


def test_the_fastest_of_several_is_the_measure(cnndsl: Any) -> None:
    pytest.importorskip("openvino")
    against = ("--against", "onnxruntime", "--against", "openvino", "--against", "openvino")
    data = cnndsl("bench", "net.cnn", *against, "--runs", 3, "--threads", 1, "--json").json
    medians = {name: t["median"] for name, t in data["milliseconds"].items()}
    assert list(medians) == ["numba-cpu", "onnxruntime", "openvino"]
    best = min(medians["onnxruntime"], medians["openvino"])
    assert data["ratio"] == pytest.approx(best / medians["numba-cpu"])
    # In bfloat16, which OpenVINO would choose by itself, this is some 1e-3.
    assert all(d["max_rel"] < 1e-5 for d in data["differences"].values())


def test_openvino_alone_in_words(cnndsl: Any) -> None:
    pytest.importorskip("openvino")
    out = cnndsl("bench", "net.cnn", "--against", "openvino", "--runs", 3).out
    assert "speed relative to openvino: " in out
    assert "onnxruntime" not in out


def test_without_openvino(cnndsl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    outcome = cnndsl("bench", "net.cnn", "--against", "openvino", "--runs", 3)
    assert outcome.code == 1
    assert "error[CNN701]: OpenVINO is not installed" in outcome.err
    assert "pip install 'cnndsl[openvino]'" in outcome.err
