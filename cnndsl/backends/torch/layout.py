"""Ops that move, drop or repeat elements."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.backends.torch.text import (
    Arg,
    Lowered,
    Operand,
    Part,
    Rule,
    X,
    every_axis,
    in_parentheses,
)
from cnndsl.backends.torch.windows import cropped, flat_pads
from cnndsl.ops.base import Op
from cnndsl.ops.rearrange import ChannelShuffle, DepthToSpace, SpaceToDepth
from cnndsl.ops.resample import Upsample
from cnndsl.ops.shape import Concat, Flatten, Reshape
from cnndsl.ops.slicing import Crop, Pad, Slice
from cnndsl.types.padding import Explicit
from cnndsl.types.tensor import TensorType

_PAD_MODES = {"reflect": "reflect", "edge": "replicate"}
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def _flatten(op: Flatten, types: Sequence[TensorType], result: TensorType) -> Lowered:
    return Lowered((X, ".flatten(1)"))


def _reshape(op: Reshape, types: Sequence[TensorType], result: TensorType) -> Lowered:
    extents = [part for e in op.shape for part in (", ", Arg(e, "extent"))]
    return Lowered((X, ".reshape(", X, ".shape[0]", *extents, ")"))


def _concat(op: Concat, types: Sequence[TensorType], result: TensorType) -> Lowered:
    operands = in_parentheses(Operand(number) for number in range(len(types)))
    return Lowered(("torch.cat(", *operands, Arg(op.axis, "axis", ", dim="), ")"))


def _slice(op: Slice, types: Sequence[TensorType], result: TensorType) -> Lowered:
    parts: list[Part] = [X, "[" + ":, " * op.axis]
    parts += [Arg(op.start, "start"), ":"]
    parts += [] if op.stop is None else [Arg(op.stop, "stop")]
    parts += [] if op.step == 1 else [":", Arg(op.step, "step")]
    return Lowered((*parts, "]"))


def _crop(op: Crop, types: Sequence[TensorType], result: TensorType) -> Lowered:
    assert isinstance(op.margin, Explicit)
    return Lowered((X, *cropped(op.margin.pairs)))


def _pad(op: Pad, types: Sequence[TensorType], result: TensorType) -> Lowered:
    assert isinstance(op.amount, Explicit)
    pads = ("F.pad(", X, ", ", *flat_pads(op.amount.pairs))
    if op.mode in _PAD_MODES:
        return Lowered((*pads, f', mode="{_PAD_MODES[op.mode]}")'))
    return Lowered((*pads, Arg(op.value, "value", ", value=", 0.0), ")"))


def _upsample(op: Upsample, types: Sequence[TensorType], result: TensorType) -> Lowered:
    """F.interpolate rounds the places of nearest elements, exactly for powers of two alone."""
    if op.mode == "nearest" and any(s & (s - 1) for s in op.scale):
        scale = every_axis(op.scale, "scale", ", ")
        return Lowered(("repeat(", X, *scale, ")"), helpers=("repeat",))
    scale = every_axis(op.scale, "scale", ", scale_factor=")
    if op.mode == "nearest":
        return Lowered(("F.interpolate(", X, *scale, ")"))
    mode = _LINEAR[len(op.scale)]
    return Lowered(("F.interpolate(", X, *scale, f', mode="{mode}", align_corners=False)'))


def _space_to_depth(op: SpaceToDepth, types: Sequence[TensorType], result: TensorType) -> Lowered:
    run = ("space_to_depth(", X, Arg(op.block, "block", ", "), ")")
    return Lowered(run, helpers=("space_to_depth",))


def _depth_to_space(op: DepthToSpace, types: Sequence[TensorType], result: TensorType) -> Lowered:
    if op.mode == "crd" and types[0].rank == 4:
        return Lowered(("F.pixel_shuffle(", X, Arg(op.block, "block", ", "), ")"))
    run = ("depth_to_space(", X, Arg(op.block, "block", ", "), f', mode="{op.mode}")')
    return Lowered(run, helpers=("depth_to_space",))


def _channel_shuffle(
    op: ChannelShuffle, types: Sequence[TensorType], result: TensorType
) -> Lowered:
    groups = Arg(op.groups, "groups")
    return Lowered((X, ".unflatten(1, (", groups, ", -1)).transpose(1, 2).flatten(1, 2)"))


RULES: dict[type[Op], Rule] = {
    Flatten: _flatten,
    Reshape: _reshape,
    Concat: _concat,
    Slice: _slice,
    Crop: _crop,
    Pad: _pad,
    Upsample: _upsample,
    SpaceToDepth: _space_to_depth,
    DepthToSpace: _depth_to_space,
    ChannelShuffle: _channel_shuffle,
}
