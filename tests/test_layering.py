"""Imports point one way: from the command line down to diagnostics."""

from __future__ import annotations

import ast
from pathlib import Path

import cnndsl

PACKAGE = Path(cnndsl.__file__).parent

LAYERS = (
    {"limits", "resources"},
    {"diagnostics"},
    {"files"},
    {"types"},
    {"ops"},
    {"ir"},
    {"analysis", "passes", "weights", "syntax", "elaborate"},
    {"backends", "factorize", "importers", "pictures"},
    {"driver"},
    {"cli", "docs", "docs_gallery", "docs_onnx", "docs_pictures"},
    {"__main__"},
)
WITHIN_A_LAYER = {
    ("analysis", "weights"),
    ("backends", "importers"),
    ("elaborate", "analysis"),
    ("elaborate", "syntax"),
}
"""Pairs of one layer, of which the first may import the second."""


def level(part: str) -> int:
    return next(i for i, parts in enumerate(LAYERS) if part in parts)


def imports() -> list[tuple[str, str, Path]]:
    """Return (importing part, imported part, file) for every import of cnndsl in cnndsl."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path == PACKAGE / "__init__.py":
            continue
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import"
                if node.module == "cnndsl":
                    names = [f"cnndsl.{a.name}" for a in node.names if a.name != "__version__"]
                else:
                    names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            found += [
                (part, name.split(".")[1], path) for name in names if name.startswith("cnndsl.")
            ]
    return found


def test_imports_point_one_way() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {there}"
        for here, there, path in imports()
        if here != there and level(there) >= level(here) and (here, there) not in WITHIN_A_LAYER
    ]
    assert not wrong


def test_every_part_has_a_layer() -> None:
    parts = {p.name.removesuffix(".py") for p in PACKAGE.iterdir()} - {
        "__init__",
        "__pycache__",
        "py.typed",
        "library",
        "_resources",
    }
    assert parts == set().union(*LAYERS)


def test_imports_are_found() -> None:
    assert ("cli", "driver") in {(a, b) for a, b, _ in imports()}
