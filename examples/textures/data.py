"""Six photographs of scikit-image, cut into what is learnt from and what is held out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage.data
from numpy.typing import NDArray
from skimage.color import rgb2gray

FOLDER = Path(__file__).resolve().parent
PROGRAM = FOLDER / "textures.cnn"
WEIGHTS = FOLDER / "textures.safetensors"
ANSWERS = FOLDER / "answers.safetensors"
"""PyTorch's scores of the held-out patches, as train.py left them."""

NAMES = ("brick", "grass", "gravel", "moon", "tissue", "galaxies")
_SOURCES = ("brick", "grass", "gravel", "moon", "immunohistochemistry", "hubble_deep_field")

SIZE = 512
"""Of a photograph's side; the largest one is cut down to it."""
SEAM = 320
"""Training sees columns before this one only, tests those from it on."""
PATCH = 46
"""What one answer of the network sees."""
JUMP = 4
"""How far neighbouring answers are apart."""
TILE = SIZE - SEAM
"""The side of a piece of the mosaic."""


def photographs() -> NDArray[np.float32]:
    """Return float32[6, 1, 512, 512] in 0..1, in the order of NAMES."""
    return np.stack([_grey(source)[None, :SIZE, :SIZE] for source in _SOURCES])


def _grey(source: str) -> NDArray[np.float32]:
    picture = getattr(skimage.data, source)()
    plain = rgb2gray(picture) if picture.ndim == 3 else picture / 255
    return np.asarray(plain, np.float32)


def trained_on() -> NDArray[np.float32]:
    """Return what the network may learn from, float32[6, 1, 512, 320]."""
    return np.ascontiguousarray(photographs()[..., :SEAM])


@dataclass(frozen=True, slots=True)
class Patches:
    """Pictures float32[count, 1, 46, 46], and which texture each shows, int64[count]."""

    pictures: NDArray[np.float32]
    classes: NDArray[np.int64]


def held_out() -> Patches:
    """Return patches beside each other from the part that training never sees."""
    part = photographs()[:, 0, :, SEAM:]
    rows, columns = (extent // PATCH for extent in part.shape[1:])
    cut = part[:, : rows * PATCH, : columns * PATCH]
    tiles = cut.reshape(len(NAMES), rows, PATCH, columns, PATCH).swapaxes(2, 3)
    return Patches(
        np.ascontiguousarray(tiles.reshape(-1, 1, PATCH, PATCH)),
        np.repeat(np.arange(len(NAMES)), rows * columns),
    )


@dataclass(frozen=True, slots=True)
class Mosaic:
    """A picture float32[1, 1, 384, 576] of held-out textures, and the texture of each pixel."""

    picture: NDArray[np.float32]
    classes: NDArray[np.int64]

    def seen(self, rows: int, columns: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return, for a map of answers, the texture at each one's centre, and if it sees no other.

        Answer i sees the pixels from 4 i to 4 i + 45.
        """
        view = np.lib.stride_tricks.sliding_window_view(self.classes, (PATCH, PATCH))
        windows = view[::JUMP, ::JUMP][:rows, :columns]
        centre = windows[..., PATCH // 2, PATCH // 2]
        return centre, np.all(windows == centre[..., None, None], axis=(2, 3))


def mosaic() -> Mosaic:
    """Return two rows of three tiles, all of them from the part that training never sees."""
    top = (SIZE - TILE) // 2
    tiles = photographs()[:, 0, top : top + TILE, SEAM:]
    order = np.arange(len(NAMES)).reshape(2, 3)
    picture = np.block([[tiles[k] for k in row] for row in order])
    classes = np.kron(order, np.ones((TILE, TILE), np.int64))
    return Mosaic(np.ascontiguousarray(picture[None, None]), classes)
