"""`cnndsl check`: is the program right?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from cnndsl.analysis.cost import summarize
from cnndsl.cli.options import examples, json_option, program_argument, settings_option
from cnndsl.cli.report import Report
from cnndsl.driver.load import load
from cnndsl.elaborate.inputs import Setting


@click.command(
    "check",
    epilog=examples(
        "cnndsl check net.cnn",
        "cnndsl check net.cnn --set classes=10 --json",
    ),
)
@program_argument
@settings_option
@json_option
@click.pass_obj
def command(report: Report, file: Path, settings: Mapping[str, Setting]) -> None:
    """Check a program: syntax, names, types, shapes and claims."""
    loaded = load(file, settings)
    report.warnings(loaded.warnings)
    summary = summarize(loaded.graph)
    if report.as_json:
        report.json({"ok": True, "network": summary.network})
        return
    click.echo(
        f"{file}: ok, network {summary.network} with {len(summary.layers)} layers "
        f"and {summary.params:_} parameters"
    )
