"""Tuning files: written, read with suspicion, and applied where they fit."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.numba_cpu.emit import emit
from cnndsl.backends.numba_cpu.options import Options
from cnndsl.diagnostics import CompileError
from cnndsl.driver import tune as tuning_run
from cnndsl.driver.choice import Choice
from cnndsl.driver.compile import header, numba_cpu_module
from cnndsl.driver.prepare import Prepared, prepare
from cnndsl.driver.tune import fastest, tune
from cnndsl.driver.tuning import (
    TunedLayer,
    Tuning,
    convolutions,
    read_tuning,
    shape_of,
    tuned_options,
)

PROGRAM = """network net
input image: float32[N, 16, 24, 24]
output y = image -> conv3x3(32) -> relu -> conv3x3(32) -> conv1x1(8)
"""


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    path = tmp_path / "net.cnn"
    path.write_text(PROGRAM)
    return prepare(path, Choice({}))


def tuning_of(prepared: Prepared, **algorithms: str) -> Tuning:
    graph = prepared.optimized.graph
    return Tuning(
        network="net",
        program_sha256=prepared.source_sha256,
        machine={"processor": "a", "lanes": 4, "threads": 2, "numba": "1"},
        sizes={"N": 1},
        layers={
            label: TunedLayer(
                shape_of(graph, convolutions(graph)[label]), name, {"direct": 2.0, name: 1.5}
            )
            for label, name in algorithms.items()
        },
    )


def test_what_is_written_is_read(tmp_path: Path, prepared: Prepared) -> None:
    tuning = tuning_of(prepared, conv3x3="f4", conv3x3_2="direct")
    path = tmp_path / "net.tuning.json"
    path.write_bytes(tuning.serialize())
    read, sha256 = read_tuning(path)
    assert read == tuning
    assert len(sha256) == 64
    shape = read.layers["conv3x3"].shape
    assert shape == (
        "conv3x3 (out channels 32) + relu: float32[N, 16, 24, 24] -> float32[N, 32, 24, 24]"
    )


def changed(value: Any, *keys: str, to: Any) -> Any:
    inner = value
    for key in keys[:-1]:
        inner = inner[key]
    if to is None:
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = to
    return value


@pytest.mark.parametrize(
    ("keys", "to", "said"),
    [
        (("format",), "cnndsl tuning 2", "does not say format 'cnndsl tuning 1'"),
        (("network",), 3, "network must be text, got 3"),
        (("program_sha256",), None, "program_sha256 is missing"),
        (("machine",), {"lanes": [1]}, "machine must be an object of texts and integers"),
        (("sizes",), {"N": 0}, "sizes must be an object of positive integers"),
        (("sizes",), {"N": True}, "sizes must be an object of positive integers"),
        (("layers",), [], "layers must be an object"),
        (("layers", "conv3x3"), 1, "the layer 'conv3x3' must be an object"),
        (("layers", "conv3x3", "shape"), 1, "shape of the layer 'conv3x3' must be text, got 1"),
        (
            ("layers", "conv3x3", "algorithm"),
            "f9",
            'must be one of direct, f2, f4, strassen, got "f9"',
        ),
        (("layers", "conv3x3", "algorithm"), ["f4"], "must be one of direct, f2, f4, strassen"),
        (("layers", "conv3x3", "algorithm"), None, "algorithm of the layer 'conv3x3' is missing"),
        (
            ("layers", "conv3x3", "seconds"),
            {"f9": 1.0},
            "must be seconds by direct, f2, f4, strassen",
        ),
        (
            ("layers", "conv3x3", "seconds"),
            {"f4": -1.0},
            "must be seconds by direct, f2, f4, strassen",
        ),
        (("layers", "conv3x3", "seconds"), {"f4": float("inf")}, "must be seconds by"),
        (("layers", "conv3x3", "seconds"), {"f4": float("nan")}, "must be seconds by"),
    ],
)
def test_every_value_is_checked(
    tmp_path: Path, prepared: Prepared, keys: tuple[str, ...], to: Any, said: str
) -> None:
    value = json.loads(tuning_of(prepared, conv3x3="f4").serialize())
    path = tmp_path / "net.tuning.json"
    path.write_text(json.dumps(changed(value, *keys, to=to), indent=2))
    with pytest.raises(CompileError) as caught:
        read_tuning(path)
    (problem,) = [d for d in caught.value.diagnostics if said in d.message]
    assert problem.code == "CNN805"
    if len(keys) > 1:
        assert problem.span is not None
        assert problem.span.text == '"conv3x3"'


def test_all_problems_are_said_at_once(tmp_path: Path, prepared: Prepared) -> None:
    value = json.loads(tuning_of(prepared, conv3x3="f4", conv3x3_2="f2").serialize())
    value["network"] = None
    value["layers"]["conv3x3"]["algorithm"] = "x"
    value["layers"]["conv3x3_2"]["shape"] = 0
    path = tmp_path / "net.tuning.json"
    path.write_text(json.dumps(value))
    with pytest.raises(CompileError) as caught:
        read_tuning(path)
    assert len(caught.value.diagnostics) == 3


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b"\xff\xfe", b'{"format": 1}', b"[" * 200_000, b"1" * 5000, b"null"],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.tuning.json"
    path.write_bytes(content)
    with pytest.raises(CompileError, match="CNN805"):
        read_tuning(path)


def test_a_mistake_in_the_text_is_located(tmp_path: Path) -> None:
    path = tmp_path / "net.tuning.json"
    path.write_text('{\n  "format": nothing\n}')
    with pytest.raises(CompileError) as caught:
        read_tuning(path)
    (problem,) = caught.value.diagnostics
    assert str(problem.span) == f"{path}:2:13"


def test_what_does_not_fit_is_said(prepared: Prepared) -> None:
    """Another text, a layer that is not there, another shape: each by name, none applied."""
    tuning = tuning_of(prepared, conv3x3="f4")
    layer = tuning.layers["conv3x3"]
    other = Tuning(
        network="net",
        program_sha256="0" * 64,
        machine={},
        sizes={},
        layers={"gone": layer, "conv3x3_2": layer},
    )
    options, warnings = tuned_options(prepared, other, "1" * 64)
    assert options == Options(tuning_sha256="1" * 64)
    assert [w.code for w in warnings] == ["CNN904"] * 3
    assert "another text of net" in warnings[0].message
    assert "no convolution 'gone'" in warnings[1].message
    assert f"conv3x3_2 was {layer.shape}, and is conv3x3" in warnings[2].message
    assert warnings[2].span is not None


def test_what_fits_is_applied_and_what_cannot_be_is_said(prepared: Prepared) -> None:
    tuning = tuning_of(prepared, conv3x3="direct", conv1x1="f4")
    options, warnings = tuned_options(prepared, tuning, "1" * 64)
    assert options.algorithms == {"conv3x3": "direct", "conv1x1": "f4"}
    (warning,) = warnings
    assert warning.code == "CNN904"
    assert "conv1x1 cannot be computed by f4, and stays direct" in warning.message


def test_the_module_says_what_was_chosen(prepared: Prepared) -> None:
    options = Options(algorithms={"conv3x3": "f4"}, tuning_sha256="ab" * 32)
    graph = prepared.optimized.graph
    text = emit(graph, "net", header=header(prepared, options=options), options=options)
    assert f"# tuning sha256: {'ab' * 32}\n" in text
    network = text[text.index("def network") : text.index("def bind")]
    first, second = network.split('plan.layer("conv3x3")')[1].split('plan.layer("conv3x3_2")')
    assert 'algorithm="f4"' in first
    assert "algorithm=" not in second
    assert 'WINOGRAD = "auto"' in text
    assert 'WINOGRAD = "f2"' in emit(graph, "net", header=header(prepared), options=Options("f2"))


def test_equal_tuning_gives_equal_bytes(prepared: Prepared) -> None:
    tuning = tuning_of(prepared, conv3x3="direct", conv3x3_2="direct")
    made = [
        numba_cpu_module(prepared, "net", tuned_options(prepared, tuning, "1" * 64)[0])
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert made[0] != numba_cpu_module(prepared, "net")


def test_an_algorithm_must_be_clearly_faster() -> None:
    assert fastest({"direct": 1.0}) == "direct"
    assert fastest({"direct": 1.02, "f2": 1.0, "f4": 1.1}) == "direct"
    assert fastest({"direct": 1.04, "f2": 1.0, "f4": 1.1}) == "f2"
    assert fastest({"direct": 2.0, "f2": 1.01, "f4": 1.0}) == "f4"


class FakeNetwork:
    """Plans as a generated network does: once, by what the settings were at the time."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self._plans: Any = {}

    def __call__(self, *arrays: Any) -> None:
        self._plans.setdefault(0, (self.module.WINOGRAD, self.module.STRASSEN))


TIMES = {
    ("conv3x3", "direct"): 3.0, ("conv3x3", "f2"): 2.0, ("conv3x3", "f4"): 1.0,
    ("conv3x3_2", "direct"): 1.0, ("conv3x3_2", "f2"): 2.0,
    ("conv1x1", "direct"): 1.0, ("conv1x1", "strassen"): 0.9,
}  # fmt: skip


def fake_profile(turns: list[str], net: FakeNetwork, *arrays: Any, runs: int) -> list[Any]:
    asked = {v: k for k, v in tuning_run.SETTINGS.items()}[net._plans[0]]
    turns.append(asked)
    records = []
    for label in ("conv3x3", "conv3x3_2", "conv1x1"):
        used = asked if (label, asked) in TIMES else "direct"
        # Two steps of a layer, and a run beside a busy process.
        seconds = np.full(runs, TIMES[label, used] / 2)
        seconds[0] *= 100
        records += [
            SimpleNamespace(label=label, parts=(), algorithm=name, macs=macs, seconds=seconds)
            for name, macs in ((f"{used}: inputs", 0), (used, 9))
        ]
    return records


def test_each_algorithm_has_its_turn_and_the_fastest_wins(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[str] = []
    module: Any = SimpleNamespace(WINOGRAD="auto", STRASSEN="auto", FUSE="auto", LANES=8)
    module.profile = lambda net, *arrays, runs: fake_profile(turns, net, *arrays, runs=runs)
    monkeypatch.setattr(tuning_run, "loaded", lambda *_: (module, FakeNetwork(module)))
    found = tune(prepared, threads=1, runs=12)
    assert turns == ["direct", "f2", "f4", "strassen"] * 3
    assert (module.WINOGRAD, module.STRASSEN) == ("auto", "auto")
    assert {label: x.algorithm for label, x in found.layers.items()} == {
        "conv3x3": "f4",
        "conv3x3_2": "direct",
        "conv1x1": "strassen",
    }
    assert found.layers["conv3x3"].seconds == {"direct": 3.0, "f2": 2.0, "f4": 1.0}
    assert found.layers["conv3x3_2"].seconds == {"direct": 1.0, "f2": 2.0}
    assert found.machine["lanes"] == 8
    assert found.sizes == {"N": 1}
    assert found.program_sha256 == prepared.source_sha256


def test_a_setting_is_put_back_after_a_failure() -> None:
    def fail(*arrays: Any) -> None:
        raise KeyboardInterrupt

    class Failing(FakeNetwork):
        __call__ = staticmethod(fail)

    module: Any = SimpleNamespace(WINOGRAD="auto", STRASSEN="auto", FUSE="auto")
    with pytest.raises(KeyboardInterrupt):
        tuning_run.variant(module, Failing(module), "f4", [])
    assert (module.WINOGRAD, module.STRASSEN) == ("auto", "auto")
