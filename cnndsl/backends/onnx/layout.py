"""Ops that move, drop or repeat elements."""

from __future__ import annotations

import numpy as np

from cnndsl.backends.onnx.builder import INT64_MAX, Builder, Cases, Site
from cnndsl.ops.activation import Dropout, Identity
from cnndsl.ops.embedding import Embedding
from cnndsl.ops.rearrange import ChannelShuffle, DepthToSpace, SpaceToDepth
from cnndsl.ops.resample import Upsample
from cnndsl.ops.shape import Concat, Flatten, Reshape
from cnndsl.ops.slicing import Crop, Pad, Slice
from cnndsl.types.extents import Extent
from cnndsl.types.padding import Explicit

_PAD_MODES = {"zero": "constant", "reflect": "reflect", "edge": "edge"}


def _identity(b: Builder, op: Identity, site: Site) -> None:
    b.add("Identity", site.inputs, site.output)


def _dropout(b: Builder, op: Dropout, site: Site) -> None:
    """It does nothing, for the node is not in training mode, and it says what the program says."""
    b.add("Dropout", (site.x, b.floats(site, "rate", op.rate)), site.output)


def _flatten(b: Builder, op: Flatten, site: Site) -> None:
    b.add("Flatten", site.inputs, site.output, axis=1)


def _reshape(b: Builder, op: Reshape, site: Site) -> None:
    b.add("Reshape", (site.x, b.integers(site, "shape", 0, *op.shape)), site.output)


def _concat(b: Builder, op: Concat, site: Site) -> None:
    b.add("Concat", site.inputs, site.output, axis=op.axis)


def _slice(b: Builder, op: Slice, site: Site) -> None:
    stop = INT64_MAX if op.stop is None else op.stop
    bounds = (
        b.integers(site, "start", op.start),
        b.integers(site, "stop", stop),
        b.integers(site, "axis", op.axis),
        b.integers(site, "step", op.step),
    )
    b.add("Slice", (site.x, *bounds), site.output)


def _crop(b: Builder, op: Crop, site: Site) -> None:
    assert isinstance(op.margin, Explicit)
    pairs = op.margin.pairs
    bounds = (
        b.integers(site, "starts", *(low for low, _ in pairs)),
        b.integers(site, "stops", *(-high if high else INT64_MAX for _, high in pairs)),
        b.integers(site, "axes", *range(2, 2 + len(pairs))),
    )
    b.add("Slice", (site.x, *bounds), site.output)


def _pad(b: Builder, op: Pad, site: Site) -> None:
    assert isinstance(op.amount, Explicit)
    pairs = op.amount.pairs
    b.pad(site, site.x, pairs, site.output, mode=_PAD_MODES[op.mode], value=op.value)


def _upsample(b: Builder, op: Upsample, site: Site) -> None:
    """Nearest repeats elements: output o is input floor(o / scale), which is `asymmetric`."""
    scales = b.floats(site, "scales", np.asarray((1, 1, *op.scale)))
    if op.mode == "nearest":
        attributes = {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        }
    else:
        attributes = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    b.add("Resize", (site.x, "", scales), site.output, **attributes)


def _space_to_depth(b: Builder, op: SpaceToDepth, site: Site) -> None:
    """[N, C, n*b...] as [N, C, n, b, ...], to [N, b..., C, n...], to [N, b*...*C, n...]."""
    x, rank = site.types[0], len(site.types[0].spatial)
    coarse = site.type.spatial
    split: tuple[Extent, ...] = (
        x.batch,
        x.channels,
        *(e for n in coarse for e in (n, op.block)),
    )
    perm = (0, *range(3, 3 + 2 * rank, 2), 1, *range(2, 2 + 2 * rank, 2))
    _rearrange(b, site, split, perm)


def _depth_to_space(b: Builder, op: DepthToSpace, site: Site) -> None:
    """The blocks' places leave the channels and stand behind the axis that they refine."""
    x, rank = site.types[0], len(site.types[0].spatial)
    places = (op.block,) * rank
    kept = site.type.channels
    dcr = op.mode == "dcr"
    leading = (*places, kept) if dcr else (kept, *places)
    place, channel = (1, 1 + rank) if dcr else (2, 1)
    pairs = (axis for i in range(rank) for axis in (2 + rank + i, place + i))
    _rearrange(b, site, (x.batch, *leading, *x.spatial), (0, channel, *pairs))


def _channel_shuffle(b: Builder, op: ChannelShuffle, site: Site) -> None:
    x = site.types[0]
    split = (x.batch, op.groups, x.channels // op.groups, *x.spatial)
    _rearrange(b, site, split, (0, 2, 1, *range(3, len(split))))


def _rearrange(b: Builder, site: Site, split: tuple[Extent, ...], perm: tuple[int, ...]) -> None:
    """Reshape to `split`, permute, and reshape to the result."""
    whole = b.reshape(site, site.x, site.types[0].shape, split, b.name(f"{site.output}.split"))
    moved = b.step(site, "moved", "Transpose", (whole,), perm=perm)
    b.reshape(site, moved, [split[p] for p in perm], site.type.shape, site.output)


def _embedding(b: Builder, op: Embedding, site: Site) -> None:
    vectors = b.step(site, "vectors", "Gather", (site.params[0], site.x), axis=0)
    rank = site.type.rank
    b.add("Transpose", (vectors,), site.output, perm=(0, rank - 1, *range(1, rank - 1)))


CASES: Cases = {
    Identity: _identity,
    Dropout: _dropout,
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
    Embedding: _embedding,
}
