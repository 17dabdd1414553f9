"""Results as the benchmarks keep them, made up; and cells of the tables that show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.results import Results

MACHINE = {
    "processor": "Some CPU", "vectors": "AVX2", "processors": 4, "memory_gib": 8,
    "system": "Linux x86_64", "python": "3.12.0",
}  # fmt: skip
STAMP = {"measured": "2026-01-02T03:04:05+00:00", "cnndsl": "0.1.0 (abc)"}


def results(part: str, entries: dict[str, Any], processor: str = "Some CPU") -> Results:
    stamped = {key: {**entry, **STAMP} for key, entry in entries.items()}
    machine = {**MACHINE, "processor": processor}
    return Results(Path(f"{part}.json"), machine, {"numba": "1.0"}, stamped)


def cells(text: str, first: str) -> list[str]:
    """Return the cells of the table's row that begins with a word."""
    (row,) = (line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]
