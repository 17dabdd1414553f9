"""`cnndsl plot`: a diagram of a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from cnndsl.cli.options import (
    examples,
    force_option,
    json_option,
    program_argument,
    settings_option,
)
from cnndsl.cli.report import Report, progress
from cnndsl.driver.load import load
from cnndsl.elaborate.inputs import Setting
from cnndsl.files import write_file
from cnndsl.pictures.build import build
from cnndsl.pictures.content import Ink
from cnndsl.pictures.formats import SUFFIXES, WRITERS, format_of


@click.command(
    "plot",
    epilog=examples(
        "cnndsl plot net.cnn -o net.svg",
        "cnndsl plot net.cnn -o net.svg --color params --depth 0",
        "cnndsl plot net.cnn --format mermaid",
        "cnndsl plot net.cnn -o net.dot --set H=320 --set W=320",
    ),
)
@program_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write.  [default: print the diagram]",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(tuple(WRITERS)),
    help="What to write.  [default: what the file's suffix means, else svg]",
)
@click.option(
    "--color",
    "ink",
    type=click.Choice([ink.value for ink in Ink]),
    default=Ink.MACS.value,
    show_default=True,
    help="Colour boxes by their share of this.",
)
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    help="Levels of blocks to open; deeper ones are one box each.  [default: what is readable]",
)
@settings_option
@force_option
@json_option
@click.pass_obj
def command(
    report: Report,
    file: Path,
    output: Path | None,
    format_: str | None,
    ink: str,
    depth: int | None,
    settings: Mapping[str, Setting],
    force: bool,
) -> None:
    """Draw the network: layers with their shapes, blocks as boxes around them, skips as curves.

    A layer and the activations and norms that follow it share a box. Equal blocks that follow each
    other and are not open are one box, marked with their number. In SVG the exact figures show
    where the mouse rests.
    """
    meant = None if output is None else format_of(output.suffix)
    if output is not None and format_ is None and meant is None:
        known = ", ".join(s for suffixes in SUFFIXES.values() for s in suffixes)
        raise click.UsageError(
            f"the suffix of {output} means no format; use one of {known}, or give --format"
        )
    if meant is not None and format_ is not None and meant != format_:
        raise click.UsageError(f"the suffix of {output} means {meant}, --format says {format_}")
    format_ = format_ or meant or "svg"
    with progress(f"drawing {file.name}"):
        loaded = load(file, settings)
        report.warnings(loaded.warnings)
        diagram = build(loaded.graph, depth)
        text = WRITERS[format_](diagram, Ink(ink), file.name)
        if output is not None:
            write_file(output, text.encode("utf-8"), force=force)
    if report.as_json:
        shown = {"text": text} if output is None else {"file": str(output)}
        boxes = sum(1 for _ in diagram.leaves)
        report.json(
            {
                "network": diagram.network,
                "format": format_,
                "depth": diagram.depth,
                "boxes": boxes,
                "edges": len(diagram.edges),
                **shown,
            }
        )
    elif output is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"{output}  {len(text.encode('utf-8')):,} bytes")
