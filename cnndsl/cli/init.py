"""`cnndsl init`: random weights for a program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from cnndsl.cli.options import examples, force_option, program_argument, settings_option
from cnndsl.cli.report import Report, progress
from cnndsl.driver.choice import Choice
from cnndsl.driver.load import load
from cnndsl.driver.trained import weights_for
from cnndsl.elaborate.inputs import Setting
from cnndsl.files import write_file
from cnndsl.weights.files import serialize


@click.command(
    "init",
    epilog=examples(
        "cnndsl init net.cnn -o start.safetensors",
        "cnndsl init net.cnn -o start.npz --seed 7 --set classes=10",
    ),
)
@program_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write, .safetensors or .npz.",
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True)
@settings_option
@force_option
@click.pass_obj
def command(
    report: Report,
    file: Path,
    output: Path,
    seed: int,
    settings: Mapping[str, Setting],
    force: bool,
) -> None:
    """Write initial weights: He before the ReLU family, LeCun before SELU, Glorot otherwise.

    A seed gives the same bytes on every machine.
    """
    loaded = load(file, settings)
    report.warnings(loaded.warnings)
    with progress(f"initialising {loaded.graph.name}"):
        weights = weights_for(loaded.graph, Choice(settings, seed=seed)).weights
        write_file(output, serialize(output, weights), force=force)
    elements = sum(array.size for array in weights.values())
    click.echo(f"{output}  {len(weights)} tensors, {elements:,} numbers")
