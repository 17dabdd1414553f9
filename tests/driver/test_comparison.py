"""A backend that answers wrongly is caught: by `verify`, and by `bench` before it times."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError
from cnndsl.driver import bench, verify
from cnndsl.driver.choice import Choice
from cnndsl.driver.prepare import Prepared, prepare
from cnndsl.ops.base import Array

PROGRAM = """network two
input x: float32[N, 3]
output right = x -> dense(4)
output wrong = x -> dense(5) -> relu
"""


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    path = tmp_path / "two.cnn"
    path.write_text(PROGRAM)
    return prepare(path, Choice({}))


@pytest.fixture
def spoilt(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let numba-cpu give the values of this dictionary as its outputs."""
    spoils: dict[str, Any] = {}

    def runner(
        name: str, prepared: Prepared, folder: Path, threads: int | None = None, options: Any = None
    ) -> Any:
        def call(inputs: Mapping[str, Array]) -> dict[str, Array]:
            results = run(prepared.graph, inputs, prepared.weights)
            if name == "numba-cpu":
                results |= {n: spoil(results[n]) for n, spoil in spoils.items()}
            return results

        return call

    monkeypatch.setattr(verify, "runner", runner)
    monkeypatch.setattr(bench, "runner", runner)
    return spoils


def _one_element(a: Array) -> Array:
    changed = a.copy()
    changed[0, -1] += 0.01
    return changed


SPOILS = {
    "value": _one_element,
    "nan": lambda a: np.where(a == a.max(), np.float32(np.nan), a),
    "shape": lambda a: a[:, :-1],
    "dtype": lambda a: a.astype(np.int64),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_verify_names_the_output_that_is_wrong(
    prepared: Prepared, spoilt: dict[str, Any], spoil: str
) -> None:
    spoilt["wrong"] = SPOILS[spoil]
    agrees = {(d.backend, d.output): d.agrees for d in verify.verify(prepared, 0)}
    assert [where for where, ok in agrees.items() if not ok] == [("numba-cpu", "wrong")]
    assert ("numba-cpu", "right") in agrees


@pytest.mark.parametrize("spoil", SPOILS)
def test_bench_times_no_wrong_answer(
    prepared: Prepared, spoilt: dict[str, Any], spoil: str
) -> None:
    spoilt["wrong"] = SPOILS[spoil]
    with pytest.raises(CompileError) as error:
        bench.bench(prepared, ["reference"], pace=bench.Pace(3))
    (found,) = error.value.diagnostics
    assert found.code == "CNN703"
    assert "output wrong of numba-cpu differs from reference's" in found.message


def test_bench_times_equal_answers(prepared: Prepared, spoilt: dict[str, Any]) -> None:
    result = bench.bench(prepared, ["reference"], pace=bench.Pace(3))
    assert [len(t.milliseconds) for t in (result.ours, *result.others)] == [3, 3]
