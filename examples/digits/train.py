"""Train digits.cnn with PyTorch: `python -m examples.digits.train`.

Writes digits.safetensors, and answers.safetensors with what PyTorch says of the held-out pictures.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from examples import training
from examples.digits import data


@click.command()
@click.option("--epochs", type=click.IntRange(1), default=40, show_default=True)
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
    logits = training.answers(network, new.pictures)
    right = int(np.sum(logits.argmax(1) == new.classes))
    print(f"loss {loss:.3f}; {right} of {len(new.classes)} held-out digits are right", end="")
    print(f" ({right / len(new.classes):.2%})")
    training.write(
        output,
        {data.WEIGHTS.name: training.weights_of(network), data.ANSWERS.name: {"logits": logits}},
    )


def lessons() -> training.Batches:
    """Return what makes an epoch: every picture that may be learnt from, moved anew."""
    known = data.trained_on()
    pictures, classes = torch.from_numpy(known.pictures), torch.from_numpy(known.classes)

    def batches(generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(classes), generator=generator)
        return [(moved(pictures[part], generator), classes[part]) for part in order.split(64)]

    return batches


def moved(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Return each picture turned, sheared, scaled and shifted a little, as another writer might."""
    count = len(pictures)
    change = torch.randn((count, 2, 3), generator=generator)
    change = change.clamp(-2, 2) * torch.tensor([[0.08, 0.12, 0.10], [0.12, 0.08, 0.10]])
    grid = functional.affine_grid(
        torch.eye(2, 3) + change, list(pictures.shape), align_corners=False
    )
    return functional.grid_sample(pictures, grid, align_corners=False)


if __name__ == "__main__":
    main()
