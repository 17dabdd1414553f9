"""Layers that a convolution needs beside its own, as its groups and its kernel are."""

from __future__ import annotations

from cnndsl.backends.numba_cpu.winograd import tiles_of
from cnndsl.ops import conv, transposed
from cnndsl.ops.base import Op
from cnndsl.types.tensor import TensorType


def extra_layers(op: Op, x: TensorType) -> tuple[str, ...]:
    """Return the layers that an op needs on an operand, beside that of its rule."""
    match op:
        case conv.DepthwiseConv():
            return ("repeat",) if op.multiplier > 1 else ()
        case conv.Conv():
            strassen = op.groups == 1 and set(op.kernel) == {1}
            return (
                *_groups_layers(op, x),
                *(("winograd",) if tiles_of(op) else ()),
                *(("strassen",) if strassen else ()),
            )
        case transposed.ConvTranspose():
            return _groups_layers(op, x)
    return ()


def group_width(op: Op, x: TensorType) -> int | None:
    """Return how many channels a group has if it may be less than a block, on both sides.

    Each such width divides a block of any machine, or is a multiple of it.
    """
    if isinstance(op, conv.DepthwiseConv):
        return 1
    if isinstance(op, conv.Conv) and op.groups > 1 and op.out_channels == x.channels:
        width = op.out_channels // op.groups
        return width if width in (1, 2, 4, 8) else None
    return None


def _groups_layers(op: conv.Conv | transposed.ConvTranspose, x: TensorType) -> tuple[str, ...]:
    """Return the layers for groups that may not fill blocks of 4 to 16 lanes."""
    if op.groups == 1:
        return ()
    if group_width(op, x):
        return ("grouped",)
    assert isinstance(x.channels, int)
    fits = (x.channels // op.groups) % 16 == 0 and (op.out_channels // op.groups) % 16 == 0
    return () if fits else ("groups",)
