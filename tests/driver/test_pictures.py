"""Photographs as inputs: geometry, values, and pictures that are none."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnndsl.diagnostics import CompileError
from cnndsl.driver.image import DEVIATION, MEAN, read_image

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


def test_the_photo_as_torchvision_prepares_it() -> None:
    """Resize the shorter side to 256, cut 224 from the centre, normalise: step by step."""
    picture = Image.open(PHOTO).convert("RGB").resize((256, 256), Image.Resampling.BILINEAR)
    cut = np.asarray(picture)[16:240, 16:240].astype(np.float64) / 255
    expected = ((cut - MEAN) / DEVIATION).transpose(2, 0, 1)[None]
    found = read_image(PHOTO, 3, 224, 224)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("size", [(90, 40), (40, 90), (7, 300)])
@pytest.mark.parametrize("shape", [(32, 32), (24, 48), (1, 1)])
def test_any_picture_fits_any_input(
    tmp_path: Path, size: tuple[int, int], shape: tuple[int, int]
) -> None:
    Image.new("RGB", size, (255, 0, 0)).save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png", 3, *shape)
    assert found.shape == (1, 3, *shape)
    # A plain picture stays plain: nothing from beyond its edge was cut out.
    red = (np.array([1, 0, 0]) - MEAN) / DEVIATION
    np.testing.assert_allclose(found, np.broadcast_to(red[:, None, None], found.shape), atol=1e-5)


def test_one_channel_is_luminance(tmp_path: Path) -> None:
    Image.new("L", (10, 10), 51).save(tmp_path / "a.png")
    np.testing.assert_allclose(read_image(tmp_path / "a.png", 1, 8, 8), 0.2, atol=1e-6)


def test_transparency_and_palettes_are_read(tmp_path: Path) -> None:
    for mode in ("RGBA", "P", "LA", "CMYK"):
        path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
        Image.new(mode, (9, 9)).save(path)
        assert read_image(path, 3, 4, 4).shape == (1, 3, 4, 4)


def test_sixteen_bits_are_scaled_not_cut(tmp_path: Path) -> None:
    grey = np.full((9, 9), 20_000, np.uint16)
    grey[:, :3], grey[:, 6:] = 0, 65_535
    Image.fromarray(grey).save(tmp_path / "sixteen.png")
    Image.fromarray((grey // 257).astype(np.uint8)).save(tmp_path / "eight.png")
    for channels in (1, 3):
        sixteen, eight = (
            read_image(tmp_path / f"{n}.png", channels, 9, 9) for n in ("sixteen", "eight")
        )
        np.testing.assert_allclose(sixteen, eight, atol=0.02)
        assert np.unique(sixteen).size > 2 * channels


def test_values_of_unknown_range_are_refused(tmp_path: Path) -> None:
    with open(tmp_path / "a.png", "wb") as f:
        Image.new("F", (9, 9), 0.5).save(f, "TIFF")
    with pytest.raises(CompileError, match="unknown range"):
        read_image(tmp_path / "a.png", 3, 8, 8)


def bomb() -> bytes:
    """Return a PNG that claims 100 000 x 100 000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99)))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "not a picture"),
        (b"hello", "not a picture"),
        (bomb(), "too many pixels"),
        (PHOTO.read_bytes()[:20_000], "truncated"),
    ],
)
def test_bad_pictures_are_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(CompileError, match=expected) as error:
        read_image(tmp_path / "a.png", 3, 224, 224)
    assert error.value.diagnostics[0].code == "CNN803"


def test_other_channel_counts_are_refused() -> None:
    with pytest.raises(CompileError, match="1 or 3 channels"):
        read_image(PHOTO, 4, 32, 32)
