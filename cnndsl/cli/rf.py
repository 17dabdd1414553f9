"""`cnndsl rf`: how far a network sees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli.field_json import as_json
from cnndsl.cli.field_text import findings, print_fields
from cnndsl.cli.options import (
    WeightsSource,
    examples,
    force_option,
    json_option,
    program_argument,
    settings_option,
    weights_options,
)
from cnndsl.cli.report import Report, progress
from cnndsl.driver.choice import Choice
from cnndsl.driver.field_report import FieldReport, Seen, find_value, report_fields
from cnndsl.driver.load import Loaded, load
from cnndsl.elaborate.inputs import Setting
from cnndsl.files import write_file

if TYPE_CHECKING:
    from cnndsl.driver.effective_field import Measured


class _Unit(click.ParamType[tuple[int, ...]]):
    """The place of a unit in its map: 3,5."""

    name = "UNIT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        if not all(p.isdecimal() and p.isascii() and int(p[:12]) < 1 << 40 for p in parts):
            self.fail(f"{value!a} is not a place such as 3,5", param, ctx)
        return tuple(int(p) for p in parts)


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
        "cnndsl rf net.cnn --at features --unit 3,5 --unit 0,0",
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
@click.option(
    "--unit",
    "units",
    type=_Unit(),
    multiple=True,
    help="Unit of those values to look at, row first: 3,5.  [default: the central one]",
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
@weights_options()
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
    units: tuple[tuple[int, ...], ...],
    every: bool,
    input_: str | None,
    object_px: tuple[int, ...] | None,
    measured: bool,
    samples: int,
    source: WeightsSource,
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
    if source.is_given and not measured:
        raise click.UsageError("--weights and --seed serve --measured")
    if image is not None and output is None:
        raise click.UsageError("--image needs -o, the picture to write")
    if units and not at:
        raise click.UsageError("--unit needs --at, the values it belongs to")
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
    seen = [Seen(view, u, found.intervals(view.value, u)) for view in views for u in units]
    energies: dict[str, Measured] = {}
    if measured:
        weighted = source.choice(settings)
        energies = _measure(report, loaded, found, values, weighted, samples, units)
    if output is not None:
        _draw(found, values, file, image, object_px, energies, units, output, force)
    if report.as_json:
        report.json(as_json(found, views, seen, object_px, energies, output))
        return
    print_fields(found, views, energies)
    for kind, text in findings(found, views, seen, object_px):
        click.echo(f"{kind:<10}  {text}")
    if output is not None:
        click.echo(f"{output}")


def _measure(
    report: Report,
    loaded: Loaded,
    found: FieldReport,
    values: tuple[str, ...],
    chosen: Choice,
    samples: int,
    units: tuple[tuple[int, ...], ...],
) -> dict[str, Measured]:
    """Measure the effective field of the first unit chosen, or the central one, of each value."""
    from cnndsl.driver.effective_field import measured, normalized_weights
    from cnndsl.driver.trained import weights_for

    sizes = dict(loaded.graph.usual_sizes)
    with progress("measuring") as step:
        if chosen.weights is not None:
            fitted = weights_for(loaded.graph, chosen)
            report.warnings(fitted.notices)
            weights = fitted.weights
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
                unit=units[0] if units else None,
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
    energies: Mapping[str, Measured],
    units: tuple[tuple[int, ...], ...],
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
            picture(found, drawn, image, object_px, energies, units),
            output.suffix.lower(),
            file.name,
        )
        write_file(output, content, force=force)
