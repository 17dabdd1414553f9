"""The columns of `cnndsl summary`: what each holds, and how it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from typing import TypeAlias

import click

from cnndsl.analysis.cost import Summary
from cnndsl.driver.figures import LayerFigures
from cnndsl.types.extents import Extent

Cell: TypeAlias = str | Extent | float | None
"""Text, a count or a formula, a ratio, or nothing."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name for --columns, its heading in the table, and its cells.

    `total` gives the cell below; `weight` the number that the cell is sorted by, where that is not
    the cell itself.
    """

    name: str
    heading: str
    about: str
    cell: Callable[[LayerFigures, Summary], Cell]
    total: Callable[[Summary], Cell] = lambda _: None
    number: bool = True
    weight: Callable[[LayerFigures, Summary], Cell] | None = None
    needs_plan: bool = False

    def key(self, row: LayerFigures, summary: Summary) -> Cell:
        """Return what rows are sorted by."""
        return (self.weight or self.cell)(row, summary)


def _share(part: Extent, whole: Extent) -> float | None:
    """Return a part of a whole in percent; None for formulas and for nothing."""
    if isinstance(part, int) and isinstance(whole, int) and part:
        return 100 * part / whole
    return None


def axes_text(values: tuple[int, ...] | tuple[Fraction, ...]) -> str:
    """Return numbers per spatial axis as a program writes sizes; one number where all agree."""
    return str(values[0]) if len(set(values)) == 1 else "x".join(str(v) for v in values)


def field_text(row: LayerFigures) -> str | None:
    """Return the receptive field of a layer in pixels, "all" for the whole map."""
    if row.field is None:
        return None
    return "all" if row.field.whole else axes_text(row.field.receptive_field_px)


def jump_text(row: LayerFigures) -> str | None:
    """Return the jump of a layer in pixels; nothing where there is one unit."""
    if row.field is None or not any(row.field.jump_px):
        return None
    return axes_text(row.field.jump_px)


def _field_weight(row: LayerFigures, _: Summary) -> Cell:
    if row.field is None:
        return None
    return float("inf") if row.field.whole else max(row.field.receptive_field_px)


def _jump_weight(row: LayerFigures, _: Summary) -> Cell:
    return None if row.field is None else float(max(row.field.jump_px))


COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        Column("layer", "layer", "path in the program", lambda r, _: r.cost.label, number=False),
        Column("op", "op", "op or block", lambda r, _: r.cost.op, number=False),
        Column(
            "shape",
            "output shape",
            "shape of the result",
            lambda r, _: f"[{', '.join(map(str, r.cost.output_shape))}]",
            number=False,
        ),
        Column("layers", "layers", "layers in the row", lambda r, _: r.cost.layers,
               lambda s: len(s.layers)),
        Column("params", "params", "trained numbers", lambda r, _: r.cost.params,
               lambda s: s.params),
        Column("params_share", "params %", "share of params",
               lambda r, s: _share(r.cost.params, s.params)),
        Column("buffers", "buffers", "numbers of running statistics",
               lambda r, _: r.cost.buffers, lambda s: s.buffers),
        Column("macs", "MACs", "multiply-accumulates", lambda r, _: r.cost.macs,
               lambda s: s.macs),
        Column("macs_share", "MACs %", "share of MACs", lambda r, s: _share(r.cost.macs, s.macs)),
        Column("flops", "FLOPs", "two per MAC", lambda r, _: r.cost.flops,
               lambda s: s.flops),
        Column("other", "other ops", "operations outside the MACs",
               lambda r, _: r.cost.other_operations, lambda s: s.other_operations),
        Column("weight_bytes", "weight bytes", "of params",
               lambda r, _: r.cost.weight_bytes, lambda s: s.weight_bytes),
        Column("buffer_bytes", "buffer bytes", "of buffers",
               lambda r, _: r.cost.buffer_bytes, lambda s: s.buffer_bytes),
        Column("activation_bytes", "result bytes", "of the result",
               lambda r, _: r.cost.activation_bytes, lambda s: s.activation_bytes),
        Column("bytes_moved", "bytes moved", "operands, result, weights: each once",
               lambda r, _: r.cost.bytes_moved, lambda s: s.bytes_moved),
        Column("intensity", "FLOPs/byte", "FLOPs for each byte moved",
               lambda r, _: r.cost.arithmetic_intensity,
               lambda s: s.arithmetic_intensity),
        Column("rf", "RF", "receptive field, input positions", lambda r, _: field_text(r),
               weight=_field_weight),
        Column("jump", "jump", "input positions from unit to unit", lambda r, _: jump_text(r),
               weight=_jump_weight),
        Column("peak", "live bytes", "alive while it runs on numba-cpu; in all, the peak planned",
               lambda r, _: r.live_bytes, needs_plan=True),
    )
}  # fmt: skip

DEFAULT = (
    "layer", "shape", "params", "macs", "macs_share", "other", "rf", "jump", "activation_bytes",
)  # fmt: skip

DISPENSABLE = tuple(
    COLUMNS[name].heading for name in ("activation_bytes", "other", "jump", "macs_share", "rf")
)
"""Headings of the default columns that a narrow terminal goes without, in this order."""


def column(name: str) -> Column:
    """Return the column of a name; a usage error suggests the nearest."""
    if name in COLUMNS:
        return COLUMNS[name]
    near = get_close_matches(name, COLUMNS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"columns are {', '.join(COLUMNS)}"
    raise click.UsageError(f"there is no column {name!a}: {hint}")


def text_of(cell: Cell) -> str:
    """Write a cell for people: digits in groups, shares with one decimal."""
    match cell:
        case None:
            return ""
        case str():
            return cell
        case int():
            return f"{cell:,}"
        case float():
            return "<0.1" if 0 < cell < 0.05 else f"{cell:.1f}"  # what is not zero never reads 0.0
        case _:
            return str(cell)


def body_text(cell: Cell) -> str:
    """Write a cell of a layer for people: what is zero is left blank."""
    return "" if cell == 0 else text_of(cell)


def plain(cell: Cell) -> str:
    """Write a cell for programs: whole numbers as they are, ratios with all digits."""
    return "" if cell is None else str(cell)


def sorted_rows(
    rows: tuple[LayerFigures, ...], by: Column, summary: Summary
) -> tuple[LayerFigures, ...]:
    """Return rows by a column: numbers largest first, text by the alphabet, the rest last."""

    def key(row: LayerFigures) -> tuple[int, float, str]:
        match by.key(row, summary):
            case int() | float() as number:
                return (0, -number, "")
            case str() as text:
                return (0, 0, text)
            case _:
                return (1, 0, "")

    return tuple(sorted(rows, key=key))
