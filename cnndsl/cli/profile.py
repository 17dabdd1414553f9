"""`cnndsl profile`: where does the time go, and how far is it from what the machine allows?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cnndsl.cli.options import (
    WeightsSource,
    algorithm_options,
    algorithms,
    examples,
    json_option,
    program_argument,
    settings_option,
    threads_option,
    weights_options,
)
from cnndsl.cli.report import Report, progress, table
from cnndsl.driver.prepare import prepare
from cnndsl.driver.profile import Layer, Profile, profile
from cnndsl.elaborate.inputs import Setting

_COLUMNS = (
    ("layer", False),
    ("op", False),
    ("output", False),
    ("algorithm", False),
    ("ms", True),
    ("%", True),
    ("GFLOP/s", True),
    ("done", True),
    ("of peak", True),
    ("GB/s", True),
    ("limit ms", True),
    ("bound by", False),
)
_DISPENSABLE = ("output", "done", "GB/s", "op", "bound by")


@click.command(
    "profile",
    epilog=examples(
        "cnndsl profile net.cnn",
        "cnndsl profile net.cnn --threads 1 --sort time",
        "cnndsl profile net.cnn --set H=320 --set W=320 --batch 8 --json",
    ),
)
@program_argument
@threads_option
@click.option("--runs", type=click.IntRange(3, 100_000), default=20, show_default=True)
@click.option("--batch", type=click.IntRange(1, 1024), default=1, show_default=True)
@click.option(
    "--sort",
    type=click.Choice(["order", "time", "gap"]),
    default="order",
    show_default=True,
    help="Order of the layers: as they run, the slowest first, or the farthest from its limit.",
)
@algorithm_options
@settings_option
@weights_options()
@json_option
@click.pass_obj
def command(
    report: Report,
    file: Path,
    threads: int | None,
    runs: int,
    batch: int,
    sort: str,
    winograd: str,
    strassen: str,
    fuse: str,
    tuning: Path | None,
    settings: Mapping[str, Setting],
    source: WeightsSource,
) -> None:
    """Time each layer of the program compiled for numba-cpu, beside what this machine allows.

    The machine's peaks are measured first, in the same process: multiply-adds in registers, and
    reading from caches and memory. A layer's limit is the longer of two times: its arithmetic at
    the peak, and its bytes (operands, result, weights) at the bandwidth for so many.
    """
    with progress(f"profiling {file.name}") as notify:
        prepared = prepare(file, source.choice(settings))
        report.warnings(prepared.warnings)
        found = profile(
            prepared,
            threads=threads,
            runs=runs,
            batch=batch,
            seed=source.seed or 0,
            options=algorithms(report, prepared, winograd, strassen, fuse, tuning),
            notify=notify,
        )
    layers = list(found.layers)
    if sort != "order":
        layers.sort(key=lambda x: x.limit_s * (sort == "gap") - x.seconds)
    if report.as_json:
        report.json(as_json(found, layers))
    else:
        print_profile(found, layers)


def as_json(found: Profile, layers: list[Layer]) -> dict[str, Any]:
    """Return a profile as JSON values, in SI units."""
    peaks = found.peaks
    return {
        "ok": True,
        "network": found.network,
        "sizes": dict(found.sizes),
        "processor": found.processor,
        "threads": peaks.threads,
        "lanes": peaks.lanes,
        "runs": found.runs,
        "peak_macs_per_s": peaks.macs_per_s,
        "bandwidths": [
            {"working_set_bytes": size, "bytes_per_s": rate} for size, rate in peaks.bandwidths
        ],
        "seconds": found.seconds,
        "limit_s": found.limit_s,
        "layers": [
            {
                **dataclasses.asdict(layer),
                "limit_s": layer.limit_s,
                "bound": layer.bound or None,
            }
            for layer in layers
        ],
    }


def print_profile(found: Profile, layers: list[Layer]) -> None:
    """Print the table of layers, and what its figures mean."""
    peaks = found.peaks
    threads = "1 thread" if peaks.threads == 1 else f"{peaks.threads} threads"
    sizes = ", ".join(f"{symbol} = {n}" for symbol, n in found.sizes.items())
    at = f" at {sizes}" if sizes else ""
    click.echo(f"network {found.network}{at}, float32, {threads}, {found.processor}")
    click.echo(
        f"peak: {2e-9 * peaks.macs_per_s:.0f} GFLOP/s with vectors of {peaks.lanes}; reading: "
        + ", ".join(f"{rate / 1e9:.0f} GB/s of {_size(size)}" for size, rate in peaks.bandwidths)
    )
    macs, done = (sum(getattr(x, f) for x in layers) for f in ("macs", "macs_done"))
    moved = sum(x.map_bytes + x.weight_bytes for x in layers)
    total = [*[""] * 4, *_figures(found, found.seconds, macs, done, moved, found.limit_s), ""]
    total[0] = "total"
    table(
        _COLUMNS,
        (
            (
                x.label,
                x.op,
                "x".join(map(str, x.shape)),
                x.algorithm,
                *_figures(
                    found, x.seconds, x.macs, x.macs_done, x.map_bytes + x.weight_bytes, x.limit_s
                ),
                x.bound,
            )
            for x in layers
        ),
        footer=total,
        dispensable=_DISPENSABLE,
    )
    click.echo(f"medians of {found.runs} runs; the limit is {_share(found.limit_s, found.seconds)}")
    click.echo(
        "GFLOP/s: two operations for each multiply-add of the layer's definition; Winograd's "
        "algorithm\ndoes fewer, so this may exceed the peak. done, of peak: those that were done."
    )


def _figures(
    found: Profile, seconds: float, macs: int, done: int, moved: int, limit_s: float
) -> list[str]:
    if not moved:
        return ["-"] * 7
    return [
        f"{1e3 * seconds:.3f}",
        f"{100 * seconds / found.seconds:.1f}",
        f"{2e-9 * macs / seconds:.1f}" if macs else "",
        f"{2e-9 * done / seconds:.1f}" if macs else "",
        f"{100 * done / seconds / found.peaks.macs_per_s:.0f} %" if macs else "",
        f"{1e-9 * moved / seconds:.1f}",
        f"{1e3 * limit_s:.3f}",
    ]


def _share(part: float, whole: float) -> str:
    return f"{1e3 * part:.2f} ms, {100 * part / whole:.0f} % of the time taken"


def _size(size: int) -> str:
    return f"{size >> 10} KiB" if size < 1 << 20 else f"{size >> 20} MiB"
