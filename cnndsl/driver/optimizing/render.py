"""Render a report as Markdown or HTML, charts drawn in; and what happened as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from cnndsl.driver.optimizing.document import Section, Table
from cnndsl.driver.optimizing.outcome import Decision, Outcome
from cnndsl.pictures.chart import to_svg
from cnndsl.pictures.mark import svg_mark

SUFFIXES = (".html", ".md")

_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
       color: #1f2328; background: #ffffff }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
th, td { padding: 0.2rem 0.7rem; border-bottom: 1px solid #e6eaef; text-align: left }
.number { text-align: right }
.scroll { overflow-x: auto }
svg { max-width: 100%; height: auto }
"""


def rendered(sections: Sequence[Section], output: Path, source_name: str) -> dict[Path, bytes]:
    """Return the files of a report: HTML is one file, Markdown has its charts beside it."""
    if output.suffix == ".html":
        return {output: _html(sections, source_name).encode("utf-8")}
    files: dict[Path, bytes] = {}
    lines = [svg_mark(source_name), ""]
    for depth, section in enumerate(sections):
        lines += [f"{'#' if depth == 0 else '##'} {_inline(section.title)}", ""]
        for paragraph in section.text:
            lines += [_inline(paragraph), ""]
        if section.table is not None:
            lines += [*_rows(section.table), ""]
        if section.chart is not None:
            picture = output.with_name(f"{output.stem}-{depth}.svg")
            files[picture] = to_svg(section.chart, source_name).encode("utf-8")
            lines += [f"![{_inline(section.chart.title)}]({picture.name.replace(' ', '%20')})", ""]
    return {output: "\n".join(lines).encode("utf-8"), **files}


def _rows(table: Table) -> Iterator[str]:
    yield "| " + " | ".join(_inline(heading) for heading, _ in table.columns) + " |"
    yield "|" + "|".join("--:" if number else "---" for _, number in table.columns) + "|"
    for row in table.rows:
        yield "| " + " | ".join(map(_inline, row)) + " |"


def _inline(text: str) -> str:
    """Return text that Markdown shows as it is."""
    for mark in "\\`*_[]<>|":
        text = text.replace(mark, "\\" + mark)
    return text


def _html(sections: Sequence[Section], source_name: str) -> str:
    lines = [
        "<!DOCTYPE html>",
        svg_mark(source_name),
        f'<html lang="en"><meta charset="utf-8"><title>{escape(sections[0].title)}</title>',
        f"<style>\n{_STYLE}</style>",
    ]
    for depth, section in enumerate(sections):
        level = 1 if depth == 0 else 2
        lines.append(f"<h{level}>{escape(section.title)}</h{level}>")
        lines += [f"<p>{escape(paragraph)}</p>" for paragraph in section.text]
        if section.table is not None:
            lines += ['<div class="scroll"><table>', *_table(section.table), "</table></div>"]
        if section.chart is not None:
            lines.append(to_svg(section.chart, source_name))
    return "\n".join([*lines, "</html>"]) + "\n"


def _table(table: Table) -> Iterator[str]:
    kinds = [' class="number"' if number else "" for _, number in table.columns]
    heads = zip(kinds, table.columns, strict=True)
    yield "<tr>" + "".join(f"<th{kind}>{escape(h)}</th>" for kind, (h, _) in heads) + "</tr>"
    for row in table.rows:
        cells = zip(kinds, row, strict=True)
        yield "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in cells) + "</tr>"


def as_json(outcome: Outcome, explained: Sequence[Section] = ()) -> dict[str, Any]:
    """Return everything a script may want, as JSON values."""
    before, after = outcome.figures_before, outcome.figures_after
    return {
        "network": outcome.before.name,
        "asked": str(outcome.request),
        "label": outcome.label.value,
        "params": [before.summary.params, after.summary.params],
        "macs": [before.summary.macs, after.summary.macs],
        "weight_bytes": [before.summary.weight_bytes, after.summary.weight_bytes],
        "planned_memory_bytes": [before.peak_memory_bytes, after.peak_memory_bytes],
        "errors": dict(outcome.errors),
        "samples": outcome.samples,
        "predicted_s": _pair(outcome.predicted_s),
        "measured_s": _pair(outcome.measured_s),
        "reused": outcome.reused,
        "layers": [_layer(outcome, d) for d in outcome.decisions],
        "refused": [{"layer": r.label, "reason": r.reason} for r in outcome.refused],
        "explained": [
            {
                "layer": section.title,
                "text": list(section.text),
                "candidates": [] if section.table is None else list(map(list, section.table.rows)),
            }
            for section in explained
        ],
    }


def _pair(times: tuple[float, float] | None) -> list[float] | None:
    return None if times is None else list(times)


def _layer(outcome: Outcome, d: Decision) -> dict[str, Any]:
    return {
        "name": d.place.label,
        "uses": [use.label for use in d.place.uses],
        "scheme": d.chosen.name,
        "ranks": list(d.chosen.ranks),
        "label": d.chosen.label.value if d.is_changed else None,
        "params": [d.dense.cost.params, d.chosen.cost.params],
        "macs": [d.dense.cost.macs, d.chosen.cost.macs],
        "memory_bytes": list(outcome.memory_of(d)),
        "receptive_field": list(map(list, outcome.fields_of(d))),
        "error": d.chosen.error if d.is_changed else 0.0,
        "kernel_error": None if d.decomposition is None else d.decomposition.error,
        "predicted_s": _pair(d.predicted_s),
        "measured_s": _pair(d.measured_s),
        "made": [list(use) for use in d.made],
        "candidates": len(d.candidates) - 1,
        "refused": [{"scheme": r.scheme, "reason": r.reason} for r in d.refused],
        "not_fitted": d.unfitted,
    }
