"""The data of `cnndsl rf --json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnndsl.driver.field_report import FieldReport, Seen, View

if TYPE_CHECKING:
    from cnndsl.driver.effective_field import Measured


def as_json(
    found: FieldReport,
    views: Sequence[View],
    units: Sequence[Seen],
    object_px: tuple[int, ...] | None,
    energies: Mapping[str, Measured],
    output: Path | None,
) -> dict[str, Any]:
    """Return everything that is known, as JSON values."""
    result: dict[str, Any] = {
        "network": found.graph.name,
        "input": found.fields.input,
        "input_extents": None if found.fields.assumed else list(found.fields.extents),
        "symbols_without_size": list(found.fields.assumed),
        "values": [_view_json(view, energies.get(view.value)) for view in views],
        "units": [
            {
                "layer": seen.view.layer,
                "unit": list(seen.unit),
                "intervals_px": [None if i is None else list(i) for i in seen.intervals],
            }
            for seen in units
        ],
        "irregular": dict(found.irregular),
        "misalignments": [
            {
                "layer": m.node.label,
                "operands": list(m.operands),
                "centres_px": [[float(c) for c in axes] for axes in m.centres],
                "offset_px": [float(o) for o in m.offset_px],
            }
            for m in found.misalignments
        ],
        "holes": [
            {
                "value": h.value,
                "axis": h.axis,
                "coverage": h.coverage,
                "first_offender": h.first_offender,
                "covering_dilations": None if h.smaller is None else dict(h.smaller),
                "hdc_heuristic_passes": h.hdc,
            }
            for h in found.holes([v.value for v in views])
        ],
        "unused_padding": [
            {"layer": u.node.label, "axis": u.axis, "unused": u.unused}
            for u in found.unused_padding
        ],
        "productive_input_px": None
        if found.resolution is None
        else {"low": list(found.resolution.low), "high": list(found.resolution.high)},
        "unproductive_layers": [n.label for n in found.unproductive],
    }
    if object_px is not None:
        seen = found.sight(object_px)
        result["object"] = {
            "object_px": list(object_px),
            "first_layer": None if seen.first is None else seen.first.label,
            "first_layer_wherever_it_lies": None if seen.anywhere is None else seen.anywhere.label,
            "outputs": dict(seen.outputs),
        }
    if output is not None:
        result["file"] = str(output)
    return result


def _view_json(view: View, energy: Measured | None) -> dict[str, Any]:
    hull = view.field.hull
    measured = None
    if energy is not None and not energy.silent:
        measured = {
            "unit": list(energy.unit),
            "samples": energy.samples,
            "sigma_px": list(energy.sigma_px),
            "centre_px": list(energy.centre_px),
            "extent_95_percent_px": list(energy.extent_px()),
        }
    return {
        "value": view.value,
        "layer": view.layer,
        "map_extents": list(view.map_extents),
        "receptive_field_px": [a.size for a in hull],
        "phase_sizes_px": [list(a.phase_sizes) for a in hull],
        "jump_px": [float(a.jump) for a in hull],
        "whole_map": view.field.whole,
        "start_px": [a.start for a in hull] if view.placed else None,
        "centre_px": [None if a.centre is None else float(a.centre) for a in hull]
        if view.placed
        else None,
        "effective_padding_px": [a.effective_padding for a in hull] if view.placed else None,
        "smallest_path_px": [a.size for a in view.field.smallest],
        "largest_path_px": [a.size for a in view.field.largest],
        "coverage": None if view.coverage is None else list(view.coverage),
        "clean_units": None if view.clean is None else view.clean.clean,
        "units": None if view.clean is None else view.clean.units,
        "effective_sigma_px": None
        if view.effective is None
        else [e.sigma_px for e in view.effective],
        "measured": measured,
    }
