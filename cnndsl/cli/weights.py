"""`cnndsl weights`: what is in a weights file, and how it fits a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cnndsl.cli.options import (
    examples,
    force_option,
    json_option,
    map_option,
    match_option,
    program_argument,
    settings_option,
)
from cnndsl.cli.report import Report, progress, table
from cnndsl.diagnostics.excerpt import visible
from cnndsl.driver.convert import DTYPES, convert
from cnndsl.driver.load import load
from cnndsl.driver.trained import matched
from cnndsl.elaborate.inputs import Setting
from cnndsl.files import write_file
from cnndsl.weights import files
from cnndsl.weights.mapping import serialize as serialize_mapping
from cnndsl.weights.match import Matched, fit
from cnndsl.weights.shown import shown

_MAPPING = ".map"

weights_argument = click.argument("weights", type=click.Path(path_type=Path))


@click.group(
    "weights",
    epilog=examples(
        "cnndsl weights show resnet50.safetensors",
        "cnndsl weights convert model.onnx -o model.safetensors",
        "cnndsl weights map net.cnn resnet50.safetensors --match order -o net.map",
    ),
)
def command() -> None:
    """List, convert and map the tensors of weights files.

    Read are .safetensors (a PyTorch state dict too), .npz, and the tensors of an .onnx model; never
    a pickle, which would run the code it holds.
    """


@command.command("show", epilog=examples("cnndsl weights show trained.safetensors --json"))
@weights_argument
@json_option
@click.pass_obj
def show(report: Report, weights: Path) -> None:
    """List the tensors of a file: name, dtype and shape, in the file's order."""
    tensors = files.scan(weights)
    numbers = sum(t.elements for t in tensors.values())
    if report.as_json:
        listed = [
            {"name": t.name, "dtype": t.dtype, "shape": list(t.shape)} for t in tensors.values()
        ]
        report.json({"file": str(weights), "numbers": numbers, "tensors": listed})
        return
    if tensors:
        table(
            (("tensor", False), ("dtype", False), ("shape", False), ("numbers", True)),
            (
                (visible(shown(t.name)), t.dtype, str(list(t.shape)), f"{t.elements:,}")
                for t in tensors.values()
            ),
        )
    click.echo(f"{weights}: {_count(len(tensors))}, {numbers:,} numbers")


@command.command(
    "convert",
    epilog=examples(
        "cnndsl weights convert model.onnx -o model.safetensors",
        "cnndsl weights convert trained.npz -o half.safetensors --dtype float16",
        "cnndsl weights convert theirs.safetensors -o ours.safetensors --map net.map",
    ),
)
@weights_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write, .safetensors or .npz.",
)
@click.option(
    "--dtype",
    type=click.Choice(DTYPES),
    default="float32",
    show_default=True,
    help="What numbers with a fraction become; whole numbers stay.",
)
@map_option
@force_option
@json_option
@click.pass_obj
def convert_command(
    report: Report, weights: Path, output: Path, dtype: str, mapping: Path | None, force: bool
) -> None:
    """Write the tensors of a file in another format, dtype, or under other names."""
    files.serializer(output)
    with progress(f"converting {weights.name}"):
        content, notices, count = convert(weights, output, dtype, mapping)
        report.warnings(notices)
        write_file(output, content, force=force)
    if report.as_json:
        report.json({"ok": True, "file": str(output), "tensors": count, "bytes": len(content)})
        return
    click.echo(f"{output}  {_count(count)}, {len(content):,} bytes")


@command.command(
    "map",
    epilog=examples(
        "cnndsl weights map net.cnn theirs.safetensors",
        "cnndsl weights map net.cnn theirs.safetensors --match order -o net.map",
        "cnndsl weights map net.cnn theirs.npz --map net.map -o ours.safetensors",
    ),
)
@program_argument
@weights_argument
@map_option
@match_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help=f"Write the names as a file for --map ({_MAPPING}), or the weights under the network's "
    "names (.safetensors, .npz).",
)
@settings_option
@force_option
@json_option
@click.pass_obj
def map_command(
    report: Report,
    file: Path,
    weights: Path,
    mapping: Path | None,
    match: str,
    output: Path | None,
    settings: Mapping[str, Setting],
    force: bool,
) -> None:
    """Show which tensor of a file is which parameter of a network.

    Missing, extra and mis-shaped tensors are errors, all of them shown in one table.
    """
    if output is not None and output.suffix != _MAPPING:
        files.serializer(output)
    loaded = load(file, settings)
    report.warnings(loaded.warnings)
    found = matched(loaded.graph, weights, mapping, match)
    fitted = fit(found)
    report.warnings(fitted.notices)
    if output is not None:
        content = (
            serialize_mapping({t.name: name for name, t in found.tensors.items()}, found.left_out)
            if output.suffix == _MAPPING
            else files.serialize(output, fitted.weights)
        )
        write_file(output, content, force=force)
    if report.as_json:
        report.json({"ok": True, **_as_json(found)})
        return
    table(
        (("tensor", False), ("parameter", False), ("shape", False)),
        ((visible(shown(t.name)), name, str(list(t.shape))) for name, t in found.tensors.items()),
    )
    click.echo(f"{_count(len(found.tensors))} of {weights} fit network {found.network}")
    if output is not None:
        click.echo(f"{output}")


def _as_json(found: Matched) -> dict[str, Any]:
    return {
        "network": found.network,
        "tensors": [
            {"tensor": t.name, "parameter": name, "dtype": t.dtype, "shape": list(t.shape)}
            for name, t in found.tensors.items()
        ],
        "left_out": list(found.left_out),
        "by_order": list(found.by_order),
    }


def _count(number: int) -> str:
    return "1 tensor" if number == 1 else f"{number} tensors"
