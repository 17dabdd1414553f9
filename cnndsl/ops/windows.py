"""What the windowed ops share: checks of a kernel, its padding, and the views it slides over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnndsl.ops.base import Array, Extents, OpError
from cnndsl.ops.checks import require_map
from cnndsl.ops.reach import PerAxis, Window
from cnndsl.types.extents import Extent
from cnndsl.types.padding import Explicit, Padding, Same, span_of, window_output, window_padding
from cnndsl.types.tensor import TensorType


def require_spatial(keyword: str, x: TensorType, kernel: Extents) -> None:
    """Check that the operand is a float map of the kernel's rank."""
    require_map(keyword, x)
    if len(x.spatial) != len(kernel):
        sized = "x".join(map(str, (kernel * 3)[: len(x.spatial)]))
        raise OpError(
            "CNN201",
            f"{keyword} has a kernel of rank {len(kernel)}, "
            f"but its input {x} has {_axes(len(x.spatial))}",
            help=f"write the kernel as {sized}",
        )


def _axes(number: int) -> str:
    return f"{number} spatial {'axis' if number == 1 else 'axes'}"


def check_padding(keyword: str, padding: Padding, rank: int, argument: str = "padding") -> None:
    """Check that explicit padding has one pair per spatial axis and takes nothing away."""
    if not isinstance(padding, Explicit):
        return
    if len(padding.pairs) != rank:
        raise OpError(
            "CNN306",
            f"{keyword} has {rank} spatial axes, but {argument} is given for {len(padding.pairs)}",
            argument=argument,
        )
    if any(side < 0 for pair in padding.pairs for side in pair):
        raise OpError(
            "CNN307",
            f"{keyword} needs {argument} of at least 0 on every side, got {padding}",
            argument=argument,
        )


def output_spatial(
    keyword: str,
    x: TensorType,
    kernel: Extents,
    stride: Extents,
    dilation: Extents,
    padding: Padding,
    *,
    ceil_mode: bool = False,
) -> tuple[Extent, ...]:
    """Return the output's spatial extents; a known one below one is an error."""
    check_padding(keyword, padding, len(x.spatial))
    result: list[Extent] = []
    for axis, e in enumerate(x.spatial):
        extent = window_output(
            padding, axis, e, kernel[axis], stride[axis], dilation[axis], ceil_mode=ceil_mode
        )
        if extent is None:
            raise OpError(
                "CNN207",
                f"{keyword} rounds up, and whether a last window fits depends on the symbolic "
                f"size {e} of spatial axis {axis}",
                help="give the size with --set, or leave out ceil_mode",
                argument="ceil_mode",
            )
        result.append(extent)
        if isinstance(extent, int) and extent < 1:
            spanned = span_of(kernel[axis], dilation[axis])
            raise OpError(
                "CNN204",
                f"{keyword} spans {spanned} positions, "
                f"but spatial axis {axis} of its input {x} has only {x.spatial[axis]}",
                help="pad with `padding=same`, or pool less before this layer",
                argument="kernel",
            )
    return tuple(result)


def window_pads(
    x_spatial: Sequence[Extent],
    kernel: Extents,
    stride: Extents,
    dilation: Extents,
    padding: Padding,
) -> tuple[tuple[int, int], ...]:
    """Return (before, after) for each axis of known extents."""
    pads = []
    for i, extent in enumerate(x_spatial):
        pair = window_padding(padding, i, extent, kernel[i], stride[i], dilation[i])
        assert pair is not None, "padding of a symbolic extent"
        pads.append(pair)
    return tuple(pads)


def window_reach(
    x: TensorType, kernel: Extents, stride: Extents, dilation: Extents, padding: Padding
) -> PerAxis:
    """Return the reach of a sliding window; raise OpError where it depends on a symbol."""
    axes = []
    for i, extent in enumerate(x.spatial):
        pair = window_padding(padding, i, extent, kernel[i], stride[i], dilation[i])
        if pair is None:
            assert isinstance(padding, Same)
            raise OpError(
                "CNN207", f"the padding of axis {i} depends on the symbolic size {extent}"
            )
        axes.append(Window(kernel[i], stride[i], dilation[i], pair[0]))
    return PerAxis(tuple(axes))


def pad_spatial(x: Array, pads: Sequence[tuple[int, int]], value: float = 0.0) -> Array:
    """Pad the spatial axes of N, C, spatial with a constant."""
    return np.pad(x, ((0, 0), (0, 0), *pads), constant_values=value)


def crop_spatial(x: Array, pads: Sequence[tuple[int, int]]) -> Array:
    """Take away what `pad_spatial` added."""
    kept = tuple(slice(low, n - high) for (low, high), n in zip(pads, x.shape[2:], strict=True))
    return x[(slice(None), slice(None), *kept)]


def slide(x: Array, out: Sequence[int], stride: Extents, dilation: Extents, at: Extents) -> Array:
    """Return, for the kernel position `at`, the input element under every output position.

    The result is a view: adding to it adds to `x`, which is the way back for gradients.
    """
    index = tuple(
        slice(k * d, k * d + (o - 1) * s + 1, s)
        for k, d, o, s in zip(at, dilation, out, stride, strict=True)
    )
    return x[(slice(None), slice(None), *index)]
