"""What only names axes anew, and shapes: a tensor under another one, or as numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnndsl.importers.onnx import fold
from cnndsl.importers.onnx.call import Call, Cases
from cnndsl.importers.onnx.folding import FoldError, shape_vector
from cnndsl.importers.onnx.state import Known, Unsupported, View, reshaping
from cnndsl.ops.base import Array
from cnndsl.types.extents import Dim, Extent, product


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
    return shape_vector([product(c.shape(c.view()))]).reshape(())


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
    axes = axes_of(c)
    dropped = [i for i, e in enumerate(shape) if e == 1] if axes is None else in_range(axes, rank)
    for i in dropped:
        if shape[i] != 1:
            raise Unsupported(f"it drops axis {i}, which has the extent {shape[i]}")
    return View(view.value, tuple(a for i, a in enumerate(view.axes) if i not in dropped))


def _unsqueeze(c: Call) -> View:
    view = c.view()
    axes = axes_of(c) or []
    new = in_range(axes, len(view.axes) + len(axes))
    if len(set(new)) != len(new):
        raise Unsupported("it adds an axis twice")
    kept = iter(view.axes)
    return View(
        view.value,
        tuple(None if i in new else next(kept) for i in range(len(view.axes) + len(new))),
    )


def axes_of(c: Call, place: int = 1) -> list[int] | None:
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
}
