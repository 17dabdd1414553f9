"""Optimise networks whose answers are known: budgets, planted ranks, what is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from elaborate.elaborating import graph_of

from cnndsl.analysis.cost import summarize
from cnndsl.backends.onnx.emit import emit
from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError
from cnndsl.driver.choice import Choice
from cnndsl.driver.load import load
from cnndsl.driver.optimizing.document import document, explanation
from cnndsl.driver.optimizing.network import Network, read_network, written
from cnndsl.driver.optimizing.optimize import optimize
from cnndsl.driver.optimizing.outcome import Outcome
from cnndsl.driver.optimizing.render import as_json, rendered
from cnndsl.driver.optimizing.request import Request, schemes_named
from cnndsl.driver.optimizing.whole import predicted_s
from cnndsl.driver.samples import random_inputs
from cnndsl.factorize.candidates import known
from cnndsl.factorize.choosing.budget import parse_budget
from cnndsl.factorize.choosing.choose import chosen, within
from cnndsl.factorize.scheme import Label
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.weights.files import read
from cnndsl.weights.initialize import initialize

NETWORK = """\
# A network of two stages.
# It has a head of two lines.

network net
input image: float32[N, 3, H = 24, W = 20]

block unit(x, width) {
  main = x -> conv3x3(width) -> bn -> relu -> conv3x3(width) -> bn
  return main + x -> relu
}

features = image -> conv3x3(32) -> relu -> unit(32) -> unit(32) -> maxpool2x2
output scores = features -> global_avgpool -> dense(10)
"""


FAST = ("spatial_svd", "channel_output", "channel_input")


def request(budget: str, *schemes: str) -> Request:
    return Request(schemes=schemes_named(schemes or FAST), budget=parse_budget(budget))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return graph_of(NETWORK, "")


@pytest.fixture(scope="module")
def weights(graph: Graph) -> dict[str, Array]:
    """Return weights of which one layer's has rank 3 as its vertical scheme takes it apart."""
    found = initialize(graph, 1)
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((96, 3)), rng.standard_normal((3, 96))
    planted = (first @ second).reshape(32, 3, 32, 3).transpose(2, 0, 1, 3)
    assert found["unit.conv3x3.weight"].shape == planted.shape
    return {**found, "unit.conv3x3.weight": planted.astype(np.float32)}


@pytest.fixture(scope="module")
def halved(graph: Graph, weights: dict[str, Array]) -> Outcome:
    return optimize(graph, weights, request("macs=0.5x"))


@pytest.mark.parametrize("budget", ["macs=0.5x", "macs=8M", "params=0.4x", "weight_bytes=50kB"])
def test_budgets_are_kept(graph: Graph, weights: dict[str, Array], budget: str) -> None:
    outcome = optimize(graph, weights, request(budget, "spatial_svd", "channel_output"))
    before, after = summarize(graph), summarize(outcome.graph)
    now = {"macs": known(before.macs), "params": before.params, "weight_bytes": 4 * before.params}
    then = {"macs": known(after.macs), "params": after.params, "weight_bytes": 4 * after.params}
    asked = parse_budget(budget)
    name = asked.quantity.value
    assert then[name] <= asked.amount(now[name]) < now[name]
    # What the decisions say adds up to what the network costs.
    changed = sum(d.chosen.cost.macs - d.dense.cost.macs for d in outcome.decisions)
    assert then["macs"] == now["macs"] + changed
    changed = sum(d.chosen.cost.params - d.dense.cost.params for d in outcome.decisions)
    assert then["params"] == now["params"] + changed
    assert all(d.chosen.cost.params <= d.dense.cost.params for d in outcome.decisions)


def test_a_planted_rank_is_found_and_costs_nothing(graph: Graph, weights: dict[str, Array]) -> None:
    outcome = optimize(graph, weights, request("macs=0.85x", "spatial_svd"))
    changed = {d.place.label: d for d in outcome.decisions if d.is_changed}
    assert list(changed) == ["unit.conv3x3"]
    assert changed["unit.conv3x3"].chosen.ranks == (3,)
    assert outcome.label is Label.EXACT
    inputs = random_inputs(graph, 0, {"N": 2, "H": 9, "W": 7})
    expected = run(graph, inputs, weights)["scores"]
    actual = run(outcome.graph, inputs, outcome.weights)["scores"]
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_what_the_whole_takes_is_what_its_layers_take() -> None:
    """Batch norms are folded, activations fused: convolutions and the pool are what is left."""
    head = "network net\ninput x: float32[N, 32, H = 24, W = 24]\n"
    plain, normed = (
        graph_of(f"output y = x -> conv3x3(48){extra} -> relu -> maxpool2x2\n", head)
        for extra in ("", " -> bn")
    )
    both = [predicted_s(g) for g in (plain, normed)]
    assert both[0] == both[1]
    outcome = optimize(normed, initialize(normed, 0), request("macs=0.5x", "spatial_svd"))
    (d,) = outcome.decisions
    assert d.predicted_s is not None
    assert outcome.predicted_s is not None
    changed = d.predicted_s[1] - d.predicted_s[0]
    assert outcome.predicted_s[1] - outcome.predicted_s[0] == pytest.approx(changed)


def test_errors_are_those_of_the_tensors(halved: Outcome) -> None:
    for d in halved.decisions:
        if d.decomposition is not None:
            assert d.chosen.error == pytest.approx(d.decomposition.error, abs=1e-6)
    assert halved.label is Label.APPROXIMATE


def test_equal_arguments_give_equal_files(
    graph: Graph, weights: dict[str, Array], halved: Outcome
) -> None:
    again = optimize(graph, weights, request("macs=0.5x"))
    network = Network(graph, weights)
    files = [written(o, network, Path("a.cnn")) for o in (again, halved)]
    assert {p: bytes(c) for p, c in files[0].items()} == {p: bytes(c) for p, c in files[1].items()}
    assert as_json(again) == as_json(halved)


def test_the_program_keeps_its_head_and_its_blocks(
    tmp_path: Path, weights: dict[str, Array]
) -> None:
    source = tmp_path / "net.cnn"
    source.write_text(NETWORK)
    network = read_network(source, Choice({}), with_weights=True)
    outcome = optimize(network.graph, weights, request("macs=0.5x", "spatial_svd"))
    files = written(outcome, network, tmp_path / "small.cnn")
    text = files[tmp_path / "small.cnn"].decode()
    assert text.startswith(
        "# A network of two stages.\n# It has a head of two lines.\n"
        "# Factorized by cnndsl optimize (macs=0.5x): "
    )
    assert "block unit(x, rank, rank_2) {" in text
    assert "-> unit(3, 16) -> unit(32, 32) -> maxpool2x2" in text
    for path, content in files.items():
        path.write_bytes(bytes(content))
    made = load(tmp_path / "small.cnn")
    assert made.warnings == ()
    inputs = random_inputs(made.graph, 0, {"N": 1, "H": 24, "W": 20})
    expected = run(outcome.graph, inputs, outcome.weights)["scores"]
    actual = run(made.graph, inputs, read(tmp_path / "small.safetensors"))["scores"]
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("as_model", [False, True])
def test_a_block_that_is_used_often_stays_one_block(tmp_path: Path, as_model: bool) -> None:
    """Each use would have the scheme of its own weights: of low rank down, or across channels."""
    source = tmp_path / "net.cnn"
    source.write_text(
        "network net\ninput image: float32[N, 16, H = 12, W = 12]\n"
        "block unit(width) = conv3x3(width) -> relu\n"
        "output y = image -> unit(16) ** 12 -> global_avgpool -> dense(4)\n"
    )
    network = read_network(source, Choice({}), with_weights=True)
    rng = np.random.default_rng(0)
    weights = initialize(network.graph, 0)
    for i, name in enumerate(n for n in weights if n.endswith("conv3x3.weight")):
        u, v = rng.standard_normal((48, i + 1)), rng.standard_normal((i + 1, 48))
        planted = (u @ v).reshape(16, 3, 16, 3).transpose(2, 0, 1, 3)
        if i % 3 == 0:
            rows = rng.standard_normal((16, 5)) @ rng.standard_normal((5, 144))
            planted = rows.reshape(16, 16, 3, 3)
        weights[name] = (planted / planted.std() / 12).astype(np.float32)
    if as_model:  # which knows of no blocks
        (tmp_path / "net.onnx").write_bytes(emit(network.graph, weights))
        network = read_network(tmp_path / "net.onnx", Choice({}), with_weights=False)
        weights = dict(network.weights)
    asked = request("macs=0.4x", "spatial_svd", "channel_output")
    outcome = optimize(network.graph, weights, asked)
    schemes = {d.chosen.name for d in outcome.decisions if d.is_changed}
    assert len(schemes) == 1
    assert len({d.chosen.ranks for d in outcome.decisions if d.is_changed}) > 2
    after = summarize(outcome.graph).macs
    assert known(after) <= 0.4 * known(summarize(network.graph).macs)
    files = written(outcome, network, tmp_path / "small.cnn")
    text = bytes(files[tmp_path / "small.cnn"]).decode()
    assert text.count("block ") <= 2, text
    # Free to take any scheme, they differ.
    free = [replace(p, origin=None) for p in outcome.problem.places]
    loose = replace(outcome.problem, places=tuple(free))
    picked = chosen(loose, within(loose, asked.budget))  # type: ignore[arg-type]
    assert len({c.name for c in picked if c.scheme is not None}) > 1


def test_a_model_becomes_a_smaller_model(tmp_path: Path, weights: dict[str, Array]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    graph = graph_of(NETWORK, "")
    (tmp_path / "net.onnx").write_bytes(emit(graph, weights))
    sizes = {"H": 24, "W": 20}
    network = read_network(tmp_path / "net.onnx", Choice(sizes), with_weights=False)
    outcome = optimize(network.graph, network.weights, request("macs=0.5x"))
    ((_, content),) = written(outcome, network, tmp_path / "small.onnx").items()
    assert len(content) < (tmp_path / "net.onnx").stat().st_size
    session = onnxruntime.InferenceSession(content)
    # Sizes stay open.
    inputs = random_inputs(graph, 0, {"N": 2, "H": 12, "W": 16})
    expected = run(outcome.graph, inputs, outcome.weights)["scores"]
    (actual,) = session.run(None, inputs)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_met_says_the_least(graph: Graph, weights: dict[str, Array]) -> None:
    with pytest.raises(CompileError) as caught:
        optimize(graph, weights, request("params=0.001x", "spatial_svd"))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "CNN652"
    assert any("dense takes at least 330" in note for note in diagnostic.notes), diagnostic.notes
    assert diagnostic.help is not None
    least = diagnostic.help.split()[1]
    optimize(graph, weights, request(least, "spatial_svd"))


def test_weights_must_be_given(graph: Graph) -> None:
    with pytest.raises(CompileError, match="none are given") as caught:
        optimize(graph, {}, request("macs=0.5x"))
    assert caught.value.diagnostics[0].code == "CNN602"


def test_sizes_must_be_known(weights: dict[str, Array]) -> None:
    graph = replace(graph_of(NETWORK, ""), usual_sizes=())
    with pytest.raises(CompileError) as caught:
        optimize(graph, weights, request("macs=0.5x"))
    assert {d.code for d in caught.value.diagnostics} == {"CNN207"}


def test_every_layer_is_in_the_report(halved: Outcome) -> None:
    sections = document(halved)
    table = next(s.table for s in sections if s.title == "Layers")
    assert table is not None
    assert [row[0] for row in table.rows] == [d.place.label for d in halved.decisions]
    for suffix in (".html", ".md"):
        files = rendered(sections, Path(f"out{suffix}"), "net.cnn")
        text = files[Path(f"out{suffix}")].decode()
        for d in halved.decisions:
            assert d.place.label.replace("_", "\\_" if suffix == ".md" else "_") in text


def test_what_is_left_alone_is_explained(halved: Outcome) -> None:
    section = explanation(halved, "dense")
    assert section is not None
    assert any("left as it is" in line for line in section.text)
    assert any(line.startswith("spatial_svd: ") for line in section.text)
    assert explanation(halved, "maxpool2x2") is None


def test_both_orders_are_told(halved: Outcome) -> None:
    section = explanation(halved, "conv3x3")
    assert section is not None
    said = "\n".join(section.text)
    # 3 inputs, 32 outputs: 3*9 + 32 = 59 against 3 + 32*9 = 291, of 864 weights and 32 biases.
    assert "3x3 to r, then 1x1: r (3*9 + 32) = 59 r parameters" in said
    assert "fewer parameters for r up to 14" in said
    assert "1x1 to r, then 3x3: r (3 + 32*9) = 291 r parameters" in said
    assert "3x3 to r, then 1x1 has fewer parameters than 1x1 to r, then 3x3" in said
