"""Layers that drop elements, put them together, or move them: slices, joins, pads, look-ups."""

from __future__ import annotations

from math import isfinite

import numpy as np

from cnndsl.importers.onnx import fold
from cnndsl.importers.onnx.axes import in_range
from cnndsl.importers.onnx.call import Call, Cases, Result
from cnndsl.importers.onnx.folding import FoldError
from cnndsl.importers.onnx.pointwise import axis_of
from cnndsl.importers.onnx.state import Known, Unsupported, View
from cnndsl.ops.embedding import Embedding
from cnndsl.ops.rearrange import ChannelShuffle, DepthToSpace, SpaceToDepth
from cnndsl.ops.shape import Concat
from cnndsl.ops.slicing import Crop, Pad, Slice
from cnndsl.types.extents import Extent
from cnndsl.types.padding import Explicit

_FAR = 2**31 - 1
"""Where a slice ends that runs to the end: models write this number or a larger one."""


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


CASES: Cases = {
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Pad": _pad,
    "Gather": _gather,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
