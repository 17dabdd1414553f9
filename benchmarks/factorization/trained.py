"""The trained examples, as the measurements need them: data to fit to, to train on, to test on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnndsl.ops.base import Array

SAMPLES = 512
"""Pictures for calibration, all of them from what the network was trained on."""

TRAINED = ("digits", "textures")

BATCH = {"digits": 64, "textures": 8}
"""Pictures that are timed at once: of one alone, a call's own time would hide the layers'."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A program, its weights, pictures to fit it to, and pictures that training never saw."""

    name: str
    program: Path
    weights: Path
    calibration: Array
    pictures: Array
    classes: Array

    def right(self, answers: Array) -> int:
        """Return how many of the held-out pictures are answered right."""
        return int(np.sum(answers.reshape(len(self.classes), -1).argmax(1) == self.classes))


def trained(name: str) -> Trained:
    """Return one of the trained examples."""
    if name == "digits":
        from examples.digits import data

        known, held = data.trained_on().pictures, data.held_out()
        step = len(known) // SAMPLES
        samples = np.ascontiguousarray(known[::step][:SAMPLES])
        return Trained(name, data.PROGRAM, data.WEIGHTS, samples, held.pictures, held.classes)
    from examples.textures import data as textures

    return Trained(
        name,
        textures.PROGRAM,
        textures.WEIGHTS,
        _patches(textures.trained_on(), textures.PATCH),
        textures.held_out().pictures,
        textures.held_out().classes,
    )


def _patches(photographs: Array, side: int) -> Array:
    """Return patches from anywhere in the photographs, as many of each."""
    rng = np.random.default_rng(0)
    height, width = photographs.shape[2:]
    found = []
    for number in range(SAMPLES):
        row, column = rng.integers(height - side + 1), rng.integers(width - side + 1)
        found.append(
            photographs[number % len(photographs), :, row : row + side, column : column + side]
        )
    return np.stack(found)


def retrained(name: str, program: Path, weights: Path, epochs: int) -> Array:
    """Train a network a little more, by the torch target; return its answers to held-out pictures.

    The rate starts low: the weights are good already.
    """
    import torch

    from cnndsl.weights.files import read
    from examples import training
    from examples.digits.train import lessons as digits
    from examples.textures.train import lessons as textures

    network = training.network_of(program, seed=0)
    tensors = {n: torch.from_numpy(np.array(a)) for n, a in read(weights).items()}
    network.load_state_dict(tensors)
    lessons = digits if name == "digits" else textures
    training.fit(network, lessons(), epochs, seed=0, rate=1e-3)
    return training.answers(network, trained(name).pictures)
