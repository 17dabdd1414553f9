"""Layers that move, drop or repeat elements, and what only renames axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, isfinite

import numpy as np

from cnndsl.importers.onnx import fold
from cnndsl.importers.onnx.call import Call, Cases, Result
from cnndsl.importers.onnx.fold import FoldError
from cnndsl.importers.onnx.pointwise import axis_of
from cnndsl.importers.onnx.state import Known, Unsupported, View, reshaping
from cnndsl.ops.base import Array, Extents
from cnndsl.ops.embedding import Embedding
from cnndsl.ops.pool import GlobalAveragePool, GlobalMaxPool
from cnndsl.ops.rearrange import ChannelShuffle, DepthToSpace, SpaceToDepth
from cnndsl.ops.resample import Upsample
from cnndsl.ops.shape import Concat
from cnndsl.ops.slicing import Crop, Pad, Slice
from cnndsl.types.extents import Dim, Extent, product
from cnndsl.types.padding import Explicit

_CENTRED = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel")
"""Coordinates that for whole scales are those of the language."""

MAX_SCALE = 4096
"""Times an element may be repeated."""

_FAR = 2**31 - 1
"""Where a slice ends that runs to the end: models write this number or a larger one."""


# ------------------------------------------------------------------ axes and shapes


def _same(c: Call) -> View:
    return c.view()


def _cast(c: Call) -> View:
    """Between float types: all of them are float32 here."""
    view = c.view()
    type_ = c.state.type_of(view)
    to = c.attribute("to")
    c.attribute("saturate")
    c.attribute("round_mode")
    try:
        wanted = fold.dtype_of(to)
    except FoldError as error:
        raise Unsupported(f"its result {error}") from None
    if wanted != type_.dtype.numpy:
        raise Unsupported(f"it makes {wanted} of {type_.dtype}")
    c.state.note_type(to)
    return view


def _shape(c: Call) -> Known:
    for name in ("start", "end"):
        c.attribute(name)
    return fold.shape_part(c.node, c.shape(c.view()))


def _size(c: Call) -> Known:
    return fold.shape_vector([product(c.shape(c.view()))]).reshape(())


def _transpose(c: Call) -> View:
    view = c.view()
    perm = c.attribute("perm")
    order = tuple(reversed(range(len(view.axes)))) if perm is None else tuple(perm)
    if sorted(order) != list(range(len(view.axes))):
        raise Unsupported(f"perm={list(order)} does not permute {len(view.axes)} axes")
    return View(view.value, tuple(view.axes[i] for i in order))


def _squeeze(c: Call) -> View:
    view = c.view()
    shape, rank = c.shape(view), len(view.axes)
    axes = _axes(c)
    dropped = [i for i, e in enumerate(shape) if e == 1] if axes is None else in_range(axes, rank)
    for i in dropped:
        if shape[i] != 1:
            raise Unsupported(f"it drops axis {i}, which has the extent {shape[i]}")
    return View(view.value, tuple(a for i, a in enumerate(view.axes) if i not in dropped))


def _unsqueeze(c: Call) -> View:
    view = c.view()
    axes = _axes(c) or []
    new = in_range(axes, len(view.axes) + len(axes))
    if len(set(new)) != len(new):
        raise Unsupported("it adds an axis twice")
    kept = iter(view.axes)
    return View(
        view.value,
        tuple(None if i in new else next(kept) for i in range(len(view.axes) + len(new))),
    )


def _axes(c: Call, place: int = 1) -> list[int] | None:
    given = c.attribute("axes")
    if given is not None:
        return list(given)
    return c.integers(place, "axes") if c.given(place) else None


def in_range(axes: Sequence[int], rank: int) -> list[int]:
    """Return axes counted from the first; raises Unsupported for those that are not there."""
    if any(not -rank <= a < rank for a in axes):
        raise Unsupported(f"its axes {list(axes)} are not axes of {rank}")
    return [a % rank for a in axes]


def _flatten(c: Call) -> View:
    view = c.view()
    shape, axis = c.shape(view), c.attribute("axis")
    if not -len(shape) <= axis <= len(shape):
        raise Unsupported(f"axis={axis} is not an axis of {len(shape)}")
    axis += len(shape) if axis < 0 else 0
    return reshaped(c, view, (product(shape[:axis]), product(shape[axis:])))


def _reshape(c: Call) -> View:
    view = c.view()
    shape = c.shape(view)
    given = c.attribute("shape") if c.node.version < 5 else None
    wanted = np.asarray(given) if given is not None else c.constant(1, "shape")
    target = target_shape(shape, wanted, copies=not c.attribute("allowzero"))
    return reshaped(c, view, target)


def target_shape(
    shape: Sequence[Extent], wanted: Array, *, copies: bool = True
) -> tuple[Extent, ...]:
    """Return the shape that a Reshape's operand means; with `copies` a 0 takes an extent over."""
    target: list[Extent] = []
    for place, extent in enumerate(wanted.reshape(-1)):
        extent = extent if isinstance(extent, Dim) else int(extent)
        if extent == 0 and copies:
            if place >= len(shape):
                raise Unsupported("its shape copies an axis that is not there")
            extent = shape[place]
        target.append(extent)
    if target.count(-1) == 1:
        place = target.index(-1)
        target[place] = _rest(shape, target[:place] + target[place + 1 :])
    if any(isinstance(e, int) and e < 1 for e in target):
        raise Unsupported(f"its shape {[str(e) for e in target]} is not one")
    if product(tuple(target)) != product(tuple(shape)):
        raise Unsupported(
            f"it gives [{', '.join(map(str, shape))}] the shape [{', '.join(map(str, target))}]"
        )
    return tuple(target)


def _rest(shape: Sequence[Extent], others: Sequence[Extent]) -> Extent:
    """Return the extent that the other extents of a shape leave."""
    left = list(shape)
    divisor = 1
    for extent in others:
        if extent in left:
            left.remove(extent)
        elif isinstance(extent, int):
            divisor *= extent
        else:
            raise Unsupported("its shape depends on the size of a symbol")
    total = product(tuple(left))
    if divisor < 1 or total % divisor != 0:
        raise Unsupported(f"it divides {total} elements by {divisor}")
    return total // divisor


def reshaped(c: Call, view: View, target: tuple[Extent, ...], word: str = "") -> View:
    """Return a tensor under another shape: by axes of extent 1 alone, or by a layer."""
    shape = c.shape(view)
    if target == shape:
        return view
    wide = [a for a, e in zip(view.axes, shape, strict=True) if e != 1]
    if [e for e in target if e != 1] == [e for e in shape if e != 1]:
        places = iter(wide)
        axes: list[int | None] = [None if e == 1 else next(places) for e in target]
        if axes and axes[0] is None and view.axes[:1] == (0,) and 0 not in axes:
            axes[0] = 0
        renamed = View(view.value, tuple(axes))
        plain = view == c.state.whole(view.value) and renamed != c.state.whole(view.value)
        if not plain or len(target) < 2 or target[0] != shape[0]:
            return renamed
    value = c.state.plain(view, c.node)
    if not target or target[0] != shape[0]:
        raise Unsupported(
            f"it gives [{', '.join(map(str, shape))}] the shape [{', '.join(map(str, target))}], "
            "which moves elements between the samples of the batch"
        )
    return c.state.whole(c.emit(reshaping(target), (value,), word=word))


def _expand(c: Call) -> View:
    view = c.view()
    shape = c.shape(view)
    wanted = tuple(c.constant(1, "shape").reshape(-1))
    if len(wanted) > len(shape) or any(
        e not in (1, n) for e, n in zip(reversed(wanted), reversed(shape), strict=False)
    ):
        raise Unsupported("it repeats elements; the language does so in arithmetic only")
    return view


def _tile(c: Call) -> View:
    view = c.view()
    repeats = c.integers(1, "repeats")
    if set(repeats) - {1} or len(repeats) != len(view.axes):
        raise Unsupported("it repeats elements, which the language does in `upsample` only")
    return view


# ------------------------------------------------------------ slices and their inverse


def _concat(c: Call) -> View:
    views = [c.view(i) for i in range(len(c.node.inputs))]
    first = views[0]
    ranks = {c.state.type_of(v).rank for v in views}
    if any(v.axes != first.axes for v in views) or len(ranks) > 1:
        views = [c.state.whole(c.state.plain(v, c.node)) for v in views]
        first = views[0]
    axis = first.axes[axis_of(c, first)]
    if len(views) == 1:
        return first
    if not axis:
        raise Unsupported("it joins samples of the batch, or along an axis of one element")
    return View(c.emit(Concat(axis=axis), [v.value for v in views]), first.axes)


def _split(c: Call) -> Result:
    view = c.view()
    axis = axis_of(c, view) if c.attribute("axis") is not None else 0
    for name in ("split", "num_outputs"):
        c.attribute(name)
    extent, place = c.shape(view)[axis], view.axes[axis]
    if not isinstance(extent, int):
        raise Unsupported(f"it splits an axis of the symbolic size {extent}")
    try:
        sizes = fold.split_sizes(c.node, c.constants(), extent)
    except FoldError as error:
        raise Unsupported(f"it {error}") from None
    if not place:
        raise Unsupported("it splits the batch, or an axis of one element")
    results: list[Known] = []
    start = 0
    for number, size in enumerate(sizes):
        part: Known = None
        if c.used(number):
            op = Slice(axis=place, start=start, stop=start + size)
            word = "" if number == 0 else f"part{number + 1}"
            part = View(c.emit(op, (view.value,), word=word), view.axes)
        results.append(part)
        start += size
    return tuple(results)


def _slice(c: Call) -> View:
    view = c.view()
    for name in ("starts", "ends", "axes"):
        c.attribute(name)
    try:
        cuts = fold.slices_of(c.node, c.constants(), len(view.axes))
    except FoldError as error:
        raise Unsupported(f"it {error}") from None
    if len({axis for axis, *_ in cuts}) != len(cuts):
        raise Unsupported("it cuts an axis twice")
    shape = c.shape(view)
    kept = [_part(shape[axis], *rest) for axis, *rest in cuts]
    todo = [
        (axis, part) for (axis, *_), part in zip(cuts, kept, strict=True) if part != (0, None, 1)
    ]
    margins = _margins(c, view, [(view.axes[a], shape[a], p) for a, p in todo])
    if margins is not None:
        return View(c.emit(Crop(margin=Explicit(margins)), (view.value,)), view.axes)
    value = view.value
    for number, (axis, (start, stop, step)) in enumerate(todo, 1):
        place = view.axes[axis]
        if not place:
            raise Unsupported("it takes a part of the batch")
        op = Slice(axis=place, start=start, stop=stop, step=step)
        value = c.emit(op, (value,), word="" if number == len(todo) else f"axis{axis}")
    return View(value, view.axes)


def _part(extent: Extent, start: int, stop: int, step: int) -> tuple[int, int | None, int]:
    """Return a slice as the language has it, cut down to the axis as ONNX does."""
    if step < 0:
        raise Unsupported("it turns an axis round (a negative step)")
    if isinstance(extent, int):
        start, stop, step = slice(start, stop, step).indices(extent)
        if stop <= start:
            raise Unsupported("it takes no element")
        return start, None if stop == extent else stop, step
    if start < -_FAR:
        start = 0
    if start >= _FAR or stop <= -_FAR:
        raise Unsupported("it takes no element")
    return start, None if stop >= _FAR else stop, step


def _margins(
    c: Call, view: View, cuts: list[tuple[int | None, Extent, tuple[int, int | None, int]]]
) -> tuple[tuple[int, int], ...] | None:
    """Return a slice of several spatial axes as the margins that it cuts off."""
    rank = c.state.type_of(view).rank
    margins = [(0, 0)] * (rank - 2)
    if len(cuts) < 2:
        return None
    for axis, extent, (start, stop, step) in cuts:
        if axis is None or axis < 2 or step != 1 or start < 0:
            return None
        end = 0 if stop is None else -stop
        if stop is not None and stop > 0:
            if not isinstance(extent, int):
                return None
            end = extent - stop
        margins[axis - 2] = (start, end)
    return tuple(margins)


def _pad(c: Call) -> View:
    view = c.view()
    rank, mode = len(view.axes), c.attribute("mode")
    words = {"constant": "zero", "reflect": "reflect", "edge": "edge"}
    if mode not in words:
        raise Unsupported(f"mode={mode} is not a mode of the language's pad")
    if c.node.version < 11:
        pads, value = list(c.attribute("pads")), float(c.attribute("value"))
    else:
        pads = c.integers(1, "pads")
        value = c.number(2, "value") if c.given(2) else 0.0
    given = c.integers(3, "axes") if c.given(3) else range(rank)
    axes = in_range(list(given), rank)
    if len(pads) != 2 * len(axes) or len(set(axes)) != len(axes):
        raise Unsupported(f"it has {len(pads)} pads for {len(axes)} axes")
    pairs = [(0, 0)] * max(c.state.type_of(view).rank - 2, 0)
    for axis, low, high in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        place = view.axes[axis]
        if (low, high) == (0, 0):
            continue
        if place is None or place < 2:
            raise Unsupported("it pads the batch, the channels, or an axis of one element")
        pairs[place - 2] = (low, high)
    if all(low <= 0 and high <= 0 for low, high in pairs):
        if not any(map(any, pairs)):
            return view
        margin = Explicit(tuple((-low, -high) for low, high in pairs))
        return View(c.emit(Crop(margin=margin), (view.value,)), view.axes)
    if any(low < 0 or high < 0 for low, high in pairs):
        raise Unsupported("it pads some sides and cuts others")
    if not isfinite(value):
        raise Unsupported(f"it pads with {value}")
    amount = Explicit(tuple(pairs))
    op = Pad(amount=amount, mode=words[mode], value=value if mode == "constant" else 0.0)
    return View(c.emit(op, (view.value,)), view.axes)


def _gather(c: Call) -> View:
    """Look vectors up by numbers; or take one element of an axis, or some that follow another."""
    data = c.operand(0)
    if not isinstance(data, View):
        return _embedding(c)
    axis = axis_of(c, data)
    place, extent = data.axes[axis], c.shape(data)[axis]
    indices = c.constant(1, "indices")
    numbers = c.integers(1, "indices")
    if isinstance(extent, int):
        if any(not -extent <= n < extent for n in numbers):
            raise Unsupported("it takes elements that are not there")
        numbers = [n % extent for n in numbers]
    steps = set(np.diff(numbers).tolist())
    if indices.ndim > 1 or not numbers or steps - {1} or (numbers[0] < 0 and len(numbers) > 1):
        raise Unsupported("it takes elements in an order of its own")
    if not place:
        raise Unsupported("it takes a part of the batch, or of an axis of one element")
    start, stop = numbers[0], numbers[-1] + 1
    op = Slice(axis=place, start=start, stop=None if stop in (0, extent) else stop)
    value = c.emit(op, (data.value,))
    kept = data.axes if indices.ndim else data.axes[:axis] + data.axes[axis + 1 :]
    return View(value, kept)


def _embedding(c: Call) -> View:
    table, indices = c.weights(0, "table"), c.view(1)
    if c.attribute("axis") not in (0, -2) or table.ndim != 2:
        raise Unsupported("it looks up along another axis than the first of a matrix")
    op = Embedding(entries=table.shape[0], features=table.shape[1])
    value = c.emit(op, (indices.value,), [table], key=c.names(0))
    # The features became axis 1; the model has them last.
    moved = tuple(a if not a else a + 1 for a in indices.axes)
    return View(value, (*moved, 1))


# ------------------------------------------------------------------------- resolution


def _depth_to_space(c: Call) -> View:
    mode = c.attribute("mode") or "DCR"
    return c.result(DepthToSpace(block=c.attribute("blocksize"), mode=mode.lower()))


def _space_to_depth(c: Call) -> View:
    block, mode = c.attribute("blocksize"), c.attribute("mode") or "DCR"
    down = SpaceToDepth(block=block)
    if mode == "DCR":
        return c.result(down)
    if mode != "CRD":
        raise Unsupported(f"mode={mode} is not a mode of ONNX")
    value = c.emit(down, (c.value(),), word="down")
    places = block ** len(c.type_of(value).spatial)
    return c.state.whole(c.emit(ChannelShuffle(groups=places), (value,)))


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
    given = _axes(c)
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
    "Identity": _same,
    "Cast": _cast,
    "Shape": _shape,
    "Size": _size,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Expand": _expand,
    "Tile": _tile,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Pad": _pad,
    "Gather": _gather,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Upsample": _upsample,
    "Resize": _resize,
    "ReduceMean": lambda c: _reduced(c, GlobalAveragePool),
    "ReduceMax": lambda c: _reduced(c, GlobalMaxPool),
}
