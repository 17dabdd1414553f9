"""Tuning: the tiles that are measured to be best are chosen, kept, and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance.cases import Case, floats
from conformance.modules import graph_of_cases, random_arrays, random_weights
from gpu.modules import module_of

from cnndsl.cli.main import cli, guarded
from cnndsl.driver import tune_cuda
from cnndsl.driver.backends import import_module
from cnndsl.driver.cache import store
from cnndsl.driver.choice import Choice
from cnndsl.driver.compile import numba_cuda_module
from cnndsl.driver.prepare import prepare
from cnndsl.ops.conv import Conv
from cnndsl.types.padding import Same

GRAPH = graph_of_cases(
    [
        Case(
            Conv(out_channels=9, kernel=k, stride=(1,), dilation=(1,), padding=Same(), bias=True),
            (floats(1, 3, 17),),
        )
        for k in ((3,), (5,))
    ]
)
SHAPES = ((1, 3, 17), (1, 3, 17))


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a module with two tiles, on which time stands for the pixels of all tiles chosen."""
    made = module_of(GRAPH)
    tile = made.TILES[0]
    monkeypatch.setitem(made.__dict__, "TILES", (tile, tile._replace(pixels=4)))

    def seconds(net: Any, arrays: Any, runs: int) -> float:
        net(*arrays)
        plan = made.Plan(net, {})
        return sum(made._choose_tile(plan, *question)[0].pixels for question in plan.asked)

    monkeypatch.setitem(made.__dict__, "_seconds", seconds)
    return made


def test_the_best_measured_tiles_are_kept(module: Any, tmp_path: Path) -> None:
    weights = random_weights(GRAPH, seed=1)
    net = module.load(weights)
    file = tmp_path / "net.tuning.json"
    tuning = module.tune(net, *SHAPES, file=file, runs=1)
    assert json.loads(file.read_text()) == tuning
    assert [choice[6] for choice in tuning["choices"]] == [4, 4]
    inputs = random_arrays({i.value.name: i.value.type for i in GRAPH.inputs}, seed=1)
    tuned = module.load(weights, tuning=file)
    assert {tile.pixels for tile, _ in tuned.tuned.values()} == {4}
    for name, expected in net(**inputs).items():
        np.testing.assert_allclose(tuned(**inputs)[name], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device": "another"}, "was measured on another"),
        ({"precision": "tf32"}, "in tf32"),
        ({"choices": [[1] * 10]}, "is not a tuning"),
        ({"choices": [[1] * 11]}, "is not a tuning"),
        ({"choices": [["x"] * 11]}, "is not a tuning"),
        ({"choices": 5}, "is not a tuning"),
    ],
)
def test_what_does_not_fit_is_refused(module: Any, change: Any, message: str) -> None:
    tuning = {"device": "simulator", "precision": "fp32", "choices": []}
    module.load(random_weights(GRAPH, seed=1), tuning=tuning)
    with pytest.raises(ValueError, match=message):
        module.load(random_weights(GRAPH, seed=1), tuning={**tuning, **change})


def test_the_command_writes_what_a_module_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def imported(path: Path) -> Any:
        """Import the module; the tile with the fewest pixels shall be the fastest here."""
        made: Any = import_module(path)
        tile = made.TILES[0]
        made.TILES = (tile, tile._replace(pixels=4))

        def seconds(net: Any, arrays: Any, runs: int) -> float:
            plan = made.Plan(net, made.bind({"x": (1, 2, 6)}))
            chosen = (made._choose_tile(plan, *question)[0] for question in plan.asked)
            return float(runs + sum(tile.pixels for tile in chosen))

        made._seconds = seconds
        return made

    monkeypatch.setattr(tune_cuda, "import_module", imported)
    monkeypatch.chdir(tmp_path)
    Path("net.cnn").write_text(
        "network net()\ninput x: float32[N, 2, 6]\noutput y = x -> conv3(3) -> relu -> conv1(2)\n"
    )
    command = ["tune", "net.cnn", "--target", "numba-cuda", "--runs", "3", "--json"]
    assert guarded(cli, command) == 0
    said = json.loads(capsys.readouterr().out)
    written = json.loads(Path("net.tuning.json").read_text())
    assert said == {"ok": True, "file": "net.tuning.json", **written, "diagnostics": []}
    assert len(written["choices"]) == 2
    prepared = prepare(Path("net.cnn"), Choice({}))
    module = imported(store(tmp_path, "net_cuda.py", numba_cuda_module(prepared, "net_cuda")))
    net = module.load(prepared.weights, tuning="net.tuning.json")
    assert {tile.pixels for tile, _ in net.tuned.values()} == {4}
    assert guarded(cli, command) != 0  # the file is there
    assert guarded(cli, [*command, "--threads", "2"]) != 0
    assert guarded(cli, ["tune", "net.cnn", "--precision", "tf32"]) != 0
