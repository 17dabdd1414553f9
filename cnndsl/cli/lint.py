"""`cnndsl lint`: which units never work?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import click

from cnndsl.cli.options import (
    WeightsSource,
    examples,
    json_option,
    program_argument,
    settings_option,
    weights_options,
)
from cnndsl.cli.report import Report, progress, table
from cnndsl.driver.backends import NAMES
from cnndsl.driver.cache import module_folder
from cnndsl.driver.calibration import expand
from cnndsl.driver.lint import Activity, Linted, lint
from cnndsl.driver.prepare import prepare
from cnndsl.elaborate.inputs import Setting

_SHOWN = 12
"""Ranges of channels shown of a layer; --json has them all."""


@click.command(
    "lint",
    epilog=examples(
        "cnndsl lint net.cnn --weights trained.safetensors --input photos/",
        "cnndsl lint net.cnn --weights trained.safetensors --input a.npy --input b.jpg --strict",
        "cnndsl lint two.cnn --weights trained.npz --input pairs.npz --json",
    ),
)
@program_argument
@weights_options(required=True)
@click.option(
    "--input",
    "given",
    metavar="PATH",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="Calibration inputs: .npy, .npz (an array for each input, by name), a picture, or a "
    "folder of these. May be given several times.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 if any channel is dead.")
@click.option("--backend", type=click.Choice(NAMES), default="numba-cpu", show_default=True)
@settings_option
@json_option
@click.pass_obj
def command(
    report: Report,
    file: Path,
    source: WeightsSource,
    given: tuple[Path, ...],
    strict: bool,
    backend: str,
    settings: Mapping[str, Setting],
) -> int:
    """Find dead units: channels of a ReLU that never fire.

    A channel is dead if what enters its activation lies on the flat side for every input and at
    every position: no gradient passes it, so its weights no longer learn. Besides relu this holds
    for srelu, relu6, hard_sigmoid and hard_swish; the last column says which channels never fire
    and, where there is a flat part at the top too, which are saturated all the time.

    The more inputs, the surer the result: a channel may be waiting for something rare.
    """
    if source.file is None:
        raise click.UsageError(
            "lint needs the trained weights, --weights FILE: random ones say nothing about which "
            "units will die"
        )
    with progress(f"linting {file.name}") as notify:
        prepared = prepare(file, source.choice(settings))
        report.warnings(prepared.warnings)
        with module_folder() as folder:
            found = lint(prepared, expand(given), backend, folder, notify)
    failed = strict and found.dead > 0
    if report.as_json:
        report.json({"ok": not failed, **_as_json(prepared.graph.name, found)})
    else:
        _print(found)
    return 1 if failed else 0


def _as_json(network: str, found: Linted) -> dict[str, object]:
    return {
        "network": network,
        "samples": found.samples,
        "channels": found.channels,
        "dead": found.dead,
        "layers": [
            {
                "name": layer.label,
                "op": layer.op,
                "line": None if layer.span is None else layer.span.line,
                "channels": layer.channels,
                "dead": len(layer.dead),
                "active_share": layer.active,
                "silent": list(layer.silent),
                "saturated": list(layer.saturated),
                "stuck": list(layer.stuck),
            }
            for layer in found.layers
        ],
    }


def _print(found: Linted) -> None:
    if not found.layers:
        click.echo("no activation of the network has a flat side: no unit can die")
        return
    dead = [layer for layer in found.layers if layer.dead]
    if dead:
        table(
            (
                ("layer", False),
                ("op", False),
                ("channels", True),
                ("dead", True),
                ("share", True),
                ("active", True),
                ("dead channels", False),
            ),
            (
                (
                    layer.label,
                    layer.op,
                    f"{layer.channels:,}",
                    f"{len(layer.dead):,}",
                    f"{len(layer.dead) / layer.channels:.1%}",
                    f"{layer.active:.1%}",
                    _named(layer),
                )
                for layer in dead
            ),
        )
    samples = f"{found.samples:,} sample{'' if found.samples == 1 else 's'}"
    click.echo(
        f"{found.dead:,} of {found.channels:,} channels dead, in {len(dead)} of "
        f"{len(found.layers)} activations, over {samples}"
    )


def _named(layer: Activity) -> str:
    kinds = (
        ("never fire", layer.silent),
        ("saturated", layer.saturated),
        ("never between", layer.stuck),
    )
    return "; ".join(f"{what}: {_ranges(numbers)}" for what, numbers in kinds if numbers)


def _ranges(numbers: Sequence[int]) -> str:
    """Write numbers with runs drawn together: 1, 4-7."""
    runs = []
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        runs.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    left_out = len(runs) - _SHOWN
    return ", ".join(runs[:_SHOWN]) + (f" and {left_out} more" if left_out > 0 else "")
