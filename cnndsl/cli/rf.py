"""`cnndsl rf`: how far a network sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from cnndsl.analysis.alignment import Misalignment
from cnndsl.analysis.axis_field import AxisField
from cnndsl.cli.options import (
    choice,
    examples,
    force_option,
    json_option,
    program_argument,
    settings_option,
    weights_options,
)
from cnndsl.cli.report import Report, progress, table
from cnndsl.driver.field_report import FieldReport, Holes, View, find_value, report_fields
from cnndsl.driver.load import Loaded, load
from cnndsl.elaborate.inputs import Setting
from cnndsl.files import write_file

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


class _Size(click.ParamType[tuple[int, ...]]):
    """Extents joined by x: 120x80."""

    name = "SIZE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = str(value).split("x")
        if not all(p.isdecimal() and p.isascii() and 0 < int(p[:12]) < 1 << 31 for p in parts):
            self.fail(f"{value!a} is not a size such as 120x80", param, ctx)
        return tuple(int(p) for p in parts)


@click.command(
    "rf",
    epilog=examples(
        "cnndsl rf net.cnn",
        "cnndsl rf net.cnn --at features --object 120x80",
        "cnndsl rf net.cnn --at features --image photo.jpg -o rf.png",
        "cnndsl rf net.cnn --at features --measured --weights net.safetensors -o rf.png",
    ),
)
@program_argument
@click.option(
    "--at",
    "at",
    metavar="VALUE",
    multiple=True,
    help="Value or layer to look at.  [default: the last of each map size, and the outputs]",
)
@click.option("--all", "every", is_flag=True, help="Look at every layer.")
@click.option(
    "--input", "input_", metavar="NAME", help="Input to look at.  [default: the first map]"
)
@click.option(
    "--object",
    "object_px",
    type=_Size(),
    help="Say which layers see an object of this size whole, height first.",
)
@click.option("--measured", is_flag=True, help="Measure effective fields from the gradient.")
@click.option(
    "--samples",
    type=click.IntRange(1, 10_000),
    default=8,
    show_default=True,
    help="Random inputs to measure with.",
)
@weights_options
@click.option(
    "--image",
    type=click.Path(path_type=Path),
    help="Photograph to draw the fields on, as the network would be given it.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Picture to write: .png, .svg or .pdf (needs Matplotlib).",
)
@settings_option
@force_option
@json_option
@click.pass_obj
def command(
    report: Report,
    file: Path,
    at: tuple[str, ...],
    every: bool,
    input_: str | None,
    object_px: tuple[int, ...] | None,
    measured: bool,
    samples: int,
    weights: Path | None,
    seed: int | None,
    image: Path | None,
    output: Path | None,
    settings: Mapping[str, Setting],
    force: bool,
) -> None:
    """Show how far the units of each layer see, exactly and in effect, and what limits them.

    Sizes are in positions of the input, borders disregarded; the centre is that of the first unit.
    "single paths" are the smallest and the largest way through branches; "read" is below 100 where
    dilation or strides leave holes; "clean" units see no padding. The effective field (four
    standard deviations of the gradient's energy, for random weights) is a closed form unless
    --measured.
    """
    if every and at:
        raise click.UsageError("--all and --at exclude each other")
    if (weights is not None or seed is not None) and not measured:
        raise click.UsageError("--weights and --seed serve --measured")
    if image is not None and output is None:
        raise click.UsageError("--image needs -o, the picture to write")
    if measured and not at:
        raise click.UsageError("--measured needs --at, the values to measure")
    loaded = load(file, settings)
    report.warnings(loaded.warnings)
    found = report_fields(loaded.graph, input_)
    if object_px is not None:
        found.sight(object_px)  # refuses an object of another rank before anything is shown
    values = tuple(dict.fromkeys(find_value(found, name) for name in at))
    chosen = values or (found.all_values() if every else found.end_points())
    views = [found.view(value) for value in chosen]
    energies = {}
    if measured:
        energies = _measure(loaded, found, values, choice(settings, weights, seed), samples)
    if output is not None:
        _draw(found, values, file, image, object_px, energies, output, force)
    if report.as_json:
        report.json(_as_json(found, views, object_px, energies, output))
        return
    _print(found, views, energies)
    for kind, text in _findings(found, views, object_px):
        click.echo(f"{kind:<10}  {text}")
    if output is not None:
        click.echo(f"{output}")


def _measure(
    loaded: Loaded, found: FieldReport, values: tuple[str, ...], chosen: Any, samples: int
) -> dict[str, Any]:
    from cnndsl.driver.effective_field import measured, normalized_weights
    from cnndsl.driver.prepare import weights_for

    sizes = dict(loaded.graph.usual_sizes)
    with progress("measuring") as step:
        if chosen.weights is not None:
            weights = weights_for(loaded.graph, chosen)
        else:
            weights = normalized_weights(loaded.graph, sizes, chosen.seed, step)
        return {
            value: measured(
                loaded.graph,
                weights,
                sizes,
                value,
                samples,
                chosen.seed,
                step,
                input=found.fields.input,
            )
            for value in values
        }


def _draw(
    found: FieldReport,
    values: tuple[str, ...],
    file: Path,
    image: Path | None,
    object_px: tuple[int, ...] | None,
    energies: Mapping[str, Any],
    output: Path,
    force: bool,
) -> None:
    from cnndsl.driver.field_picture import picture
    from cnndsl.pictures.receptive_field import SUFFIXES, render, require_matplotlib

    if output.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"{output} is no {', '.join(SUFFIXES)} file")
    require_matplotlib()
    with progress(f"drawing {output.name}"):
        # Fields that see the whole map have nothing to draw on the image, unless asked for.
        drawn = values or tuple(v for v in found.end_points() if not found.fields.fields[v].whole)
        content = render(
            picture(found, drawn, image, object_px, energies), output.suffix.lower(), file.name
        )
        write_file(output, content, force=force)


# --------------------------------------------------------------------- as text


def _print(found: FieldReport, views: list[View], energies: Mapping[str, Any]) -> None:
    fields = found.fields
    size = "x".join(map(str, fields.extents))
    assumed = f" (any {' and '.join(fields.assumed)})" if fields.assumed else f" {size}"
    click.echo(f"network {found.graph.name}, input {fields.input}{assumed}")
    table(
        _COLUMNS, (_row(view, energies.get(view.value)) for view in views), dispensable=_DISPENSABLE
    )


def _row(view: View, energy: Any) -> tuple[str, ...]:
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


def _findings(
    found: FieldReport, views: list[View], object_px: tuple[int, ...] | None
) -> Iterator[tuple[str, str]]:
    """Yield what deserves a sentence: (its kind, the sentence)."""
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
                f"productive from {_axes(low)} to {_axes(high)}: below, some layer sees nothing "
                "new; above, no unit sees the whole input"
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


# --------------------------------------------------------------------- as JSON


def _as_json(
    found: FieldReport,
    views: list[View],
    object_px: tuple[int, ...] | None,
    energies: Mapping[str, Any],
    output: Path | None,
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "network": found.graph.name,
        "input": found.fields.input,
        "input_extents": None if found.fields.assumed else list(found.fields.extents),
        "symbols_without_size": list(found.fields.assumed),
        "values": [_view_json(view, energies.get(view.value)) for view in views],
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


def _view_json(view: View, energy: Any) -> dict[str, Any]:
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
