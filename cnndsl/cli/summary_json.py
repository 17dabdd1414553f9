"""Figures of a network as JSON values: whole numbers, or formulas as text."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from cnndsl.analysis.cost import NOT_COUNTED, Cost, Summary
from cnndsl.analysis.receptive_field import ValueField
from cnndsl.driver.figures import Figures, LayerFigures
from cnndsl.types.extents import Extent
from cnndsl.types.tensor import TensorType


def as_json(
    found: Figures, rows: Sequence[LayerFigures], memory_missing: str | None = None
) -> dict[str, Any]:
    """Return all figures; `memory_missing` says why there is no planned memory."""
    summary = found.summary
    return {
        "network": summary.network,
        "sizes": dict(summary.sizes),
        "samples": samples_json(summary),
        "inputs": [_tensor(name, type_) for name, type_ in summary.inputs],
        "outputs": [_tensor(name, type_) for name, type_ in summary.outputs],
        **cost_json(summary),
        "peak_memory_bytes": found.peak_memory_bytes,
        "peak_memory_missing": memory_missing,
        "receptive_field_in": None if found.fields is None else found.fields.input,
        "not_counted": [
            NOT_COUNTED,
            *(
                f"{', '.join(ops)}: {reason.removeprefix('none: ')}"
                for reason, ops in summary.without_operations.items()
            ),
        ],
        "layers": [
            {
                "name": row.cost.label,
                "op": row.cost.op,
                "layers": row.cost.layers,
                "output_shape": [number(e) for e in row.cost.output_shape],
                **cost_json(row.cost),
                "params_share": _share(row.cost.params, summary.params),
                "macs_share": _share(row.cost.macs, summary.macs),
                "other_operations_rule": row.cost.rule,
                **field_json(row.field),
                "live_bytes": row.live_bytes,
            }
            for row in rows
        ],
    }


def cost_json(cost: Cost) -> dict[str, Any]:
    """Return the counts of a layer or a network."""
    return {
        "params": cost.params,
        "buffers": cost.buffers,
        "macs": number(cost.macs),
        "flops": number(cost.flops),
        "other_operations": number(cost.other_operations),
        "weight_bytes": cost.weight_bytes,
        "buffer_bytes": cost.buffer_bytes,
        "activation_bytes": number(cost.activation_bytes),
        "bytes_moved": number(cost.bytes_moved),
        "arithmetic_intensity": cost.arithmetic_intensity,
    }


def samples_json(summary: Summary) -> dict[str, Any]:
    """Return of how many samples of each input the figures are."""
    return {name: number(n) for name, n in summary.samples}


def field_json(field: ValueField | None) -> dict[str, Any]:
    """Return what a unit sees; a jump that is not whole is text ("1/2")."""
    return {
        "receptive_field_px": None if field is None else list(field.receptive_field_px),
        "jump_px": None if field is None else [_jump(j) for j in field.jump_px],
        "sees_whole_map": None if field is None else field.whole,
    }


def number(extent: Extent) -> int | str:
    """Return a count, or its formula as text."""
    return extent if isinstance(extent, int) else str(extent)


def _jump(jump: Fraction) -> int | str:
    return jump.numerator if jump.denominator == 1 else str(jump)


def _share(part: Extent, whole: Extent) -> float | None:
    """Return a part of the whole, 0 to 1; None for formulas, and where there is nothing."""
    if isinstance(part, int) and isinstance(whole, int) and whole:
        return part / whole
    return None


def _tensor(name: str, type_: TensorType) -> dict[str, Any]:
    return {
        "name": name,
        "dtype": str(type_.dtype),
        "shape": [number(e) for e in type_.shape],
    }
