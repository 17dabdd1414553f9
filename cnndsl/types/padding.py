"""Padding of windows: valid, same, causal, or explicit numbers; and the size that results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from cnndsl.types.extents import Dim, Extent, ceil_div


@dataclass(frozen=True, slots=True)
class Valid:
    """No padding."""

    def __str__(self) -> str:
        return "valid"


@dataclass(frozen=True, slots=True)
class Same:
    """Output = ceil(input / stride); the odd element goes to the end (ONNX's SAME_UPPER)."""

    def __str__(self) -> str:
        return "same"


@dataclass(frozen=True, slots=True)
class Causal:
    """All padding before the first element: an output depends on no later input."""

    def __str__(self) -> str:
        return "causal"


@dataclass(frozen=True, slots=True)
class Explicit:
    """(before, after) for each spatial axis."""

    pairs: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        return "(" + ", ".join(f"({low}, {high})" for low, high in self.pairs) + ")"


Padding: TypeAlias = Valid | Same | Causal | Explicit


def span_of(kernel: int, dilation: int) -> int:
    """Return how many input positions a dilated kernel spans."""
    return (kernel - 1) * dilation + 1


def window_padding(
    padding: Padding, axis: int, extent: Extent, kernel: int, stride: int, dilation: int
) -> tuple[int, int] | None:
    """Return (before, after) along an axis; None when it depends on a symbol.

    Only `same` with a stride above one depends on the extent.
    """
    spanned = span_of(kernel, dilation)
    match padding:
        case Valid():
            return (0, 0)
        case Explicit(pairs):
            return pairs[axis]
        case Causal():
            return (spanned - 1, 0)
        case Same():
            if stride == 1:
                total = spanned - 1
            elif isinstance(extent, Dim):
                return None
            else:
                total = max((-(-extent // stride) - 1) * stride + spanned - extent, 0)
            return (total // 2, total - total // 2)


def window_output(
    padding: Padding,
    axis: int,
    extent: Extent,
    kernel: int,
    stride: int,
    dilation: int,
    *,
    ceil_mode: bool = False,
) -> Extent | None:
    """Return the output extent of a window along an axis; None if ceil mode cannot decide it.

    With `ceil_mode` the last window may start inside the input or the padding before it and reach
    beyond the end; one that would start in the padding after the input is dropped (ONNX, PyTorch).
    """
    if isinstance(padding, Same):
        return ceil_div(extent, stride)
    pads = window_padding(padding, axis, extent, kernel, stride, dilation)
    assert pads is not None
    low, high = pads
    free = extent + (low + high - span_of(kernel, dilation))
    if not ceil_mode:
        return free // stride + 1
    output = ceil_div(free, stride) + 1
    # A last window that would start in the padding after the input is dropped. That takes a
    # comparison; where stride + high <= kernel span no window can start there.
    if stride + high > span_of(kernel, dilation):
        if isinstance(extent, Dim) or isinstance(output, Dim):
            return None
        if (output - 1) * stride >= extent + low:
            return output - 1
    return output
