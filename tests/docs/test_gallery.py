"""The gallery shows every example as it is."""

from __future__ import annotations

from pathlib import Path

from cnndsl.docs_gallery import ELSEWHERE, SECTIONS, exhibit, page

ROOT = Path(__file__).parents[2]
NAMES = [name for names in SECTIONS.values() for name in names]


def test_every_example_is_shown_once() -> None:
    assert sorted(NAMES) == sorted(p.stem for p in (ROOT / "examples").glob("*.cnn"))
    assert set(ELSEWHERE) <= set(NAMES)


def test_the_gallery_is_up_to_date() -> None:
    shown = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert page(ROOT / "examples") == shown, "run make docs"


def test_what_is_said_of_an_example() -> None:
    yolo = exhibit(ROOT / "examples" / "yolov3.cnn")
    assert (yolo.input_size, yolo.receptive_field, yolo.jump) == (
        "3x416x416",
        "917, 965, 989",
        "32, 16, 8",
    )
    assert yolo.imported == ("std/darknet.cnn",)
    library = (ROOT / "cnndsl" / "library" / "std" / "darknet.cnn").read_text(encoding="utf-8")
    assert yolo.lines == f"{len(yolo.source.splitlines())} + {len(library.splitlines())}"
    gcnn = exhibit(ROOT / "examples" / "gcnn.cnn")
    assert (gcnn.receptive_field, gcnn.jump) == ("47", "1"), "four outputs that see the same"
    volume = exhibit(ROOT / "examples" / "conv3d.cnn")
    assert (volume.receptive_field, volume.jump) == ("68x134x134", "8x16x16")
