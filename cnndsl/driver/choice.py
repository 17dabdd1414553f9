"""What a user chooses about a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cnndsl.elaborate.inputs import Setting


@dataclass(frozen=True, slots=True)
class Choice:
    """Values of parameters and symbols, and where weights come from.

    `weights` is a file, whose tensors are renamed as the file `mapping` says and matched by exact
    name, or by order and shape if `match` is "order". Without one, weights are random from `seed`.
    """

    settings: Mapping[str, Setting]
    weights: Path | None = None
    seed: int = 0
    mapping: Path | None = None
    match: str = "name"
