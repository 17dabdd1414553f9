"""Inputs that answers depend on."""

from __future__ import annotations

import numpy as np

from cnndsl.driver.prepare import Prepared
from cnndsl.driver.samples import random_inputs, usual_sizes
from cnndsl.ops.base import Array

FACTORS = {"darknet53": 2e-5}
"""Of inputs: with random weights the logits of some networks are so large that softmax makes them 0
and 1, whatever the layers before did."""


def samples(prepared: Prepared, seed: int, batch: int) -> dict[str, Array]:
    """Return random inputs of the usual sizes."""
    found = random_inputs(prepared.graph, seed, usual_sizes(prepared.graph, batch))
    factor = np.float32(FACTORS.get(prepared.graph.name, 1.0))
    return {n: a * factor if a.dtype.kind == "f" else a for n, a in found.items()}
