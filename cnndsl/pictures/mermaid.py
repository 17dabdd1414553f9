"""Write a diagram in the language of Mermaid, which Markdown of GitHub and GitLab shows."""

from __future__ import annotations

from collections.abc import Iterator

from cnndsl.pictures import palette
from cnndsl.pictures.content import Ink, lines_of
from cnndsl.pictures.diagram import Box, Diagram, Kind
from cnndsl.pictures.mark import mermaid_mark

_BRACKETS = {
    Kind.INPUT: ("([", "])"),
    Kind.OUTPUT: ("([", "])"),
    Kind.JOIN: ("([", "])"),
    Kind.FOLDED: ("[[", "]]"),
    Kind.LAYER: ("[", "]"),
}


def to_mermaid(diagram: Diagram, ink: Ink, source_name: str) -> str:
    """Return the flowchart of a diagram, boxes coloured by their share of what `ink` says."""
    lines = [mermaid_mark(source_name), "flowchart TB"]
    for box in diagram.boxes:
        lines += _box(box, diagram, ink, "  ")
    lines += [f"  {edge.source} --> {edge.target}" for edge in diagram.edges]
    colors: dict[str, list[str]] = {}
    for box in diagram.leaves:
        colors.setdefault(palette.fill_of(box, diagram, ink), []).append(box.key)
    for number, (color, keys) in enumerate(sorted(colors.items())):
        style = f"fill:{color},stroke:{palette.BORDER},color:{palette.TEXT}"
        lines.append(f"  classDef fill{number} {style}")
        lines.append(f"  class {','.join(keys)} fill{number}")
    return "\n".join(lines) + "\n"


def _box(box: Box, diagram: Diagram, ink: Ink, indent: str) -> Iterator[str]:
    label = "<br/>".join(_escaped(line.text) for line in lines_of(box, diagram, ink))
    if box.children:
        yield f'{indent}subgraph {box.key}["{label}"]'
        for child in box.children:
            yield from _box(child, diagram, ink, indent + "  ")
        yield f"{indent}end"
        return
    left, right = _BRACKETS[box.kind]
    yield f'{indent}{box.key}{left}"{label}"{right}'


def _escaped(text: str) -> str:
    """Return text with what means something to Mermaid, HTML or Markdown as entities."""
    return "".join(c if c.isalnum() or c in " .,()/=×·%…_" else f"#{ord(c)};" for c in text)
