"""Layers that change the size of a map: Resize in its versions, and reductions over all of it."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

from cnndsl.importers.onnx.axes import axes_of, in_range
from cnndsl.importers.onnx.call import Call, Cases
from cnndsl.importers.onnx.state import Unsupported, View
from cnndsl.ops.base import Extents
from cnndsl.ops.pool import GlobalAveragePool, GlobalMaxPool
from cnndsl.ops.resample import Upsample
from cnndsl.types.extents import Dim, Extent

_CENTRED = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel")
"""Coordinates that for whole scales are those of the language."""

MAX_SCALE = 4096
"""Times an element may be repeated."""


def _upsample(c: Call) -> View:
    """Upsample, which later became Resize."""
    view = c.view()
    scales = c.attribute("scales") if c.node.version < 9 else None
    numbers = list(c.weights(1, "scales")) if scales is None else list(scales)
    return _enlarged(c, view, numbers, c.attribute("mode"), "asymmetric", "floor")


def _resize(c: Call) -> View:
    view, rank = c.view(), len(c.view().axes)
    mode = c.attribute("mode")
    for name in ("cubic_coeff_a", "extrapolation_value", "exclude_outside"):
        c.attribute(name)  # they say nothing for the modes and coordinates taken below
    place = 1 if c.node.version < 11 else 2
    given = c.attribute("axes")
    axes = list(range(rank)) if given is None else in_range(list(given), rank)
    scales = [1.0] * rank
    if c.given(place) and c.constant(place, "scales").size:
        numbers = [float(s) for s in c.weights(place, "scales").reshape(-1)]
    elif c.given(3):
        numbers = _scales(c, view, axes)
    else:
        raise Unsupported("it is given neither scales nor sizes")
    if len(numbers) != len(axes):
        raise Unsupported(f"it has {len(numbers)} scales for {len(axes)} axes")
    for axis, number in zip(axes, numbers, strict=True):
        scales[axis] = number
    coordinates = c.attribute("coordinate_transformation_mode") or "asymmetric"
    rounding = c.attribute("nearest_mode") or "floor"
    if c.attribute("antialias") and any(s < 1 for s in scales):
        raise Unsupported("it smooths before it makes the map smaller (antialias)")
    return _enlarged(c, view, scales, mode, coordinates, rounding)


def _scales(c: Call, view: View, axes: Sequence[int]) -> list[float]:
    """Return sizes as the factors that they are of the extents."""
    shape = c.shape(view)
    sizes = [e if isinstance(e, Dim) else int(e) for e in c.constant(3, "sizes").reshape(-1)]
    if c.attribute("keep_aspect_ratio_policy") not in (None, "stretch"):
        raise Unsupported("it keeps the map's proportions (keep_aspect_ratio_policy)")
    numbers = []
    for axis, size in zip(axes, sizes, strict=False):
        extent = shape[axis]
        scale = _ratio(size, extent)
        if scale is None:
            raise Unsupported(f"it makes {size} of {extent} elements, no whole multiple")
        numbers.append(float(scale))
    return numbers


def _ratio(size: Extent, extent: Extent) -> int | None:
    if isinstance(size, int) and isinstance(extent, int):
        return size // extent if size % extent == 0 else None
    return next((k for k in range(1, 65) if extent * k == size), None)


def _enlarged(
    c: Call, view: View, scales: Sequence[float], mode: str, coordinates: str, rounding: str
) -> View:
    if len(scales) != len(view.axes):
        raise Unsupported(f"it has {len(scales)} scales for {len(view.axes)} axes")
    factors = [1] * max(c.state.type_of(view).rank - 2, 0)
    for axis, number in zip(view.axes, scales, strict=True):
        if number == 1:
            continue
        if axis is None or axis < 2 or not 1 <= number <= MAX_SCALE or number != int(number):
            raise Unsupported(
                f"the scales [{', '.join(f'{float(s):g}' for s in scales)}] are not whole numbers "
                "for spatial axes"
            )
        factors[axis - 2] = int(number)
    if all(f == 1 for f in factors):
        if mode == "cubic" or coordinates == "tf_crop_and_resize":
            raise Unsupported(f"mode={mode} with {coordinates} is not in the language")
        return view
    word = {"nearest": "nearest", "linear": "bilinear", "bilinear": "bilinear"}.get(mode)
    if word is None:
        raise Unsupported(f"mode={mode} is not a mode of the language's upsample")
    if word == "nearest" and not _repeats(tuple(factors), coordinates, rounding):
        raise Unsupported(
            f"{coordinates} with {rounding} does not repeat elements {max(factors)} times each"
        )
    if word == "bilinear" and coordinates not in _CENTRED:
        raise Unsupported(f"{coordinates} places elements otherwise than the language (half_pixel)")
    op = Upsample(scale=tuple(factors), mode=word)
    return View(c.emit(op, (view.value,)), view.axes)


def _repeats(factors: Extents, coordinates: str, rounding: str) -> bool:
    """Tell whether output o of every axis is input floor(o / factor), by trying one period."""
    places = {
        "asymmetric": lambda o, s: o / s,
        "half_pixel": lambda o, s: (o + 0.5) / s - 0.5,
        "half_pixel_symmetric": lambda o, s: (o + 0.5) / s - 0.5,
        "pytorch_half_pixel": lambda o, s: (o + 0.5) / s - 0.5,
    }
    roundings = {
        "floor": floor,
        "ceil": lambda x: -floor(-x),
        "round_prefer_floor": lambda x: -floor(0.5 - x),
        "round_prefer_ceil": lambda x: floor(x + 0.5),
    }
    place, rounded = places.get(coordinates), roundings.get(rounding)
    if place is None or rounded is None:
        return False
    # The second period, which the first element's clamping does not touch.
    return all(
        rounded(place(o, s)) == o // s and max(rounded(place(o - s, s)), 0) == 0
        for s in factors
        for o in range(s, 2 * s)
    )


def _reduced(c: Call, kind: type[GlobalAveragePool | GlobalMaxPool]) -> View:
    """A mean or largest value over all spatial axes is a global pool."""
    view = c.view()
    given = axes_of(c)
    axes = in_range(given, len(view.axes)) if given else list(range(len(view.axes)))
    if not given and c.attribute("noop_with_empty_axes"):
        return view
    type_ = c.state.type_of(view)
    places = {view.axes[i] for i in axes} - {None}
    wide = {a for a in range(2, type_.rank) if type_.shape[a] != 1}
    if not wide <= places <= set(range(2, type_.rank)) or type_.rank < 3:
        raise Unsupported("it reduces other axes than all spatial ones")
    kept = bool(c.attribute("keepdims"))
    value = c.emit(kind(keep_axes=kept), (view.value,))
    if kept:
        return View(value, view.axes)
    left = [a for i, a in enumerate(view.axes) if i not in axes]
    return View(value, tuple(None if a is not None and a >= 2 else a for a in left))


CASES: Cases = {
    "Upsample": _upsample,
    "Resize": _resize,
    "ReduceMean": lambda c: _reduced(c, GlobalAveragePool),
    "ReduceMax": lambda c: _reduced(c, GlobalMaxPool),
}
