"""`cnndsl compare`: networks side by side, and what differs layer by layer."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cnndsl.analysis.comparison import Comparison, LayerChange
from cnndsl.analysis.comparison import compare as compare_layers
from cnndsl.analysis.cost import LayerCost
from cnndsl.cli.columns import Cell, field_text, jump_text, text_of
from cnndsl.cli.options import examples, json_option, settings_option
from cnndsl.cli.report import Report, table
from cnndsl.cli.summary_json import cost_json, field_json, number, samples_json
from cnndsl.driver.figures import Figures, LayerFigures, figures_if_planned
from cnndsl.driver.load import load
from cnndsl.elaborate.inputs import Setting
from cnndsl.ir.graph import Graph
from cnndsl.types.extents import total


@dataclass(frozen=True, slots=True)
class _Network:
    """A program with its figures; `missing` says why there is no planned memory."""

    file: Path
    graph: Graph
    figures: Figures
    missing: str | None

    @property
    def last_map(self) -> LayerFigures | None:
        """The last layer whose units do not see everything: what published tables speak of."""
        seeing = (r for r in reversed(self.figures.layers) if r.field and not r.field.whole)
        return next(seeing, None)


@click.command(
    "compare",
    epilog=examples(
        "cnndsl compare resnet18.cnn resnet34.cnn",
        "cnndsl compare a.cnn b.cnn c.cnn --totals",
        "cnndsl compare a.cnn b.cnn --set H=320 --set W=320 --json",
    ),
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@settings_option
@click.option("--totals", is_flag=True, help="Show the table of totals only, not the layers.")
@json_option
@click.pass_obj
def command(
    report: Report, files: tuple[Path, ...], settings: Mapping[str, Setting], totals: bool
) -> None:
    """Show networks side by side, with ratios to the first, and which layers differ from its.

    Figures are for one sample, or for the batch where its size is fixed. The receptive field and
    the jump are those of the last map whose units do not see all of the input; the peak memory is
    what numba-cpu plans for activations.
    """
    if len(files) < 2:
        raise click.UsageError("give at least two programs to compare")
    networks = [_measure(report, file, settings) for file in files]
    first, *others = networks
    changes = [None if totals else compare_layers(first.graph, n.graph) for n in others]
    if report.as_json:
        report.json(
            {
                "networks": [_network_json(n) for n in networks],
                "changes": [None if c is None else _changes_json(c) for c in changes],
            }
        )
        return
    _table(networks)
    for other, found in zip(others, changes, strict=True):
        if found is not None:
            _print_changes(first, other, found)


def _measure(report: Report, file: Path, settings: Mapping[str, Setting]) -> _Network:
    loaded = load(file, settings)
    report.warnings(loaded.warnings)
    return _Network(file, loaded.graph, *figures_if_planned(loaded.graph))


def _totals(network: _Network) -> dict[str, Cell]:
    s, last = network.figures.summary, network.last_map
    return {
        "layers": len(s.layers),
        "params": s.params,
        "MACs": s.macs,
        "other operations": s.other_operations,
        "weight bytes": s.weight_bytes,
        "result bytes": s.activation_bytes,
        "bytes moved": s.bytes_moved,
        "peak memory bytes": network.figures.peak_memory_bytes,
        "receptive field": None if last is None else field_text(last),
        "jump": None if last is None else jump_text(last),
    }


def _table(networks: Sequence[_Network]) -> None:
    first, *others = [_totals(n) for n in networks]
    names = _names(networks)
    rows = [
        [what, text_of(base) or "-", *(_beside(other[what], base) for other in others)]
        for what, base in first.items()
    ]
    table([("", False), *((name, True) for name in names)], rows)
    for name, network in zip(names, networks, strict=True):
        if network.figures.summary.batch_text:
            click.echo(f"{name}: figures for {network.figures.summary.batch_text}")
        if network.missing is not None:
            click.echo(f"{name}: no peak memory: {network.missing}")


def _names(networks: Sequence[_Network]) -> list[str]:
    """Return the networks' names; their files where several have one name, numbered if need be."""
    names = [n.graph.name for n in networks]
    if len(set(names)) < len(names):
        names = [str(n.file) for n in networks]
    if len(set(names)) < len(names):
        names = [f"{name} ({place})" for place, name in enumerate(names, 1)]
    return names


def _beside(value: Cell, base: Cell) -> str:
    """Write a figure with its ratio to the first network's, where both are counts."""
    text = text_of(value) or "-"
    if isinstance(value, int) and isinstance(base, int) and base:
        return f"{text}  x{value / base:<7.3f}"
    return f"{text}{' ' * 10}"


def _print_changes(first: _Network, other: _Network, found: Comparison) -> None:
    before, after = _names((first, other))
    click.echo(f"from {before} to {after}: ", nl=False)
    if not found.changes:
        click.echo(f"all {found.same} layers are the same")
        return
    removed = sum(c.after is None for c in found.changes)
    added = sum(c.before is None for c in found.changes)
    changed = len(found.changes) - removed - added
    click.echo(f"{found.same} layers the same, {changed} changed, {removed} fewer, {added} more")
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    blocks = {
        "-": _whole_blocks([c.before for c in found.changes if c.after is None], first),
        "+": _whole_blocks([c.after for c in found.changes if c.before is None], other),
    }
    for sign, text in _lines(found, blocks):
        colour = {"-": "red", "+": "green", "~": "yellow"}[sign]
        line = f"{sign} {text}"
        click.echo(click.style(line, fg=colour) if coloured else line)


def _whole_blocks(
    layers: Sequence[LayerCost | None], network: _Network
) -> dict[str, tuple[str, str]]:
    """Return, by layer, the outermost block use all of whose layers are among some layers."""
    everywhere = Counter(b for x in network.figures.summary.layers for b in x.blocks)
    here = Counter(b for x in layers if x is not None for b in x.blocks)
    return {
        x.label: next(b for b in x.blocks if here[b] == everywhere[b])
        for x in layers
        if x is not None and any(here[b] == everywhere[b] for b in x.blocks)
    }


def _lines(
    found: Comparison, blocks: Mapping[str, Mapping[str, tuple[str, str]]]
) -> Iterator[tuple[str, str]]:
    """Yield the sign and text of each change; a block that is only on one side is one line."""
    members: dict[tuple[str, str], list[LayerCost]] = {}
    for change in found.changes:
        sign, only = _side(change)
        if only is not None and only.label in blocks[sign]:
            members.setdefault((sign, blocks[sign][only.label][0]), []).append(only)
    for change in found.changes:
        sign, only = _side(change)
        if only is None:
            yield sign, _changed(change)
        elif only.label not in blocks[sign]:
            yield sign, f"{only.label}: {only.op}{_cost_text([only])}"
        else:
            label, block = blocks[sign][only.label]
            inside = members.pop((sign, label), None)
            if inside is not None:
                number = f"{len(inside)} layer{'s' if len(inside) > 1 else ''}"
                yield sign, f"{label}: block {block} of {number}{_cost_text(inside)}"


def _side(change: LayerChange) -> tuple[str, LayerCost | None]:
    """Return the sign of a change, and its layer where it is only on one side."""
    if change.before is not None and change.after is not None:
        return "~", None
    return ("-", change.before) if change.after is None else ("+", change.after)


def _changed(change: LayerChange) -> str:
    before, after = change.before, change.after
    assert before is not None
    assert after is not None
    label = before.label if before.label == after.label else f"{before.label} -> {after.label}"
    return f"{label}: {', '.join(map(str, change.differences))}"


def _cost_text(layers: Sequence[LayerCost]) -> str:
    """Return the shape of the last layer's result, and what all cost."""
    params, macs = sum(x.params for x in layers), total(x.macs for x in layers)
    costs = "".join(
        f", {text_of(n)} {word}" for n, word in ((params, "params"), (macs, "MACs")) if n != 0
    )
    return f" [{', '.join(map(str, layers[-1].output_shape))}]{costs}"


def _network_json(network: _Network) -> dict[str, Any]:
    last = network.last_map
    return {
        "file": str(network.file),
        "network": network.graph.name,
        "sizes": dict(network.figures.summary.sizes),
        "samples": samples_json(network.figures.summary),
        "layers": len(network.figures.layers),
        **cost_json(network.figures.summary),
        "peak_memory_bytes": network.figures.peak_memory_bytes,
        "peak_memory_missing": network.missing,
        "last_map": None if last is None else last.cost.label,
        **field_json(None if last is None else last.field),
    }


def _changes_json(found: Comparison) -> dict[str, Any]:
    return {
        "same": found.same,
        "layers": [
            {
                "before": _layer_json(change.before),
                "after": _layer_json(change.after),
                "differences": [
                    {"what": d.what, "before": d.before, "after": d.after}
                    for d in change.differences
                ],
            }
            for change in found.changes
        ],
    }


def _layer_json(layer: Any) -> dict[str, Any] | None:
    if layer is None:
        return None
    return {
        "name": layer.label,
        "op": layer.op,
        "output_shape": [number(e) for e in layer.output_shape],
        "params": layer.params,
        "macs": number(layer.macs),
    }
