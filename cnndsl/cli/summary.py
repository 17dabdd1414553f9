"""`cnndsl summary`: what a network is made of, what it costs, and how far it sees."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import click

from cnndsl.analysis.cost import NOT_COUNTED
from cnndsl.cli.columns import (
    COLUMNS,
    DEFAULT,
    DISPENSABLE,
    body_text,
    column,
    plain,
    sorted_rows,
    text_of,
)
from cnndsl.cli.options import examples, json_option, program_argument, settings_option
from cnndsl.cli.report import Report, table
from cnndsl.cli.summary_json import as_json
from cnndsl.driver.figures import Figures, figures, figures_if_planned
from cnndsl.driver.load import load
from cnndsl.elaborate.inputs import Setting

_LONG_LABEL = 30
"""Labels above this length leave a terminal too little room for numbers."""


def _help_of_columns() -> str:
    """Return the names that --columns takes, for the help."""
    width = max(map(len, COLUMNS))
    lines = [f"  {name:{width}}  {c.about}" for name, c in COLUMNS.items()]
    return "\b\nColumns:\n" + "\n".join(lines)


@click.command(
    "summary",
    epilog=_help_of_columns()
    + "\n\n"
    + examples(
        "cnndsl summary net.cnn",
        "cnndsl summary net.cnn --set H=320 --set W=320",
        "cnndsl summary net.cnn --depth 1 --sort macs",
        "cnndsl summary net.cnn --columns layer,macs,bytes_moved,intensity,peak",
        "cnndsl summary net.cnn --csv",
        "cnndsl summary net.cnn --json",
    ),
)
@program_argument
@settings_option
@click.option("--columns", metavar="A,B,C", help="Columns to show; their names are below.")
@click.option(
    "--depth", type=click.IntRange(1), help="Show each use of a block at this depth as one row."
)
@click.option("--sort", metavar="COLUMN", help="Sort by a column, the largest number first.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the layers as CSV, without totals.")
@json_option
@click.pass_obj
def command(
    report: Report,
    file: Path,
    settings: Mapping[str, Setting],
    columns: str | None,
    depth: int | None,
    sort: str | None,
    as_csv: bool,
) -> None:
    """Show each layer's output shape, parameters, operations, bytes and receptive field.

    Operations and bytes are for one sample, or for the batch where its size is fixed. Sizes that
    are not known stay in formulas; give them with --set.
    """
    if as_csv and report.as_json:
        raise click.UsageError("--csv and --json exclude each other")
    named = None if columns is None else [name.strip() for name in columns.split(",")]
    names = named or (list(COLUMNS) if as_csv else list(DEFAULT))
    chosen = [column(name) for name in names]
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        raise click.UsageError(f"column {twice[0]!a} is named twice")
    by = None if sort is None else column(sort)
    asked = named is not None and any(c.needs_plan for c in chosen)
    asked = asked or (by is not None and by.needs_plan)
    loaded = load(file, settings)
    report.warnings(loaded.warnings)
    missing = None
    if asked:
        found = figures(loaded.graph, memory=True, depth=depth)
    elif report.as_json or as_csv:
        found, missing = figures_if_planned(loaded.graph, depth=depth)
    else:
        found = figures(loaded.graph, memory=False, depth=depth)
    rows = found.layers if by is None else sorted_rows(found.layers, by, found.summary)
    if report.as_json:
        report.json(as_json(found, rows, missing))
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([plain(c.cell(row, found.summary)) for c in chosen] for row in rows)
    else:
        _heading(found)
        total = [
            text_of(found.peak_memory_bytes if c.needs_plan else c.total(found.summary))
            for c in chosen
        ]
        if "layer" in names:
            total[names.index("layer")] = "total"
        body = [[body_text(c.cell(row, found.summary)) for c in chosen] for row in rows]
        if "layer" in names and by is None and sys.stdout.isatty():
            place = names.index("layer")
            for line, label in zip(body, outline([line[place] for line in body]), strict=True):
                line[place] = label
        table(
            [(c.heading, c.number) for c in chosen],
            body,
            footer=total,
            dispensable=DISPENSABLE if named is None else (),
        )
        _totals(found)


def outline(labels: list[str]) -> list[str]:
    """Return labels without the blocks that they share with the one before, indented instead.

    Short ones stay as they are.
    """
    if max(map(len, labels), default=0) <= _LONG_LABEL:
        return labels
    shown, before = [], [""]
    for label in labels:
        parts = label.split(".")
        shared = 0
        while shared < min(len(parts), len(before)) - 1 and parts[shared] == before[shared]:
            shared += 1
        shown.append("  " * shared + ".".join(parts[shared:]))
        before = parts
    return shown


def _heading(found: Figures) -> None:
    summary = found.summary
    click.echo(f"network {summary.network}")
    for word, values in (("input", summary.inputs), ("output", summary.outputs)):
        for name, type_ in values:
            click.echo(f"  {word} {name}: {type_}")
    if summary.sizes:
        click.echo("  at " + ", ".join(f"{symbol} = {n}" for symbol, n in summary.sizes))
    if summary.batch_text:
        click.echo(f"  figures for {summary.batch_text}")


def _totals(found: Figures) -> None:
    """Print what the table's last row has no room for, and what no figure holds."""
    s = found.summary
    click.echo(
        f"{text_of(s.macs)} MACs ({text_of(s.flops)} FLOPs), "
        f"{text_of(s.other_operations)} other operations"
    )
    statistics = f", running statistics {s.buffer_bytes:,}" if s.buffers else ""
    intensity = s.arithmetic_intensity
    ratio = "" if intensity is None else f" ({intensity:.1f} FLOPs per byte)"
    click.echo(
        f"bytes: weights {s.weight_bytes:,}{statistics}, results {text_of(s.activation_bytes)}, "
        f"moved {text_of(s.bytes_moved)}{ratio}"
    )
    without = "; ".join(
        f"{', '.join(ops)} ({reason.removeprefix('none: ')})"
        for reason, ops in s.without_operations.items()
    )
    click.echo(f"not counted: {NOT_COUNTED}" + (f"; {without}" if without else ""))
    if found.peak_memory_bytes is not None:
        click.echo(
            "live bytes: planned for numba-cpu in blocks of 16 channels; a layer without a figure "
            "runs within the one before it"
        )
