"""Scikit-learn's handwritten digits: 1 797 scanned by NIST, 8x8 pixels each, from 43 writers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

FOLDER = Path(__file__).resolve().parent
PROGRAM = FOLDER / "digits.cnn"
WEIGHTS = FOLDER / "digits.safetensors"
ANSWERS = FOLDER / "answers.safetensors"
"""PyTorch's logits of the held-out pictures, as train.py left them."""

TRAINED_ON = 1348
"""The first three quarters. They lie in the order of their writers, so most who wrote the held-out
ones wrote none of these: harder than a random split, and closer to what a user wants to know."""


@dataclass(frozen=True, slots=True)
class Digits:
    """Pictures float32[count, 1, 8, 8] in 0..1, and which digit each shows, int64[count]."""

    pictures: NDArray[np.float32]
    classes: NDArray[np.int64]


def trained_on() -> Digits:
    """Return the pictures that the network may learn from."""
    return _digits(slice(None, TRAINED_ON))


def held_out() -> Digits:
    """Return the pictures that training never sees."""
    return _digits(slice(TRAINED_ON, None))


def _digits(part: slice) -> Digits:
    pictures, classes = load_digits(return_X_y=True)
    scaled = (pictures / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    return Digits(np.ascontiguousarray(scaled[part]), classes[part].astype(np.int64))
