"""The layers of what `patterns` recognised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnndsl.importers.onnx.axes import in_range, reshaped, target_shape
from cnndsl.importers.onnx.call import Call, Cases, vector
from cnndsl.importers.onnx.pointwise import axis_of
from cnndsl.importers.onnx.state import Unsupported, View, shortest
from cnndsl.ops.activation import Glu, Silu
from cnndsl.ops.base import Op
from cnndsl.ops.norm import LRN, GroupNorm, LayerNorm
from cnndsl.ops.rearrange import ChannelShuffle, DepthToSpace, SpaceToDepth
from cnndsl.types.extents import Extent


def _glu(c: Call) -> View:
    view = c.view()
    if view.axes[axis_of(c, view)] != 1:
        raise Unsupported("it halves another axis than the channels")
    return c.same_axes(Glu())


def _layer_norm(c: Call) -> View:
    """Over the channels; the scale and shift that follow become its own."""
    view = c.view()
    axes = in_range(c.attribute("axes"), len(view.axes))
    places = sorted({view.axes[a] for a in axes} - {None}, key=str)
    type_ = c.state.type_of(view)
    channels = c.channels(view.value)
    epsilon = shortest(c.attribute("epsilon"))
    wide = [1, *(a for a in range(2, type_.rank) if type_.shape[a] != 1)]
    if places == [1]:
        op: Op = LayerNorm(epsilon=epsilon)
    elif places == wide:
        op = GroupNorm(groups=1, epsilon=epsilon)
    else:
        raise Unsupported("it runs over other axes than the channels, or all of a sample")
    weights = [np.ones(channels), np.zeros(channels)]
    return View(c.emit(op, (view.value,), weights), view.axes)


def _between(c: Call) -> tuple[View, tuple[Extent, ...]]:
    """Return the operand and the shape between; what follows must be the operand's shape."""
    view = c.view()
    shape = c.shape(view)
    between = target_shape(shape, c.constant(1, "shape"))
    if target_shape(between, c.constant(2, "shape")) != shape:
        raise Unsupported("it does not end in the shape that it began with")
    return view, between


def _group_norm(c: Call) -> View:
    view, between = _between(c)
    shape = c.shape(view)
    groups = between[1] if len(between) > 1 else 0
    x = c.state.plain(view, c.node)
    channels = c.channels(x)
    if not isinstance(groups, int) or between[0] != shape[0]:
        raise Unsupported("it normalises under a shape that is not [batch, groups, rest]")
    if groups < 1 or channels % groups:
        raise Unsupported(f"it makes {groups} groups of {channels} channels")
    parts = [vector(c.weights(place, "scale"), groups) for place in (3, 4)]
    weights = [np.repeat(part, channels // groups) for part in parts]
    op = GroupNorm(groups=groups, epsilon=shortest(c.attribute("epsilon")))
    return c.state.whole(c.emit(op, (x,), weights))


def _flat_lrn(c: Call) -> View:
    view, between = _between(c)
    c.channel_axis(view)
    if between[:2] != c.shape(view)[:2]:
        raise Unsupported("it normalises under a shape of other channels")
    op = LRN(
        size=c.attribute("size"),
        alpha=shortest(c.attribute("alpha")),
        beta=shortest(c.attribute("beta")),
        k=shortest(c.attribute("bias")),
    )
    return c.result(op)


def _rearrange(c: Call) -> View:
    """A permutation under a shape of more axes: of channels, or between channels and space."""
    view, perm = c.view(), tuple(c.attribute("perm") or ())
    shape = c.shape(view)
    split = target_shape(shape, c.constant(1, "shape"))
    if sorted(perm) != list(range(len(split))):
        raise Unsupported(f"perm={list(perm)} does not permute {len(split)} axes")
    final = target_shape([split[p] for p in perm], c.constant(2, "shape"))
    for ops, wanted, order, result in _candidates(shape, split):
        if (split, perm, final) == (wanted, order, result):
            value = c.state.plain(view, c.node)
            for number, op in enumerate(ops, 1):
                value = c.emit(op, (value,), word="" if number == len(ops) else f"step{number}")
            return c.state.whole(value)
    # Nothing that has a name: step by step, which does for axes of one element.
    between = reshaped(c, view, split, "split")
    moved = View(between.value, tuple(between.axes[p] for p in perm))
    return reshaped(c, moved, final)


Rearrangement = tuple[tuple[Op, ...], tuple[Extent, ...], tuple[int, ...], tuple[Extent, ...]]


def _candidates(shape: Sequence[Extent], split: Sequence[Extent]) -> list[Rearrangement]:
    """Return the layers that might be meant: op, shape between, permutation, shape at the end."""
    if len(shape) < 3:
        return []
    batch, channels, *spatial = shape
    rank = len(spatial)
    found: list[Rearrangement] = []
    groups = split[1] if len(split) == len(shape) + 1 else None
    if isinstance(groups, int) and isinstance(channels, int) and channels % groups == 0:
        between = (batch, groups, channels // groups, *spatial)
        order = (0, 2, 1, *range(3, len(between)))
        found.append(((ChannelShuffle(groups=groups),), between, order, tuple(shape)))
    if len(split) != 2 + 2 * rank or not isinstance(channels, int):
        return found
    for block in {e for e in split[1:] if isinstance(e, int) and e > 1}:
        taken = block**rank
        if channels % taken == 0:
            kept = channels // taken
            fine = (batch, kept, *(e * block for e in spatial))
            for mode, leading, place, channel in (
                ("dcr", (*(block,) * rank, kept), 1, 1 + rank),
                ("crd", (kept, *(block,) * rank), 2, 1),
            ):
                pairs = (axis for i in range(rank) for axis in (2 + rank + i, place + i))
                between = (batch, *leading, *spatial)
                op: Op = DepthToSpace(block=block, mode=mode)
                found.append(((op,), between, (0, channel, *pairs), fine))
        if all(e % block == 0 for e in spatial):
            coarse = tuple(e // block for e in spatial)
            between = (batch, channels, *(e for n in coarse for e in (n, block)))
            blocks, places = range(2, 2 + 2 * rank, 2), range(3, 3 + 2 * rank, 2)
            end = (batch, channels * taken, *coarse)
            down = SpaceToDepth(block=block)
            found.append(((down,), between, (0, *places, 1, *blocks), end))
            # PyTorch's pixel_unshuffle has the places within the channels.
            inner = (down, ChannelShuffle(groups=taken))
            found.append((inner, between, (0, 1, *places, *blocks), end))
    return found


CASES: Cases = {
    "Silu": lambda c: c.same_axes(Silu()),
    "Glu": _glu,
    "LayerNorm": _layer_norm,
    "GroupNorm": _group_norm,
    "FlatLRN": _flat_lrn,
    "Rearrange": _rearrange,
}
