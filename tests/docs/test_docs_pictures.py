"""The documents' pictures are what the command draws."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.docs_pictures import PICTURES, draw

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_up_to_date(name: str) -> None:
    shown = (ROOT / "docs" / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
    assert draw(ROOT / "examples" / f"{name}.cnn") == shown, "run make docs"
