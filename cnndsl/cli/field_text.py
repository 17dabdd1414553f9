"""The words of `cnndsl rf`: a table of fields, and sentences on what deserves one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import click

from cnndsl.analysis.alignment import Misalignment
from cnndsl.analysis.axis_field import AxisField
from cnndsl.cli.report import table
from cnndsl.driver.field_report import FieldReport, Holes, Seen, View

if TYPE_CHECKING:
    from cnndsl.driver.effective_field import Measured

_SHOWN = 5
"""Findings of one kind that are listed; --json has them all."""

_COLUMNS = (
    ("layer", False),
    ("map", True),
    ("receptive field", True),
    ("jump", True),
    ("starts at", True),
    ("centre", True),
    ("single paths", True),
    ("read %", True),
    ("clean units", True),
    ("effective 4σ", True),
)
_DISPENSABLE = ("starts at", "centre", "map", "single paths", "clean units", "read %")


def print_fields(
    found: FieldReport, views: Sequence[View], energies: Mapping[str, Measured]
) -> None:
    """Print the table: a row for each value."""
    fields = found.fields
    size = "x".join(map(str, fields.extents))
    assumed = f" (any {' and '.join(fields.assumed)})" if fields.assumed else f" {size}"
    click.echo(f"network {found.graph.name}, input {fields.input}{assumed}")
    table(
        _COLUMNS, (_row(view, energies.get(view.value)) for view in views), dispensable=_DISPENSABLE
    )


def _row(view: View, energy: Measured | None) -> tuple[str, ...]:
    hull = view.field.hull
    sizes = _axes(a.size for a in hull)
    single = _axes(a.size for a in view.field.smallest)
    largest = _axes(a.size for a in view.field.largest)
    if energy is not None and not energy.silent:
        effective = _axes(f"{4 * s:.0f}" for s in energy.sigma_px) + " measured"
    elif view.effective is not None:
        effective = _axes(f"{e.extent_px:.0f}" for e in view.effective)
    else:
        effective = ""
    read = min(view.coverage) if view.coverage is not None else None
    return (
        view.layer,
        _axes(view.map_extents) if view.map_extents else "",
        f"{sizes} whole" if view.field.whole else sizes,
        _places(a.jump for a in hull) if any(a.jump for a in hull) else "",
        _places(a.start for a in hull) if view.placed else "",
        _places(a.centre for a in hull) if view.placed else "",
        "" if single == largest == sizes else f"{single} to {largest}",
        "" if read is None else f"{100 * read:.4g}",
        "" if view.clean is None else f"{view.clean.clean:,} of {view.clean.units:,}",
        effective,
    )


def _axes(values: Iterable[object]) -> str:
    """Join extents by x: 112x112."""
    return "x".join(str(v) for v in values)


def _places(values: Iterable[Fraction | int | None]) -> str:
    """Join places, one for each axis; one stands for all that are equal."""
    shown = [_place(v) for v in values]
    return shown[0] if len(set(shown)) == 1 else ", ".join(shown)


def _place(value: Fraction | int | None) -> str:
    if value is None:
        return "?"
    # Halves and quarters are read as decimals, thirds as fractions.
    decimal = Fraction(value).denominator in (2, 4, 8)
    return f"{float(value):g}" if decimal else str(value)


def findings(
    found: FieldReport,
    views: Sequence[View],
    units: Sequence[Seen],
    object_px: tuple[int, ...] | None,
) -> Iterator[tuple[str, str]]:
    """Yield what deserves a sentence: (its kind, the sentence)."""
    yield from (("unit", _unit(seen)) for seen in units)
    for view in views:
        seen = {_phases(axis): None for axis in view.field.hull}
        for text in seen:
            if text is not None:
                yield "phases", f"units of {view.layer} see {text}"
    yield from _listed("alignment", [_alignment(m) for m in found.misalignments])
    holes = {_hole(h): None for h in found.holes([v.value for v in views])}
    yield from _listed("holes", list(holes))
    unread = {(u.node.label, u.unused): None for u in found.unused_padding}
    yield from _listed(
        "padding",
        [f"{layer} does not read the last {n} of its padding" for layer, n in unread],
    )
    if found.resolution is not None:
        low, high = found.resolution.low, found.resolution.high
        yield (
            "input",
            (
                f"productive from {_axes(low)} to {_axes(high)}: below, some layer reaches beyond "
                "the input on every path; above, no unit sees the whole input"
            ),
        )
    idle = found.unproductive
    if idle:
        names = ", ".join(n.label for n in idle[:_SHOWN])
        more = f" and {len(idle) - _SHOWN} more" if len(idle) > _SHOWN else ""
        yield "input", f"unproductive at {_axes(found.fields.extents)}: {names}{more}"
    for value, reason in list(found.irregular.items())[:_SHOWN]:
        yield "irregular", f"{value} has no regular field: {reason}"
    if object_px is not None:
        yield from _object(found, object_px)


def _unit(seen: Seen) -> str:
    place = ",".join(map(str, seen.unit))
    ends = [i for i in seen.intervals if i is not None]
    if len(ends) < len(seen.intervals):
        return f"{place} of {seen.view.layer} sees nothing of the input"
    axes = ("position",) if len(ends) == 1 else ("plane", "row", "column")[-len(ends) :]
    shown = ", ".join(f"{axis}s {low} to {high}" for axis, (low, high) in zip(axes, ends))
    return f"{place} of {seen.view.layer} sees {shown}"


def _listed(kind: str, texts: list[str]) -> Iterator[tuple[str, str]]:
    yield from ((kind, text) for text in texts[:_SHOWN])
    if len(texts) > _SHOWN:
        yield kind, f"and {len(texts) - _SHOWN} more"


def _phases(axis: AxisField) -> str | None:
    sizes = sorted(set(axis.phase_sizes))
    if axis.period == 1 or axis.whole or sizes == [axis.size]:
        return None
    return f"{' or '.join(map(str, sizes))} px, by phase; {axis.size} in all"


def _alignment(m: Misalignment) -> str:
    centres = ", ".join(
        f"{name} {_places(axes)}" for name, axes in zip(m.operands, m.centres, strict=True)
    )
    return f"branches of {m.node.label} are {_places(m.offset_px)} px apart (centres: {centres})"


def _hole(h: Holes) -> str:
    text = f"units of {h.layer} read {100 * h.coverage:.3g} % of their field along an axis"
    if h.first_offender is not None:
        text += f"; the first holes come from {h.first_offender}"
    if h.smaller:
        listed = ", ".join(f"{d} in {label}" for label, d in h.smaller.items())
        text += f"; dilation {listed} would cover it"
    if h.hdc is not None:
        text += f" (the HDC heuristic {'sees none' if h.hdc else 'warns too'})"
    return text


def _object(found: FieldReport, object_px: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    seen = found.sight(object_px)
    size = _axes(object_px)
    if seen.first is None:
        yield "object", f"no layer sees {size} px whole"
    else:
        text = f"{seen.first.label} is the first to see {size} px whole"
        if seen.anywhere is None:
            text += "; no layer does wherever it lies"
        elif seen.anywhere is not seen.first:
            text += f", {seen.anywhere.label} wherever it lies"
        yield "object", text
    for name, whole in seen.outputs:
        yield "object", f"output {name} {'sees' if whole else 'does not see'} it whole"
