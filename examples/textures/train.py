"""Train textures.cnn on patches with PyTorch: `python -m examples.textures.train`.

Writes textures.safetensors, and answers.safetensors with what PyTorch says of the held-out patches.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from examples import training
from examples.textures import data

BATCH = 48
BATCHES = 20
"""In an epoch."""


@click.command()
@click.option("--epochs", type=click.IntRange(1), default=16, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=data.FOLDER,
    help="The folder to write to.  [default: that of the example]",
)
def main(epochs: int, seed: int, output: Path) -> None:
    """Train the network and write its weights."""
    network = training.network_of(data.PROGRAM, seed)
    new = data.held_out()
    loss = training.fit(network, lessons(), epochs, seed)
    scores = training.answers(network, new.pictures)
    right = int(np.sum(scores.argmax(1).ravel() == new.classes))
    print(f"loss {loss:.3f}; {right} of {len(new.classes)} held-out patches are right", end="")
    print(f" ({right / len(new.classes):.2%})")
    training.write(
        output,
        {data.WEIGHTS.name: training.weights_of(network), data.ANSWERS.name: {"scores": scores}},
    )


def lessons() -> training.Batches:
    """Return what makes an epoch: patches of what may be learnt from."""
    known = torch.from_numpy(data.trained_on())

    def batches(generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        return [patches(known, generator) for _ in range(BATCHES)]

    return batches


def patches(known: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a batch of patches and their classes: anywhere, any way round, in any light."""

    def draw(below: int) -> list[int]:
        numbers: list[int] = torch.randint(below, (BATCH,), generator=generator).tolist()
        return numbers

    height, width = known.shape[2:]
    classes, turns, flips = draw(len(known)), draw(4), draw(2)
    rows, columns = draw(height - data.PATCH + 1), draw(width - data.PATCH + 1)
    cut = []
    for k, row, column, turn, flip in zip(classes, rows, columns, turns, flips):
        patch = known[k, :, row : row + data.PATCH, column : column + data.PATCH]
        patch = torch.rot90(patch, turn, (1, 2))
        cut.append(patch.flip(2) if flip else patch)
    contrast = torch.rand((BATCH, 1, 1, 1), generator=generator) + 0.5
    brightness = (torch.rand((BATCH, 1, 1, 1), generator=generator) - 0.5) * 0.6
    return torch.stack(cut) * contrast + brightness, torch.tensor(classes)


if __name__ == "__main__":
    main()
