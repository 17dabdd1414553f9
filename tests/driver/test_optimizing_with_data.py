"""Optimise with calibration data, by rules, by hand, by the clock, or to be trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from elaborate.elaborating import graph_of

from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError
from cnndsl.driver.calibration import Inputs
from cnndsl.driver.optimizing import timing, whole
from cnndsl.driver.optimizing.document import slower_text, totals
from cnndsl.driver.optimizing.network import Network, written
from cnndsl.driver.optimizing.optimize import optimize
from cnndsl.driver.optimizing.outcome import Outcome
from cnndsl.driver.optimizing.request import Request, known_schemes, schemes_named
from cnndsl.driver.optimizing.rules import parse_rule
from cnndsl.driver.optimizing.samples import held_out, read_calibration
from cnndsl.driver.racing import Race, measured_s, predicted_s
from cnndsl.factorize.candidates import in_whole_vectors
from cnndsl.factorize.choosing.budget import parse_budget
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.ranks.energy import energy_ranks
from cnndsl.factorize.scheme import Label
from cnndsl.factorize.schemes.channel import ChannelOutput
from cnndsl.factorize.schemes.decoupling import DecouplingDepthwiseFirst
from cnndsl.factorize.schemes.spatial import SpatialVertical
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.ops.conv import Conv
from cnndsl.types.padding import Same
from cnndsl.types.tensor import DType, TensorType
from cnndsl.weights.initialize import initialize

NETWORK = """\
network net
input image: float32[N, 4, H = 16, W = 16]
a = image -> conv3x3(16) -> bn -> relu
b = a -> conv3x3(16) -> bn -> relu -> maxpool2x2
output maps = b -> conv3x3(8)
"""
FAST = ("spatial_svd", "channel_output")


@pytest.fixture(scope="module")
def graph() -> Graph:
    return graph_of(NETWORK, "")


@pytest.fixture(scope="module")
def weights(graph: Graph) -> dict[str, Array]:
    return initialize(graph, 5)


@pytest.fixture(scope="module")
def data() -> tuple[Inputs, ...]:
    """Return smooth images, whose channels depend on each other: few directions matter."""
    rng = np.random.default_rng(2)
    mix = rng.standard_normal((4, 2))
    coarse = rng.standard_normal((24, 2, 4, 4)).repeat(4, axis=2).repeat(4, axis=3)
    images = np.einsum("cm,nmhw->nchw", mix, coarse) + 0.05 * rng.standard_normal((24, 4, 16, 16))
    return tuple({"image": part.astype(np.float32)} for part in np.split(images, 3))


def asked(
    *schemes: str, budget: str | None = None, max_error: float | None = None, rule: str = ""
) -> Request:
    return Request(
        schemes=schemes_named(schemes or FAST),
        budget=None if budget is None else parse_budget(budget),
        max_error=max_error,
        ranks=parse_rule(rule, known_schemes(retrain=False)) if rule else None,
    )


def output_error(
    graph: Graph, weights: dict[str, Array], outcome: Outcome, data: Sequence[Inputs]
) -> float:
    lost = whole = 0.0
    for inputs in data:
        exact = run(graph, inputs, weights)["maps"]
        made = run(outcome.graph, inputs, outcome.weights)["maps"]
        lost += float(((exact - made) ** 2).sum())
        whole += float((exact**2).sum())
    return float(np.sqrt(lost / whole))


def test_layers_that_are_fitted_to_data_err_less(
    graph: Graph, weights: dict[str, Array], data: tuple[Inputs, ...], tmp_path: Path
) -> None:
    by_hand = tmp_path / "ranks.txt"
    by_hand.write_text(
        "conv3x3 spatial_svd 5\nconv3x3_2 channel_output 5\nconv3x3_3 spatial_svd 6\n"
    )
    request = asked(rule=str(by_hand))
    plain = optimize(graph, weights, request)
    fitted = optimize(graph, weights, request, data)
    assert [d.chosen.ranks for d in plain.decisions] == [(5,), (5,), (6,)]
    assert [d.chosen.ranks for d in fitted.decisions] == [(5,), (5,), (6,)]
    held = held_out(graph, data)
    errors = [output_error(graph, weights, o, held) for o in (plain, fitted)]
    # What is reported is what the written network does on the samples that were held out.
    assert fitted.errors["maps"] == pytest.approx(errors[1], rel=1e-3)
    assert errors[1] < 0.7 * errors[0]
    assert fitted.samples == 6


def test_a_bound_on_the_error_is_kept(
    graph: Graph, weights: dict[str, Array], data: tuple[Inputs, ...]
) -> None:
    spent = []
    for most in (0.02, 0.3):
        outcome = optimize(graph, weights, asked("channel_output", max_error=most), data)
        assert outcome.errors["maps"] <= most
        measured = output_error(graph, weights, outcome, held_out(graph, data))
        assert measured == pytest.approx(outcome.errors["maps"], rel=1e-3)
        spent.append(outcome.figures_after.summary.macs)
    assert spent[1] < spent[0] <= outcome.figures_before.summary.macs


def test_a_budget_may_cost_more_than_the_error_allows(
    graph: Graph, weights: dict[str, Array], data: tuple[Inputs, ...]
) -> None:
    with pytest.raises(CompileError, match=r"errs by") as caught:
        optimize(graph, weights, asked(budget="macs=0.2x", max_error=0.001), data)
    assert caught.value.diagnostics[0].code == "CNN652"
    with pytest.raises(CompileError, match="none are given"):
        optimize(graph, weights, asked(max_error=0.1))


@pytest.mark.parametrize("rule", ["energy=0.7", "ratio=2", "rate=3"])
def test_rules_choose_the_ranks(graph: Graph, weights: dict[str, Array], rule: str) -> None:
    outcome = optimize(graph, weights, asked("channel_output", rule=rule))
    changed = [d for d in outcome.decisions if d.is_changed]
    assert changed
    for d in changed:
        if rule == "ratio=2":
            assert d.chosen.cost.macs <= d.dense.cost.macs / 2
        elif rule == "rate=3":
            assert d.chosen.cost.params <= d.dense.cost.params / 3
        else:
            # The least rank that keeps so much, but for what fills vectors.
            assert d.chosen.error is not None
            assert d.chosen.error**2 <= 0.3
            least = energy_ranks(ChannelOutput(), d.place.uses[0], weights[d.place.key[0]], 0.7)
            assert least is not None
            assert d.chosen.ranks == in_whole_vectors(d.place, ChannelOutput(), least)


def test_calibration_data_are_checked(graph: Graph, tmp_path: Path) -> None:
    good = np.zeros((2, 4, 16, 16), np.float32)
    for name, array, said in (
        ("nan", np.full_like(good, np.nan), "NaN"),
        ("shape", good[:, :3], "4"),
        ("dtype", good.astype(np.int32), "int32"),
    ):
        np.save(tmp_path / f"{name}.npy", array)
        with pytest.raises(CompileError, match=said) as caught:
            read_calibration(graph, [tmp_path / f"{name}.npy"])
        assert caught.value.diagnostics[0].code == "CNN803", name
    np.save(tmp_path / "good.npy", good)
    assert sum(len(d["image"]) for d in read_calibration(graph, [tmp_path / "good.npy"])) == 2


@pytest.mark.parametrize(
    "line, code, said",
    [
        ("conv3x3 spatial_svd 500", "CNN653", "takes rank 1 to 12, got 500"),
        ("conv3x3 spatial_svd 2x2", "CNN653", "got 2x2"),
        ("conv3x3_2 channel_output 16", "CNN653", "no cheaper"),
        ("conv3x3 dense_svd 2", "CNN654", "does not apply"),
        ("conv3x4 spatial_svd 2", "CNN655", "no layer"),
        ("conv3x3 tucker2 2x2", "CNN655", "none of the schemes that are allowed"),
    ],
)
def test_mistakes_in_a_file_of_ranks_are_located(
    graph: Graph, weights: dict[str, Array], tmp_path: Path, line: str, code: str, said: str
) -> None:
    path = tmp_path / "ranks.txt"
    path.write_text(f"# by hand\nconv3x3_3 spatial_svd 2\n{line}\n")
    with pytest.raises(CompileError, match=said) as caught:
        optimize(graph, weights, asked("spatial_svd", "dense_svd", *FAST, rule=str(path)))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    assert diagnostic.span is not None
    assert (diagnostic.span.line, diagnostic.span.text) == (3, line)


def test_a_file_of_ranks_is_read_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "ranks.txt"
    path.write_text("conv3x3\nconv3x3 spatial_sdv 3\na tucker2 3x\nb tucker2 3x4\nb tucker2 3x4\n")
    with pytest.raises(CompileError) as caught:
        parse_rule(str(path), known_schemes(retrain=False))
    assert [d.span.line for d in caught.value.diagnostics if d.span] == [1, 2, 3, 5]
    assert {d.code for d in caught.value.diagnostics} == {"CNN655"}
    for rule in ("energy=2", "ratio=x", "energi=0.9", "nothing", "usual", "rate=1", "energy=nan"):
        with pytest.raises(CompileError) as caught:
            parse_rule(rule, known_schemes(retrain=False))
        assert caught.value.diagnostics[0].code == "CNN655"


def test_another_architecture_needs_no_weights(graph: Graph) -> None:
    request = Request(
        schemes=schemes_named(("depthwise_separable", "anisotropic"), retrain=True),
        budget=parse_budget("macs=0.5x"),
    )
    outcome = optimize(graph, {}, request)
    assert outcome.label is Label.RETRAIN
    files = written(outcome, Network(graph, {}), Path("a.cnn"))
    assert list(files) == [Path("a.cnn")]
    with pytest.raises(CompileError, match="trained"):
        written(outcome, Network(graph, {}), Path("a.onnx"))


def contest(seconds: Callable[[Race], tuple[float, ...]]) -> Callable[..., list[tuple[float, ...]]]:
    def measured(races: Sequence[Race], **_: object) -> list[tuple[float, ...]]:
        return [seconds(race) for race in races]

    return measured


def test_what_is_not_faster_is_not_done(
    graph: Graph, weights: dict[str, Array], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On this clock 16 -> 16 channels gain from few ranks, the others from nothing."""

    def seconds(race: Race) -> tuple[float, ...]:
        first = race.chains[0][0].op
        assert isinstance(first, Conv)
        gains = race.layer.in_channels == race.layer.out_channels and first.out_channels <= 4
        return (1.0, 0.5 if gains else 0.99)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(timing, "measured_s", contest(seconds))
    monkeypatch.setattr(whole, "measured_s", lambda *_, **__: (5.0, 4.0))
    request = Request(schemes=schemes_named(FAST), budget=parse_budget("macs=0.75x"))
    believed = optimize(graph, weights, request)
    measured = optimize(
        graph,
        weights,
        Request(schemes=request.schemes, budget=request.budget, accept="measured"),
    )
    assert believed.decisions[1].chosen.ranks[0] > 4
    (changed,) = (d for d in measured.decisions if d.is_changed)
    assert changed.place.label == "conv3x3_2"
    assert changed.chosen.ranks[0] <= 4
    assert changed.measured_s == (1.0, 0.5)
    assert ("all of it, measured, ms", "5000.000", "4000.000", "0.800x") in totals(measured).rows
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    monkeypatch.setattr(timing, "measured_s", contest(lambda race: (1.0, 1.0)))
    with pytest.raises(CompileError, match="cannot be met") as caught:
        optimize(
            graph,
            weights,
            Request(schemes=request.schemes, budget=request.budget, accept="measured"),
        )
    assert any("not faster" in note for note in caught.value.diagnostics[0].notes)


@pytest.mark.parametrize("most, left", [(3, 3), (1, 1), (0, 0)])
def test_a_network_is_never_slower_as_a_whole(
    graph: Graph,
    weights: dict[str, Array],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    most: int,
    left: int,
) -> None:
    """On this clock every chain is faster by itself, and only few of them in one network."""

    def seconds(race: Race) -> tuple[float, ...]:
        gains = {(4, 16): 0.5, (16, 16): 0.7, (16, 8): 0.6}
        return (1.0, gains[race.layer.in_channels, race.layer.out_channels])

    def whole_s(networks: Sequence[tuple[Graph, object]], **_: object) -> tuple[float, ...]:
        before, after = (len(g.nodes) for g, _ in networks)
        return (5.0, 4.0 if after - before <= most else 5.5)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(timing, "measured_s", contest(seconds))
    monkeypatch.setattr(whole, "measured_s", whole_s)
    request = replace(asked("spatial_svd", rule="ratio=2"), accept="measured")
    outcome = optimize(graph, weights, request)
    changed = [d.place.label for d in outcome.decisions if d.is_changed]
    assert len(changed) == left
    assert outcome.measured_s == ((5.0, 4.0) if left else None)
    if left == 1:
        assert changed == ["conv3x3"]  # which gains most
        assert "took 1.10x as long; some layers are as they were" in slower_text(outcome)
    if left:
        return
    assert outcome.graph == graph
    assert len(outcome.raced) == 2
    assert "took 1.10x, 1.10x as long; all layers are as they were" in slower_text(outcome)
    with pytest.raises(CompileError, match="cannot be met") as caught:
        optimize(graph, weights, replace(request, ranks=None, budget=parse_budget("macs=0.7x")))
    (diagnostic,) = caught.value.diagnostics
    assert any("whole network was timed" in note for note in diagnostic.notes)


RACE_LAYER = Layer(
    label="conv",
    op=Conv(
        out_channels=64, kernel=(3, 3), stride=(1, 1), padding=Same(), dilation=(1, 1), bias=True
    ),
    input=TensorType(DType.FLOAT32, (1, 64, 28, 28)),
)


def test_the_plan_tells_what_chains_take() -> None:
    chains = tuple(SpatialVertical().factors(RACE_LAYER, (r,)) for r in (8, 32, 96))
    ((own, *others),) = predicted_s([Race(RACE_LAYER, chains)])
    assert others == sorted(others)
    assert others[0] < own
    assert predicted_s([Race(RACE_LAYER, chains)]) == [(own, *others)]


def cycles(races: Race) -> list[float]:
    """Return what the plan predicts of a layer and its chains, in cycles."""
    return [2.5e9 * s for s in predicted_s([races])[0]]


def test_winograd_moves_maps_three_times() -> None:
    """Of few channels the time is in the maps: 16 of 56x56 in, and as many out."""
    op = replace(RACE_LAYER.op, out_channels=16)
    layer = replace(RACE_LAYER, op=op, input=TensorType(DType.FLOAT32, (1, 16, 56, 56)))
    one = replace(layer, op=replace(op, kernel=(1, 1)))
    maps = 4 * 2 * 16 * 56 * 56
    assert cycles(Race(one, ())) == [pytest.approx(2500 + (maps + 4 * (256 + 16)) / 8)]
    assert cycles(Race(layer, ())) == [pytest.approx(2500 + (3 * maps + 4 * (2304 + 16)) / 8)]


def test_what_lies_between_fused_layers_is_not_moved() -> None:
    """A depthwise convolution is done in bands with the pointwise one that reads it."""
    wide = replace(RACE_LAYER, input=TensorType(DType.FLOAT32, (1, 64, 56, 56)))
    pair = DecouplingDepthwiseFirst().factors(wide, (1,))
    apart = [c for factor in pair for c in cycles(Race(replace(wide, op=factor.op), ()))]
    _, together = cycles(Race(wide, (pair,)))
    between = 4 * 64 * 56 * 56
    # The depthwise layer's time is in its maps: it reads one, and writes none.
    assert apart[0] == pytest.approx(2500 + (2 * between + 4 * 9 * 64) / 8, rel=0.01)
    assert sum(apart) - together >= 2500 + between / 8


@pytest.mark.slow
def test_chains_are_timed_beside_the_layer() -> None:
    chains = tuple(SpatialVertical().factors(RACE_LAYER, (r,)) for r in (8, 96))
    ((own, few, many),) = measured_s([Race(RACE_LAYER, chains)], threads=1, runs=10)
    assert 0 < few < many
    assert few < 2 * own
    wide = replace(RACE_LAYER, input=TensorType(DType.FLOAT32, (1, 64, 56, 56)))
    pair = DecouplingDepthwiseFirst().factors(wide, (1,))
    ((_, together),) = measured_s([Race(wide, (pair,))], threads=1, runs=10)
    assert together > few  # in one step, which is timed as well


@pytest.mark.slow
def test_networks_are_timed_in_turns() -> None:
    head = "network net\ninput x: float32[N, 32, H = 24, W = 24]\n"
    large, small = (graph_of(f"output y = x -> conv3x3({n})\n", head) for n in (512, 16))
    pairs = [(g, initialize(g, 0)) for g in (large, small)]
    before, after = whole.measured_s(pairs, threads=1, runs=10)
    assert 0 < after < before / 4
    predicted = [whole.predicted_s(g) for g in (large, small)]
    assert predicted[0] is not None
    assert predicted[1] is not None
    assert 0 < predicted[1] < predicted[0] / 4


def test_a_budget_of_time_is_kept_as_the_plan_has_it() -> None:
    graph = graph_of(
        "network net\ninput x: float32[N, 64, H = 28, W = 28]\n"
        "output y = x -> conv3x3(64) -> relu -> conv5x5(64)\n",
        "",
    )
    outcome = optimize(graph, initialize(graph, 0), asked(budget="latency=0.7x"))
    dense = sum(c.seconds for d in outcome.decisions for c in d.candidates if c.scheme is None)
    chosen = sum(d.chosen.seconds for d in outcome.decisions)
    assert chosen <= 0.7 * dense
    for d in outcome.decisions:
        if d.predicted_s is not None:
            assert d.predicted_s == (d.candidates[0].seconds, d.chosen.seconds)


def test_a_clock_that_is_slow_everywhere_changes_no_choice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A share of the time is one of the measured time, for layers, chains and the rest alike."""
    graph = graph_of(
        "network net\ninput x: float32[N, 64, H = 28, W = 28]\n"
        "output y = x -> conv3x3(64) -> relu -> maxpool2x2 -> conv5x5(64)\n",
        "",
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def slowly(races: Sequence[Race], **_: object) -> list[tuple[float, ...]]:
        return [tuple(7 * s for s in t) for t in predicted_s(races)] if races else []

    monkeypatch.setattr(timing, "measured_s", slowly)
    monkeypatch.setattr(whole, "measured_s", lambda *_, **__: (5.0, 4.0))
    found = []
    for accept in ("predicted", "measured"):
        request = replace(asked("spatial_svd", budget="latency=0.7x"), accept=accept)
        found.append(optimize(graph, initialize(graph, 0), request))
    assert found[0].choice == found[1].choice
    assert any(d.is_changed for d in found[0].decisions)
    assert found[0].problem.rest > 0
    assert found[1].problem.dense == pytest.approx(7 * found[0].problem.dense)


def test_what_the_plan_has_slower_can_be_left_out() -> None:
    """What multiplies less as it is, by Winograd, than half of its multiply-adds would."""
    graph = graph_of(
        "network net\ninput x: float32[N, 32, H = 56, W = 56]\n"
        "output y = x -> conv3x3(32) -> relu -> conv5x5(64, stride=2)\n",
        "",
    )
    weights = initialize(graph, 0)
    found = {}
    for accept in ("any", "predicted"):
        request = replace(asked("spatial_svd", rule="ratio=2"), accept=accept)
        found[accept] = optimize(graph, weights, request)
    by_label = {a: {d.place.label: d for d in o.decisions} for a, o in found.items()}
    first = by_label["any"]["conv3x3"]
    assert first.predicted_s is not None
    assert first.predicted_s[1] > first.predicted_s[0]
    assert not by_label["predicted"]["conv3x3"].is_changed
    assert by_label["predicted"]["conv3x3"].slower
    assert by_label["predicted"]["conv5x5"].is_changed
    for d in found["predicted"].decisions:
        if d.predicted_s is not None:
            assert d.predicted_s[1] < d.predicted_s[0]
