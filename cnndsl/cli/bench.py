"""`cnndsl bench`: how fast is the compiled program?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from cnndsl.driver.backends import PEERS
from cnndsl.driver.bench import Benchmark, Pace, Timing, bench
from cnndsl.driver.prepare import prepare
from cnndsl.elaborate.inputs import Setting


@click.command(
    "bench",
    epilog=examples(
        "cnndsl bench net.cnn --against onnxruntime --against openvino",
        "cnndsl bench net.cnn --threads 2 --batch 8 --runs 50 --json",
    ),
)
@program_argument
@click.option(
    "--against",
    type=click.Choice(PEERS),
    multiple=True,
    default=("onnxruntime",),
    show_default=True,
    help="What to compare with; may be given several times.",
)
@click.option("--threads", type=click.IntRange(1, 1024), help="[default: all processors]")
@click.option("--runs", type=click.IntRange(3, 100_000), default=100, show_default=True)
@click.option("--batch", type=click.IntRange(1, 1024), default=1, show_default=True)
@settings_option
@weights_options()
@json_option
@click.pass_obj
def command(
    report: Report,
    file: Path,
    against: tuple[str, ...],
    threads: int | None,
    runs: int,
    batch: int,
    settings: Mapping[str, Setting],
    source: WeightsSource,
) -> None:
    """Time the compiled program against other backends.

    All run in one process, turn by turn, on equally many pinned threads, after their outputs
    were compared; all compute in float32. The speed is relative to the fastest of the others.
    """
    with progress(f"timing {file.name}") as notify:
        prepared = prepare(file, source.choice(settings))
        report.warnings(prepared.warnings)
        result = bench(
            prepared,
            tuple(dict.fromkeys(against)),
            threads=threads,
            pace=Pace(runs),
            seed=source.seed or 0,
            batch=batch,
            notify=notify,
        )
    if report.as_json:
        report.json(as_json(result))
    else:
        print_benchmark(result)


def as_json(result: Benchmark) -> dict[str, Any]:
    """Return the measurement as JSON values; `ratio` is our speed over the fastest other's."""
    return {
        "network": result.network,
        "batch": result.batch,
        "threads": result.threads,
        "processor": result.processor,
        "runs": len(result.ours.milliseconds),
        "milliseconds": {
            t.backend: {
                "median": t.median,
                "lower_quartile": t.quartiles[0],
                "upper_quartile": t.quartiles[1],
                "min": t.fastest,
            }
            for t in (result.ours, *result.others)
        },
        "ratio": result.ratio,
        "differences": {
            d.output: {"max_abs": d.absolute, "max_rel": d.relative} for d in result.differences
        },
    }


def print_benchmark(result: Benchmark) -> None:
    """Print the measurement as a table."""
    threads = f"{result.threads} thread" + ("s" if result.threads > 1 else "")
    click.echo(
        f"network {result.network}, batch {result.batch}, float32, {threads}, "
        f"{len(result.ours.milliseconds)} runs each, {result.processor}"
    )
    for d in result.differences:
        click.echo(
            f"output {d.output} differs by at most {d.absolute:.3g} "
            f"({d.relative:.3g} of its largest value)"
        )
    table(
        (("backend", False), ("median ms", True), ("quartiles ms", True), ("fastest ms", True)),
        (_row(t) for t in (result.ours, *result.others)),
    )
    click.echo(f"speed relative to {result.best_other.backend}: {result.ratio:.2f}")


def _row(t: Timing) -> tuple[str, ...]:
    low, high = t.quartiles
    return t.backend, f"{t.median:.2f}", f"{low:.2f} - {high:.2f}", f"{t.fastest:.2f}"
