"""Write a diagram in the language of Graphviz: blocks are clusters."""

from __future__ import annotations

from collections.abc import Iterator

from cnndsl.pictures import palette
from cnndsl.pictures.content import Ink, lines_of
from cnndsl.pictures.diagram import Box, Diagram, Kind
from cnndsl.pictures.mark import dot_mark

_SHAPES = {Kind.INPUT: "ellipse", Kind.OUTPUT: "ellipse", Kind.FOLDED: "box3d"}


def to_dot(diagram: Diagram, ink: Ink, source_name: str) -> str:
    """Return the graph of a diagram, boxes coloured by their share of what `ink` says."""
    lines = [
        dot_mark(source_name),
        f"digraph {_quoted(diagram.network)} {{",
        f'  graph [rankdir=TB, fontname="sans-serif", bgcolor="{palette.PAPER}"];',
        '  node [shape=box, style="filled,rounded", fontname="sans-serif", fontsize=11];',
        f'  edge [color="{palette.EDGE}"];',
    ]
    for box in diagram.boxes:
        lines += _box(box, diagram, ink, "  ")
    lines += [
        f"  {edge.source} -> {edge.target} [edgetooltip={_quoted(f'{edge.value}: {edge.type}')}];"
        for edge in diagram.edges
    ]
    return "\n".join([*lines, "}"]) + "\n"


def _box(box: Box, diagram: Diagram, ink: Ink, indent: str) -> Iterator[str]:
    label = _quoted("\n".join(line.text for line in lines_of(box, diagram, ink)))
    tip = _quoted("\n".join(box.details))
    if box.children:
        yield f"{indent}subgraph cluster_{box.key} {{"
        yield f"{indent}  label={label}; labeljust=l; tooltip={tip};"
        yield f'{indent}  style="filled,rounded"; color="{palette.BLOCK_BORDER}";'
        yield f'{indent}  fillcolor="{palette.BLOCK_FILLS[0]}";'
        for child in box.children:
            yield from _box(child, diagram, ink, indent + "  ")
        yield f"{indent}}}"
        return
    fill = palette.fill_of(box, diagram, ink)
    shape = f", shape={_SHAPES[box.kind]}" if box.kind in _SHAPES else ""
    yield f'{indent}{box.key} [label={label}, tooltip={tip}, fillcolor="{fill}"{shape}];'


def _quoted(text: str) -> str:
    r"""Return a quoted string; a backslash would start one of Graphviz's escapes (\N, \l)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
