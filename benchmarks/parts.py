"""All parts of the benchmarks, by name, and the names that stand for several."""

from __future__ import annotations

from benchmarks.factorization.parts import factorization_parts
from benchmarks.measure import Part, speed_parts

GROUPS = {
    "speed": tuple(part.name for part in speed_parts()),
    "factorization": tuple(part.name for part in factorization_parts()),
}
"""On the command line, the name of all of its parts."""


def parts() -> dict[str, Part]:
    """Return all parts in the order they are measured."""
    return {part.name: part for part in (*speed_parts(), *factorization_parts())}
