"""`cnndsl summary`: what a network is made of, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cnndsl.analysis.cost import LayerCost, Summary, summarize
from cnndsl.cli.options import examples, json_option, program_argument, settings_option
from cnndsl.cli.report import Report, table
from cnndsl.driver.load import load
from cnndsl.elaborate.inputs import Setting
from cnndsl.types.extents import Extent
from cnndsl.types.tensor import TensorType

_COLUMNS = (
    ("layer", False),
    ("op", False),
    ("output shape", False),
    ("params", True),
    ("MACs", True),
    ("MACs %", True),
    ("FLOPs", True),
    ("weight bytes", True),
    ("activation bytes", True),
)
_DISPENSABLE = ("op", "weight bytes", "activation bytes", "MACs %", "FLOPs")


@click.command(
    "summary",
    epilog=examples(
        "cnndsl summary net.cnn",
        "cnndsl summary net.cnn --set H=320 --set W=320",
        "cnndsl summary net.cnn --json",
    ),
)
@program_argument
@settings_option
@json_option
@click.pass_obj
def command(report: Report, file: Path, settings: Mapping[str, Setting]) -> None:
    """Show each layer's output shape, parameters, MACs, FLOPs and bytes, and the totals.

    MACs, FLOPs (two per MAC) and activation bytes are for one sample. Sizes that are not known
    stay in formulas; give them with --set.
    """
    loaded = load(file, settings)
    report.warnings(loaded.warnings)
    summary = summarize(loaded.graph)
    if report.as_json:
        report.json(as_json(summary))
        return
    _print(summary)


def as_json(summary: Summary) -> dict[str, Any]:
    """Return the summary as JSON values: whole numbers, or formulas as text."""
    return {
        "network": summary.network,
        "sizes": dict(summary.sizes),
        "inputs": [_tensor(name, type_) for name, type_ in summary.inputs],
        "outputs": [_tensor(name, type_) for name, type_ in summary.outputs],
        "params": summary.params,
        "macs": _number(summary.macs),
        "flops": _number(summary.flops),
        "weight_bytes": summary.weight_bytes,
        "buffer_bytes": summary.buffer_bytes,
        "activation_bytes": _number(summary.activation_bytes),
        "layers": [
            {
                "name": layer.label,
                "op": layer.op,
                "output_shape": [_number(e) for e in layer.output_shape],
                "params": layer.params,
                "macs": _number(layer.macs),
                "flops": _number(layer.macs * 2),
                "weight_bytes": layer.weight_bytes,
                "buffer_bytes": layer.buffer_bytes,
                "activation_bytes": _number(layer.activation_bytes),
            }
            for layer in summary.layers
        ],
    }


def _tensor(name: str, type_: TensorType) -> dict[str, Any]:
    return {
        "name": name,
        "dtype": str(type_.dtype),
        "shape": [_number(e) for e in type_.shape],
    }


def _number(extent: Extent) -> int | str:
    return extent if isinstance(extent, int) else str(extent)


def _print(summary: Summary) -> None:
    click.echo(f"network {summary.network}")
    for word, values in (("input", summary.inputs), ("output", summary.outputs)):
        for name, type_ in values:
            click.echo(f"  {word} {name}: {type_}")
    if summary.sizes:
        click.echo("  at " + ", ".join(f"{symbol} = {n}" for symbol, n in summary.sizes))
    table(
        _COLUMNS,
        (_row(layer, summary.macs) for layer in summary.layers),
        footer=(
            "total",
            "",
            "",
            f"{summary.params:,}",
            _shown(summary.macs),
            "",
            _shown(summary.flops),
            f"{summary.weight_bytes:,}",
            _shown(summary.activation_bytes),
        ),
        dispensable=_DISPENSABLE,
    )
    if summary.buffer_bytes:
        click.echo(f"running statistics: {summary.buffer_bytes:,} bytes, not counted above")


def _row(layer: LayerCost, total: Extent) -> tuple[str, ...]:
    share = ""
    if isinstance(layer.macs, int) and isinstance(total, int) and layer.macs:
        share = f"{100 * layer.macs / total:.1f}"
    return (
        layer.label,
        layer.op,
        f"[{', '.join(str(e) for e in layer.output_shape)}]",
        f"{layer.params:,}" if layer.params else "",
        _shown(layer.macs) if layer.macs != 0 else "",
        share,
        _shown(layer.macs * 2) if layer.macs != 0 else "",
        f"{layer.weight_bytes:,}" if layer.weight_bytes else "",
        _shown(layer.activation_bytes),
    )


def _shown(extent: Extent) -> str:
    return f"{extent:,}" if isinstance(extent, int) else str(extent)
