"""Cells and tables in Markdown, and which entries of the results can be shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.measure import Found
from benchmarks.networks import NETWORKS
from benchmarks.results import Results

_SECTION = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill_sections(text: str, sections: Mapping[str, str]) -> str:
    """Return a document with some of its generated sections made anew."""
    return _SECTION.sub(lambda m: m[1] + sections[m[2]] + m[3] if m[2] in sections else m[0], text)


def mark(value: float, least: float) -> str:
    """Say whether a value is what was wanted."""
    return "reached" if value >= least else "**not reached**"


def sound(results: Results) -> dict[str, Found]:
    """Return the entries that could be measured, in order: networks, or numbers."""
    keys = sorted(results.entries, key=_place)
    return {key: results.entries[key] for key in keys if "error" not in results.entries[key]}


def _place(key: str) -> int:
    if key in NETWORKS:
        return list(NETWORKS).index(key)
    return int(key) if key.isdigit() else 0  # others as they were measured


def ms(milliseconds: float) -> str:
    """Return a time as people read it."""
    return f"{milliseconds:.0f}" if milliseconds >= 1000 else f"{milliseconds:.3g}"


def capital(text: str) -> str:
    """Return a text that begins like a sentence."""
    return text[:1].upper() + text[1:]


def table(heading: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table; the first columns hold words, the rest numbers."""
    lines = [heading, ["---"] * left + ["--:"] * (len(heading) - left), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)
