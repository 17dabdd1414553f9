"""Layers that move elements: reshape, concat, slices, padding, resampling, look-ups."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.backends.numba.call import Arg, Call, Ref, Request, Rule
from cnndsl.ops import embedding, rearrange, resample, shape, slicing
from cnndsl.ops.base import Op
from cnndsl.types.extents import Extent
from cnndsl.types.padding import Explicit
from cnndsl.types.tensor import DType


def _reshape(r: Request) -> Call:
    return r.call("reshape_layer", r.x, r.shape, layers=("reshape",))


def _concat(r: Request) -> Call:
    op = r.op
    assert isinstance(op, shape.Concat)
    parts: list[Arg] = [Ref(name) for name in r.inputs]
    return r.call("concat_layer", parts, r.shape, axis=op.axis, layers=("concat",))


def _slice(r: Request) -> Call:
    op = r.op
    assert isinstance(op, slicing.Slice)
    starts: list[Extent] = [0] * r.result.rank
    steps = [1] * r.result.rank
    starts[op.axis], _ = op.bounds(r.x_type.shape[op.axis])
    steps[op.axis] = op.step
    return r.call(
        "slice_layer", r.x, r.shape, starts=tuple(starts), steps=tuple(steps), layers=("slice",)
    )


def _crop(r: Request) -> Call:
    op = r.op
    assert isinstance(op, slicing.Crop)
    assert isinstance(op.margin, Explicit)
    starts = (0, 0, *(low for low, _ in op.margin.pairs))
    return r.call(
        "slice_layer",
        r.x,
        r.shape,
        starts=starts,
        steps=(1,) * r.result.rank,
        layers=("slice",),
    )


def _pad(r: Request) -> Call:
    op = r.op
    assert isinstance(op, slicing.Pad)
    assert isinstance(op.amount, Explicit)
    return r.call(
        "pad_layer",
        r.x,
        r.shape,
        before=tuple(low for low, _ in op.amount.pairs),
        mode=op.mode,
        value=op.value if op.mode == "zero" else 0.0,
        layers=("pad",),
    )


def _upsample(r: Request) -> Call:
    op = r.op
    assert isinstance(op, resample.Upsample)
    name = "nearest" if op.mode == "nearest" else "bilinear"
    return r.call(f"{name}_layer", r.x, r.shape, layers=(name,))


def _space_to_depth(r: Request) -> Call:
    op = r.op
    assert isinstance(op, rearrange.SpaceToDepth)
    return r.call("space_to_depth_layer", r.x, r.shape, block=op.block, layers=("space_to_depth",))


def _depth_to_space(r: Request) -> Call:
    op = r.op
    assert isinstance(op, rearrange.DepthToSpace)
    return r.call(
        "depth_to_space_layer",
        r.x,
        r.shape,
        block=op.block,
        mode=op.mode,
        layers=("depth_to_space",),
    )


def _channel_shuffle(r: Request) -> Call:
    op = r.op
    assert isinstance(op, rearrange.ChannelShuffle)
    return r.call("channel_shuffle_layer", r.x, groups=op.groups, layers=("channel_shuffle",))


def _embedding(r: Request) -> Call:
    if r.inputs[0] not in {i.value.name for i in r.graph.inputs}:
        raise r.refusal("the indices of an embedding must be an input of the network")
    wide = r.x_type.dtype is DType.INT64
    return r.call(
        "embedding_layer",
        r.inputs[0],
        r.shape,
        *r.params,
        wide=wide,
        layers=("embedding",),
    )


RULES: Mapping[type[Op], Rule] = {
    shape.Flatten: _reshape,
    shape.Reshape: _reshape,
    shape.Concat: _concat,
    slicing.Slice: _slice,
    slicing.Crop: _crop,
    slicing.Pad: _pad,
    resample.Upsample: _upsample,
    rearrange.SpaceToDepth: _space_to_depth,
    rearrange.DepthToSpace: _depth_to_space,
    rearrange.ChannelShuffle: _channel_shuffle,
    embedding.Embedding: _embedding,
}
