"""Put together the picture of receptive fields: units, holes, effective fields, the photograph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cnndsl.analysis.coverage import AxisPositions, TooLargeError, coverage
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.effective_field import Measured
from cnndsl.driver.field_report import FieldReport
from cnndsl.driver.image import DEVIATION, MEAN, read_image
from cnndsl.ops.base import Array
from cnndsl.pictures.fields import FieldPicture, UnitField, ValueFields


def picture(
    report: FieldReport,
    values: Sequence[str],
    image: Path | None = None,
    object_px: tuple[int, ...] | None = None,
    measured: Mapping[str, Measured] | None = None,
    units: Sequence[tuple[int, ...]] = (),
) -> FieldPicture:
    """Return the picture of some values' fields: of some units, or the central one and the corners.

    The effective field, of the first, is the measured one where there is one, else the closed form.
    Raises CompileError where sizes are not known, a value has no such unit, or the image cannot be
    used.
    """
    fields = report.fields
    if fields.assumed:
        raise CompileError(
            Diagnostic(
                code="CNN207",
                message=f"the size of {' and '.join(fields.assumed)} must be known to draw",
                help=f"give it with --set {fields.assumed[0]}=224",
            )
        )
    if not 1 <= len(fields.extents) <= 3:
        raise CompileError(
            Diagnostic(code="CNN201", message=f"the input {fields.input} has no map to draw on")
        )
    try:
        read = coverage(report.graph, fields, keep=values).positions
    except TooLargeError:
        read = {}
    return FieldPicture(
        network=report.graph.name,
        input_px=fields.extents,
        values=tuple(
            _value(report, value, read.get(value), (measured or {}).get(value), units)
            for value in values
        ),
        image=None if image is None else _image(image, fields.extents),
        object_px=object_px,
    )


def _value(
    report: FieldReport,
    value: str,
    read: tuple[AxisPositions, ...] | None,
    measured: Measured | None,
    chosen: Sequence[tuple[int, ...]],
) -> ValueFields:
    view = report.view(value)
    axes = view.field.hull
    extents = view.map_extents if len(view.map_extents) == len(axes) else (1,) * len(axes)
    centre = tuple(n // 2 for n in extents)
    corners = (tuple(0 for _ in extents), tuple(n - 1 for n in extents))
    units: list[UnitField] = []
    for unit in dict.fromkeys(chosen or (centre, *corners)):
        intervals = tuple(i for i in report.intervals(value, unit) if i is not None)
        if len(intervals) < len(axes):
            continue
        sigma = place = influence = None
        if not units and measured is not None:
            influence = measured.energy
        elif not units and view.effective is not None:
            sigma = tuple(e.sigma_px for e in view.effective)
            place = tuple(
                e.centre + float(u * a.jump)
                for e, u, a in zip(view.effective, unit, axes, strict=True)
            )
        masks = None if read is None else _masks(read, unit)
        units.append(UnitField(unit, intervals, masks, sigma, place, influence))
    if not units:
        raise CompileError(
            Diagnostic(code="CNN502", message=f"the units of {value} that are drawn see nothing")
        )
    return ValueFields(
        view.layer,
        view.field.receptive_field_px,
        tuple(float(j) for j in view.field.jump_px),
        tuple(units),
        view.field.whole,
    )


def _masks(read: Sequence[AxisPositions], unit: Sequence[int]) -> tuple[Array, ...] | None:
    masks = []
    for axis, u in zip(read, unit, strict=True):
        found = axis.at(0 if axis.whole else u)
        if found is None:
            return None
        bits = found[1]
        length = bits.bit_length()
        packed = np.frombuffer(bits.to_bytes((length + 7) // 8, "little"), np.uint8)
        masks.append(np.unpackbits(packed, bitorder="little", count=length).astype(bool))
    return tuple(masks)


def _image(path: Path, extents: tuple[int, ...]) -> Array:
    """Return the photograph as a network is given it, [height, width, 3] in 0..1."""
    if len(extents) != 2:
        raise CompileError(
            Diagnostic(
                code="CNN803",
                message=f"{path} cannot be used: the input has {len(extents)} spatial axes, "
                "a picture has 2",
            )
        )
    pixels = read_image(path, 3, *extents)[0].transpose(1, 2, 0)
    shown: Array = np.clip(pixels * np.array(DEVIATION) + np.array(MEAN), 0, 1)
    return shown
