"""`cnndsl tune`: which algorithm is fastest here, for each convolution?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from cnndsl.backends.numba_cpu.options import ALGORITHMS
from cnndsl.backends.numba_cuda import options as cuda
from cnndsl.cli.options import (
    WeightsSource,
    examples,
    force_option,
    json_option,
    precision_option,
    program_argument,
    settings_option,
    threads_option,
    weights_options,
)
from cnndsl.cli.report import Report, progress, table
from cnndsl.driver.prepare import prepare
from cnndsl.driver.tune import tune
from cnndsl.driver.tune_cuda import tune_on_device
from cnndsl.driver.tuning import Tuning
from cnndsl.elaborate.inputs import Setting
from cnndsl.files import write_file


@click.command(
    "tune",
    epilog=examples(
        "cnndsl tune net.cnn",
        "cnndsl tune net.cnn --threads 4 -o here.tuning.json",
        "cnndsl tune net.cnn --target numba-cuda --precision tf32",
    ),
)
@program_argument
@click.option(
    "--target",
    type=click.Choice(("numba-cpu", "numba-cuda")),
    default="numba-cpu",
    show_default=True,
    help="What to tune for.",
)
@precision_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write.  [default: the network's name, .tuning.json]",
)
@threads_option
@click.option("--runs", type=click.IntRange(3, 100_000), default=30, show_default=True)
@click.option("--batch", type=click.IntRange(1, 1024), default=1, show_default=True)
@settings_option
@weights_options()
@force_option
@json_option
@click.pass_obj
def command(
    report: Report,
    file: Path,
    target: str,
    precision: str,
    output: Path | None,
    threads: int | None,
    runs: int,
    batch: int,
    settings: Mapping[str, Setting],
    source: WeightsSource,
    force: bool,
) -> None:
    """Measure what convolutions are fastest with on this machine, and write it to a file.

    For numba-cpu every algorithm of every convolution is timed; `cnndsl compile --tuning FILE` then
    uses the fastest in place of its own estimate. For numba-cuda the tiles that are estimated to be
    best are timed, on the first device; `load(tuning=FILE)` of the module, compiled with the same
    --precision, uses them.
    """
    if target == "numba-cuda":
        if threads is not None:
            raise click.UsageError("--threads is for the target numba-cpu")
        prepared = prepare(file, source.choice(settings))
        report.warnings(prepared.warnings)
        tiles = tune_on_device(prepared, cuda.Options(precision=precision), runs=runs, batch=batch)
        path = output or Path(f"{prepared.graph.name}.tuning.json")
        content = (json.dumps(tiles, indent=1) + "\n").encode("ascii")
        write_file(path, content, force=force)
        if report.as_json:
            report.json({"ok": True, "file": str(path), **tiles})
        else:
            kinds = len(tiles["choices"])
            click.echo(f"{path}  {kinds} kinds of convolutions have other tiles than estimated")
        return
    if precision != "fp32":
        raise click.UsageError("--precision is for the target numba-cuda")
    with progress(f"tuning {file.name}") as notify:
        prepared = prepare(file, source.choice(settings))
        report.warnings(prepared.warnings)
        found = tune(
            prepared, threads=threads, runs=runs, batch=batch, seed=source.seed or 0, notify=notify
        )
        path = output or Path(f"{found.network}.tuning.json")
        content = found.serialize()
        write_file(path, content, force=force)
    if report.as_json:
        report.json({"ok": True, "file": str(path), **json.loads(content)})
    else:
        print_tuning(found)
        click.echo(f"{path}  {len(content):,} bytes")


def print_tuning(found: Tuning) -> None:
    """Print the layers that have a choice, with the times of each algorithm in milliseconds."""
    if not found.layers:
        click.echo(f"no convolution of {found.network} has more than one algorithm")
        return
    table(
        [("layer", False), *((f"{name} ms", True) for name in ALGORITHMS), ("fastest", False)],
        (
            (
                label,
                *(f"{1e3 * x.seconds[n]:.3f}" if n in x.seconds else "-" for n in ALGORITHMS),
                x.algorithm,
            )
            for label, x in found.layers.items()
        ),
    )
