"""The network without batch norm normalises itself, as its comment says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnndsl.backends.reference.run import run
from cnndsl.driver.load import load
from cnndsl.weights.initialize import initialize

PROGRAM = Path(__file__).parents[2] / "examples" / "selu_net.cnn"
CLASSIFIER = "output logits = maps -> flatten -> (dense(512) -> selu) ** 2 -> dense(classes)"
SHOWN = """
hidden = maps -> flatten -> (dense(512) -> selu) ** 2
output maps
output hidden
output logits = hidden -> dense(classes)
"""


@pytest.mark.parametrize(("activation", "normalises"), [("selu", True), ("tanh", False)])
def test_activations_keep_mean_0_and_variance_1(
    tmp_path: Path, activation: str, normalises: bool
) -> None:
    """Through eight layers; zeros around the maps take away a part of the variance."""
    text = PROGRAM.read_text(encoding="utf-8")
    assert CLASSIFIER in text
    text = text.replace(CLASSIFIER, SHOWN).replace("-> selu", f"-> {activation}")
    (tmp_path / "net.cnn").write_text(text)
    graph = load(tmp_path / "net.cnn").graph
    image = np.random.default_rng(1).standard_normal((4, 3, 32, 32))
    results = run(graph, {"image": image}, initialize(graph, 0))
    for name in ("maps", "hidden"):
        assert abs(results[name].mean()) < 0.1
        assert (0.7 < results[name].var() < 1.3) == normalises
