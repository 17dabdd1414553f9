"""`cnndsl.optimize` from Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from elaborate.elaborating import graph_of

import cnndsl
from cnndsl.analysis.cost import summarize
from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError
from cnndsl.driver.load import load
from cnndsl.factorize.scheme import Label
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.weights.files import read
from cnndsl.weights.initialize import initialize

GRAPH = graph_of(
    "network net\ninput x: float32[N, 4, H = 12, W = 12]\n"
    "output y = x -> conv3x3(12) -> relu -> conv3x3(12) -> relu -> global_avgpool -> dense(5)\n",
    "",
)
WEIGHTS = initialize(GRAPH, 0)
FAST = ("spatial_svd", "channel_output")


def test_a_budget_is_kept() -> None:
    found = cnndsl.optimize(GRAPH, WEIGHTS, schemes=FAST, budget="macs=0.5x")
    before, after = summarize(GRAPH).macs, summarize(found.graph).macs
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert after <= before / 2
    x = np.zeros((1, 4, 12, 12), np.float32)
    assert run(found.graph, {"x": x}, found.weights)["y"].shape == (1, 5)


def test_a_users_own_measure_decides_how_much_is_saved() -> None:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((16, 4, 12, 12)).astype(np.float32)
    wanted = run(GRAPH, {"x": images}, WEIGHTS)["y"]
    most = 0.5 * float(np.abs(wanted).max())
    tried = []

    def is_near(graph: Graph, weights: Mapping[str, Array]) -> bool:
        tried.append(float(np.abs(run(graph, {"x": images}, weights)["y"] - wanted).max()))
        return tried[-1] <= most

    found = cnndsl.optimize(GRAPH, WEIGHTS, schemes=FAST, good_enough=is_near)
    assert any(d.is_changed for d in found.decisions)
    assert is_near(found.graph, found.weights)
    assert max(tried) > most  # it was asked for less, and said no
    with pytest.raises(CompileError, match="not good enough"):
        cnndsl.optimize(
            GRAPH, WEIGHTS, schemes=FAST, budget="macs=0.5x", good_enough=lambda *_: False
        )


def test_an_outcome_is_written(tmp_path: Path) -> None:
    found = cnndsl.optimize(GRAPH, WEIGHTS, schemes=FAST, budget="macs=0.5x")
    found.save(tmp_path / "small.cnn")
    found.save(tmp_path / "small.onnx")
    found.save_report(tmp_path / "report.md")
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {
        "small.cnn",
        "small.safetensors",
        "small.onnx",
        "report.md",
        "report-2.svg",
    }
    made = load(tmp_path / "small.cnn").graph
    x = np.random.default_rng(0).standard_normal((1, 4, 12, 12)).astype(np.float32)
    np.testing.assert_allclose(
        run(made, {"x": x}, read(tmp_path / "small.safetensors"))["y"],
        run(found.graph, {"x": x}, found.weights)["y"],
        rtol=1e-5,
    )
    (tmp_path / "mine.cnn").write_text("network mine")
    with pytest.raises(CompileError) as caught:
        found.save(tmp_path / "mine.cnn")
    assert caught.value.diagnostics[0].code == "CNN802"


def test_what_stands_between_the_factors() -> None:
    found = cnndsl.optimize(
        GRAPH, schemes=("bottleneck",), retrain=True, between="bn, silu", ranks="usual"
    )
    words = [node.op.keyword for node in found.graph.nodes[:8]]
    assert words == ["conv", "bn", "silu", "conv", "bn", "silu", "conv", "relu"]
    assert found.label is Label.RETRAIN
    # A quarter of the channels, as in ResNet; the first layer has 4 only.
    assert [d.chosen.ranks for d in found.decisions if d.is_changed] == [(1, 3), (3, 3)]
    for d in found.decisions:
        before, after = found.fields_of(d)
        assert before == after
    with pytest.raises(ValueError, match="retrain"):
        cnndsl.optimize(GRAPH, WEIGHTS, budget="macs=0.5x", between="bn")


def test_mistakes_are_told_all_at_once() -> None:
    with pytest.raises(CompileError) as caught:
        cnndsl.optimize(
            GRAPH,
            schemes=("tucker",),
            budget="mac=0.5x",
            ranks="energy=2",
            calibrate=np.zeros((1, 3, 12, 12), np.float32),
        )
    codes = [d.code for d in caught.value.diagnostics]
    assert codes == ["CNN302", "CNN651", "CNN655", "CNN803"]


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="give a budget"):
        cnndsl.optimize(GRAPH, WEIGHTS)
    with pytest.raises(ValueError, match="measured"):
        cnndsl.optimize(GRAPH, WEIGHTS, budget="macs=0.5x", accept="believed")
    for array, said in (
        (np.full((1, 4, 12, 12), np.nan, np.float32), "NaN"),
        (np.zeros((1, 3, 12, 12), np.float32), "x"),
    ):
        with pytest.raises(CompileError, match=said) as caught:
            cnndsl.optimize(GRAPH, WEIGHTS, schemes=FAST, budget="macs=0.5x", calibrate=array)
        assert caught.value.diagnostics[0].code == "CNN803"
    with pytest.raises(AttributeError):
        cnndsl.optimise  # noqa: B018
