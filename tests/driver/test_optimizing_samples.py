"""How much calibration data is looked at, what is held out, which layers see too little."""

from __future__ import annotations

import numpy as np
import pytest
from elaborate.elaborating import graph_of

from cnndsl.backends.reference.run import run
from cnndsl.driver.optimizing import enough
from cnndsl.driver.optimizing.document import document, explanation, unfitted_text
from cnndsl.driver.optimizing.enough import samples_wanted
from cnndsl.driver.optimizing.optimize import optimize
from cnndsl.driver.optimizing.request import Request, schemes_named
from cnndsl.driver.optimizing.rules import parse_rule
from cnndsl.driver.optimizing.samples import array_data, fitted_to, held_out
from cnndsl.weights.initialize import initialize

HALF = Request(schemes=schemes_named(["spatial_svd"]), ranks=parse_rule("ratio=2", {}))


def samples(text: str, **sizes: int) -> int:
    return samples_wanted(graph_of(f"network net\n{text}\n", ""), sizes)


def test_small_maps_take_more_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    large = "input x: float32[N, 16, 32, 32]\noutput y = x -> conv3x3(16)"
    assert samples(large) == 128
    # 9 outputs a sample, each of 9 * 32 inputs: 2 * 288 / 9 = 64 samples, of which 3/4 are fitted.
    small = "input x: float32[N, {}, 3, 3]\noutput y = x -> conv3x3(8)"
    assert samples(small.format(32)) == 128
    assert samples(small.format(320)) == 8 * -(-640 // 6) == 856
    # One that would take more than 2048 asks for none, and others have their share.
    assert samples(small.format(320) + " -> flatten -> dense(100) -> dense(4)") == 856
    assert samples("input x: float32[N, 2000]\noutput y = x -> dense(4)") == 128
    # Two values of 320 * 9 and 8 * 9 numbers, in both networks.
    monkeypatch.setattr(enough, "_MOST_BYTES", 200 * 2 * 4 * 9 * 328)
    assert samples(small.format(320)) == 200


@pytest.mark.parametrize("batch", ["N", "1", "4"])
def test_a_quarter_is_held_out_however_samples_come(batch: str) -> None:
    """A model may have a batch of one: of single samples, too, every fourth is held out."""
    graph = graph_of(
        f"network net\ninput x: float32[{batch}, 4, 8, 8]\n"
        "output y = x -> conv3x3(8) -> relu -> conv3x3(8)\n",
        "",
    )
    images = np.random.default_rng(0).standard_normal((48, 4, 8, 8)).astype(np.float32)
    step = 8 if batch == "N" else int(batch)
    data = [{"x": part} for part in np.split(images, 48 // step)]
    held = [i for i in range(48) if (i // 4 if batch == "4" else i) % 4 == 3]
    assert np.array_equal(np.concatenate([d["x"] for d in held_out(graph, data)]), images[held])
    rest = np.delete(images, held, axis=0)
    assert np.array_equal(np.concatenate([d["x"] for d in fitted_to(graph, data)]), rest)
    weights = initialize(graph, 0)
    outcome = optimize(graph, weights, HALF, data)
    assert outcome.samples == 12
    pairs = [
        [run(g, d, w)["y"] for d in held_out(graph, data)]
        for g, w in ((graph, weights), (outcome.graph, outcome.weights))
    ]
    exact, made = map(np.concatenate, pairs)
    error = float(np.linalg.norm(exact - made) / np.linalg.norm(exact))
    assert outcome.errors["y"] == pytest.approx(error, rel=1e-3)
    assert error > 0.01


def test_what_is_not_fitted_is_said() -> None:
    graph = graph_of(
        "network net\ninput x: float32[N, 32, 16, 16]\n"
        "output y = x -> conv3x3(32) -> relu -> conv3x3(32, groups=4) -> maxpool8x8(stride=8)\n"
        "-> conv3x3(32)\n",
        "",
    )
    images = np.random.default_rng(0).standard_normal((16, 32, 16, 16)).astype(np.float32)
    weights = initialize(graph, 0)
    plain = optimize(graph, weights, HALF)
    assert unfitted_text(plain) == ""
    outcome = optimize(graph, weights, HALF, array_data(graph, "x", images))
    first, grouped, last = outcome.decisions
    assert all(d.is_changed for d in outcome.decisions)
    assert first.unfitted is None
    assert grouped.unfitted is not None
    assert "it is grouped" in grouped.unfitted
    # 12 samples of 4 positions; 4 inputs and 3x3 of 32 channels: 2 * 288 outputs, in 144 samples.
    said = (
        "an output sees 288 inputs, so that 576 outputs must be seen, and only 48 were; that takes "
        "192 samples of the usual size"
    )
    assert last.unfitted == said
    assert f"{last.place.label}: {said}" in unfitted_text(outcome)
    section = explanation(outcome, last.place.label)
    assert section is not None
    assert f"Not fitted to the data: {said}." in section.text
    table = next(s.table for s in document(outcome) if "not fitted" in s.title)
    assert table is not None
    assert [row[0] for row in table.rows] == [grouped.place.label, last.place.label]
    # With enough of them it is fitted.
    many = np.random.default_rng(1).standard_normal((192, 32, 16, 16)).astype(np.float32)
    assert (
        optimize(graph, weights, HALF, array_data(graph, "x", many)).decisions[2].unfitted is None
    )
