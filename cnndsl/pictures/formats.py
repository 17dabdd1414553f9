"""The formats of diagrams: what writes each, and which suffixes mean it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cnndsl.pictures.content import Ink
from cnndsl.pictures.diagram import Diagram
from cnndsl.pictures.dot import to_dot
from cnndsl.pictures.mermaid import to_mermaid
from cnndsl.pictures.svg import to_svg

WRITERS: Mapping[str, Callable[[Diagram, Ink, str], str]] = {
    "svg": to_svg,
    "dot": to_dot,
    "mermaid": to_mermaid,
}

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "svg": (".svg",),
    "dot": (".dot", ".gv"),
    "mermaid": (".mmd", ".mermaid"),
}


def format_of(suffix: str) -> str | None:
    """Return the format that a file's suffix means."""
    return next((name for name, known in SUFFIXES.items() if suffix.lower() in known), None)
