"""How the language calls the padding of Darknet's windows."""

from __future__ import annotations

from cnndsl.types.padding import Explicit, Padding, Same, Valid, window_output, window_padding

_MOST = 64
"""Windows that step by more are written in numbers."""


def named(
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    pads: tuple[tuple[int, int], ...],
) -> Padding:
    """Return padding by number as `same` or `valid`, if that means the same at every size."""
    given = Explicit(pads)
    windows = enumerate(zip(kernel, stride, dilation, strict=True))
    if all(_is_same(given, axis, *window) for axis, window in windows):
        return Same()
    return given if any(map(any, pads)) else Valid()


def _is_same(given: Explicit, axis: int, kernel: int, stride: int, dilation: int) -> bool:
    """Tell whether there are as many windows as with `same`, and they begin where those do.

    What `same` adds depends on the remainder of the size by the stride.
    """
    if stride > _MOST:
        return False
    for extent in range(1, 2 * stride + 1):
        window = (axis, extent, kernel, stride, dilation)
        if window_output(given, *window) != window_output(Same(), *window):
            return False
        same = window_padding(Same(), *window)
        assert same is not None
        if same[0] != given.pairs[axis][0]:
            return False
    return True
