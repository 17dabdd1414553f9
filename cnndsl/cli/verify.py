"""`cnndsl verify`: do all backends agree?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from cnndsl.cli.options import (
    WeightsSource,
    algorithm_options,
    algorithms,
    examples,
    json_option,
    program_argument,
    settings_option,
    weights_options,
)
from cnndsl.cli.report import Report, progress, table
from cnndsl.driver.prepare import prepare
from cnndsl.driver.verify import TOLERANCE, Difference, verify
from cnndsl.elaborate.inputs import Setting


@click.command(
    "verify",
    epilog=examples(
        "cnndsl verify net.cnn",
        "cnndsl verify net.cnn --winograd f4",
        "cnndsl verify net.cnn --weights trained.safetensors --batch 3 --json",
    ),
)
@program_argument
@algorithm_options
@settings_option
@weights_options()
@click.option("--batch", type=click.IntRange(1, 1024), default=1, show_default=True)
@json_option
@click.pass_obj
def command(
    report: Report,
    file: Path,
    winograd: str,
    strassen: str,
    fuse: str,
    tuning: Path | None,
    settings: Mapping[str, Setting],
    source: WeightsSource,
    batch: int,
) -> int:
    """Compile for every backend available here and compare with the float64 reference.

    Shows the largest absolute, relative (to the output's largest magnitude) and ULP difference of
    each output on one random input. Exit code 1 if a relative difference is above the tolerance.
    """
    with progress(f"verifying {file.name}") as notify:
        prepared = prepare(file, source.choice(settings))
        report.warnings(prepared.warnings)
        options = algorithms(report, prepared, winograd, strassen, fuse, tuning)
        differences = verify(prepared, source.seed or 0, batch, notify, options)
    agree = all(d.agrees for d in differences)
    if report.as_json:
        report.json(
            {
                "ok": agree,
                "network": prepared.graph.name,
                "tolerance": TOLERANCE,
                "differences": [as_json(d) for d in differences],
            }
        )
    else:
        print_differences(differences)
    return 0 if agree else 1


def as_json(d: Difference) -> dict[str, object]:
    """Return a difference as JSON values."""
    return {
        "backend": d.backend,
        "output": d.output,
        "max_abs": d.absolute,
        "max_rel": d.relative,
        "max_ulp": d.ulp,
        "ok": d.agrees,
    }


def print_differences(differences: tuple[Difference, ...]) -> None:
    """Print the table of differences."""
    table(
        (
            ("backend", False),
            ("output", False),
            ("max abs", True),
            ("max rel", True),
            ("max ULP", True),
            ("", False),
        ),
        (
            (
                d.backend,
                d.output,
                f"{d.absolute:.3g}",
                f"{d.relative:.3g}",
                f"{d.ulp:.4g}",
                "ok" if d.agrees else f"above {TOLERANCE:g}",
            )
            for d in differences
        ),
    )
