"""Turn a photograph into a network's input, as torchvision's classifiers are evaluated."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.ops.base import Array

if TYPE_CHECKING:
    import PIL.Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Of ImageNet's training set, per channel (red, green, blue), for values in 0..1."""

_RESIZE = 256 / 224
"""The picture is made larger than the crop by this factor."""


def read_image(path: Path, channels: int, height: int, width: int) -> Array:
    """Return float32[1, channels, height, width]: resized, centre-cropped, normalised.

    One channel gives luminance in 0..1, not normalised. Raises CompileError (CNN803).
    """
    try:
        import PIL
        import PIL.Image
    except ImportError:
        raise _unusable(
            path, "reading pictures needs Pillow", "pip install 'cnndsl[image]'"
        ) from None
    if channels not in (1, 3):
        raise _unusable(path, f"a picture has 1 or 3 channels, the input {channels}", None)
    mode = "RGB" if channels == 3 else "L"
    try:
        with warnings.catch_warnings():
            # Pillow warns of a picture that would expand into too much memory; take it as refusal.
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(path) as picture:
                scale = max(height / picture.height, width / picture.width) * _RESIZE
                size = (int(picture.width * scale + 1e-6), int(picture.height * scale + 1e-6))
                if size[0] * size[1] > 4 * (PIL.Image.MAX_IMAGE_PIXELS or 1 << 27):
                    raise _unusable(path, "the picture is too long and thin to be resized", None)
                plain = _eight_bits(picture, path).convert(mode)
                resized = plain.resize(size, PIL.Image.Resampling.BILINEAR)
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        raise _unusable(path, "the picture has too many pixels", None) from None
    except PIL.UnidentifiedImageError:
        raise _unusable(path, "it is not a picture that Pillow can read", None) from None
    except (OSError, ValueError, SyntaxError) as error:
        raise _unusable(path, str(error), None) from None
    left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
    cropped = resized.crop((left, top, left + width, top + height))
    pixels: Array = np.asarray(cropped, np.float32).reshape(height, width, channels) / np.float32(
        255
    )
    if channels == 3:
        pixels = (pixels - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)


def _eight_bits(picture: PIL.Image.Image, path: Path) -> PIL.Image.Image:
    """Return a picture with values of 8 bits: Pillow's own conversion would cut larger ones off."""
    import PIL.Image

    if picture.mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.uint32)
        return PIL.Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise _unusable(path, "its values have 32 bits, of unknown range", None)
    return picture


def _unusable(path: Path, reason: str, help: str | None) -> CompileError:
    return CompileError(
        Diagnostic(code="CNN803", message=f"{path} cannot be used: {reason}", help=help)
    )
