"""All figures of a network, from the analyses and the target's plan, by layer and in all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnndsl.analysis.cost import LayerCost, Summary, fold, summarize
from cnndsl.analysis.receptive_field import ReceptiveFields, ValueField, receptive_fields
from cnndsl.analysis.sizes import NoSizeError
from cnndsl.diagnostics import CompileError
from cnndsl.ir.graph import Graph


@dataclass(frozen=True, slots=True)
class LayerFigures:
    """A layer's cost, what its units see of the network's input, and the planned live bytes.

    `field` is None where it has no period, or nothing of the input is seen; `live_bytes` where the
    plan was not asked for, and for a layer that the plan fuses into another.
    """

    cost: LayerCost
    field: ValueField | None
    live_bytes: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a network. `peak_memory_bytes` is None where the plan was not asked for."""

    summary: Summary
    layers: tuple[LayerFigures, ...]
    fields: ReceptiveFields | None
    peak_memory_bytes: int | None


def figures(graph: Graph, *, memory: bool, depth: int | None = None) -> Figures:
    """Measure a network; with `memory` plan it for numba-cpu, too, as one sample.

    With `depth` the layers of each block use at that depth are one. Raises CompileError where the
    plan is asked for and cannot be made.
    """
    summary = summarize(graph)
    try:
        fields = receptive_fields(graph)
    except NoSizeError:
        fields = None
    live: Mapping[str, int] = {}
    peak = None
    if memory:
        from cnndsl.backends.numba_cpu.plan import planned_memory

        planned = planned_memory(graph)
        live, peak = planned.live_bytes, planned.arena_bytes
    rows = summary.layers if depth is None else fold(summary.layers, depth)
    inside: dict[str, list[int]] = {}
    for layer in summary.layers:
        if layer.label in live:
            inside.setdefault(_row_label(layer, depth), []).append(live[layer.label])
    return Figures(
        summary,
        tuple(
            LayerFigures(
                cost=row,
                field=None if fields is None else fields.of(row.value),
                live_bytes=max(inside.get(row.label, ()), default=None),
            )
            for row in rows
        ),
        fields,
        peak,
    )


def figures_if_planned(graph: Graph, *, depth: int | None = None) -> tuple[Figures, str | None]:
    """Measure a network with planned memory; where that cannot be, without it, and say why."""
    try:
        return figures(graph, memory=True, depth=depth), None
    except CompileError as error:
        return figures(graph, memory=False, depth=depth), error.diagnostics[0].message


def _row_label(layer: LayerCost, depth: int | None) -> str:
    """Return the label of the row that a layer lies in."""
    if depth is None or len(layer.blocks) < depth:
        return layer.label
    return layer.blocks[depth - 1][0]
