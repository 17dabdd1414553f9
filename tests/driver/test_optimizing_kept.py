"""What runs of `optimize` leave for later ones: results of layers, and times of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from elaborate.elaborating import graph_of

from cnndsl.diagnostics import CompileError
from cnndsl.driver.calibration import Inputs
from cnndsl.driver.optimizing import calibrate, timing
from cnndsl.driver.optimizing.kept import Kept
from cnndsl.driver.optimizing.network import Network, written
from cnndsl.driver.optimizing.optimize import optimize
from cnndsl.driver.optimizing.outcome import Outcome
from cnndsl.driver.optimizing.request import Request, schemes_named
from cnndsl.driver.optimizing.timing import Clock
from cnndsl.driver.racing import Race
from cnndsl.factorize.candidates import Candidate, places
from cnndsl.factorize.choosing.budget import parse_budget
from cnndsl.factorize.schemes.channel import ChannelOutput
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.weights.initialize import initialize

SIZES = {"N": 1, "H": 12, "W": 12}
REQUEST = Request(
    schemes=schemes_named(["spatial_svd", "channel_output", "tucker2"]),
    budget=parse_budget("macs=0.5x"),
)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return graph_of(
        "network net\ninput x: float32[N, 4, H = 12, W = 12]\n"
        "output y = x -> conv3x3(12) -> relu -> conv3x3(12) -> bn -> relu\n",
        "",
    )


@pytest.fixture(scope="module")
def weights(graph: Graph) -> dict[str, Array]:
    return initialize(graph, 0)


@pytest.fixture(scope="module")
def data() -> tuple[Inputs, ...]:
    x = np.random.default_rng(1).standard_normal((8, 4, 12, 12))
    return ({"x": x.astype(np.float32)},)


def files(outcome: Outcome) -> dict[Path, bytes]:
    made = written(outcome, Network(outcome.before, {}), Path("small.cnn"))
    return {path: bytes(content) for path, content in made.items()}


@pytest.mark.parametrize("with_data", [False, True])
def test_a_run_that_was_interrupted_goes_on(
    graph: Graph,
    weights: dict[str, Array],
    data: tuple[Inputs, ...],
    with_data: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = data if with_data else ()
    whole = optimize(graph, weights, REQUEST, given)
    folder = tmp_path / "kept"
    steps = []

    def interrupted(step: str) -> None:
        steps.append(step)
        if step.startswith(("fitting conv3x3_2", "decomposing conv3x3_2")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimize(graph, weights, REQUEST, given, Kept(folder), interrupted)
    left = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert left
    assert all(name.endswith(".npz") for name in left)
    again = optimize(graph, weights, REQUEST, given, Kept(folder))
    assert again.reused == len(left)
    assert files(again) == files(whole)
    assert {p.name: p.read_bytes() for p in folder.iterdir()}.items() >= left.items()

    def computed(*_: object, **__: object) -> None:
        raise AssertionError("what is kept is not computed again")

    for scheme in REQUEST.schemes:
        monkeypatch.setattr(type(scheme), "kernels", computed)
        monkeypatch.setattr(type(scheme), "fitted", computed)
    monkeypatch.setattr(calibrate, "reconstruct", computed)
    assert files(optimize(graph, weights, REQUEST, given, Kept(folder))) == files(whole)


def test_results_of_other_weights_are_not_taken(
    graph: Graph, weights: dict[str, Array], tmp_path: Path
) -> None:
    optimize(graph, weights, REQUEST, (), Kept(tmp_path))
    others = {**weights, "conv3x3.weight": weights["conv3x3.weight"] * np.float32(1.5)}
    outcome = optimize(graph, others, REQUEST, (), Kept(tmp_path))
    assert files(outcome) == files(optimize(graph, others, REQUEST))
    # What the layer that did not change gave is.
    assert 0 < outcome.reused < 7


@pytest.mark.parametrize("damage", [b"", b"not an archive", None])
def test_files_that_hold_something_else_are_computed_again(
    graph: Graph, weights: dict[str, Array], tmp_path: Path, damage: bytes | None
) -> None:
    whole = optimize(graph, weights, REQUEST, (), Kept(tmp_path))
    assert whole.reused == 0
    first, *others = sorted(tmp_path.iterdir())
    good = first.read_bytes()
    first.write_bytes(others[0].read_bytes() if damage is None else damage)
    again = optimize(graph, weights, REQUEST, (), Kept(tmp_path))
    assert files(again) == files(whole)
    assert again.reused == len(others)
    assert first.read_bytes() == good


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CompileError) as caught:
        Kept(tmp_path / "file")
    assert caught.value.diagnostics[0].code == "CNN801"


@pytest.fixture
def raced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Return a list that grows by how many layers are timed each time, on a clock of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    timed: list[int] = []

    def measured(races: Sequence[Race], **_: object) -> list[tuple[float, ...]]:
        timed.append(len(races))
        return [(2e-3, 1e-3) for _ in races]

    monkeypatch.setattr(timing, "measured_s", measured)
    return timed


def test_times_are_kept_for_a_machine(
    graph: Graph, raced: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = places(graph, SIZES)
    scheme = ChannelOutput()
    cost = found[0].dense
    contests = [
        (place, Candidate(scheme=scheme, ranks=(r,), cost=cost, error=0.1))
        for place in found
        for r in (2, 3)
    ]

    def times(threads: int | None = 1) -> tuple[Clock, list[tuple[float, float]]]:
        clock = Clock(threads)
        return clock, clock.time(contests)

    assert times()[1] == [(2e-3, 1e-3)] * 4
    assert times()[0].reused == 4
    assert raced == [4, 0]
    # Of other threads, or of another machine, nothing is known.
    assert times(2)[0].reused == 0
    monkeypatch.setattr("cnndsl.driver.optimizing.times.processor", lambda: "another")
    assert times()[0].reused == 0
    assert raced == [4, 0, 4, 4]
    (path,) = (tmp_path / "cache").rglob("times.json")
    for text in ("", "[]", '{"format": "cnndsl times 1", "times": {"a": [1, 2, 3]}}'):
        path.write_text(text)
        assert times()[0].reused == 0
        assert times()[0].reused == 4


def test_times_that_are_none_are_passed_over(
    graph: Graph, raced: list[int], tmp_path: Path
) -> None:
    place = places(graph, SIZES)[0][0]
    contest = (place, Candidate(scheme=ChannelOutput(), ranks=(2,), cost=place.dense, error=0.1))
    Clock(1).time([contest])
    (path,) = (tmp_path / "cache").rglob("times.json")
    text = path.read_text()
    for wrong in ("NaN", "-1.0", '"fast"', "null", "1e999"):
        path.write_text(text.replace("0.001", wrong))
        clock = Clock(1)
        assert clock.time([contest]) == [(2e-3, 1e-3)]
        assert clock.reused == 0, wrong
