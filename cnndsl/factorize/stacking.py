"""Chains of kernels of side 3 in the place of a larger one: windows, padded once."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.factorize.layer import Layer
from cnndsl.ops.conv import Conv
from cnndsl.types.padding import Explicit, Padding, Valid

STACKED_SIDE = 3


def wide_axes(layer: Layer) -> tuple[int, ...]:
    """Return the axes along which the kernel is longer than 1."""
    return tuple(a for a, k in enumerate(layer.kernel) if k > 1)


def kernel_refusal(layer: Layer) -> str | None:
    """Return why a layer's kernel is no chain of kernels of side 3; None where it is."""
    sides = {layer.kernel[a] for a in wide_axes(layer)}
    if not sides or max(sides) <= STACKED_SIDE:
        return "its kernel is not larger than 3"
    if len(sides) > 1:
        return "its kernel's sides differ: a chain would have to be longer along one of them"
    if max(sides) % 2 == 0:
        return "its kernel's side is even: kernels of 3 make odd ones"
    return None


def stack_refusal(layer: Layer) -> str | None:
    """Return why a layer is no chain of kernels of side 3 padded once; None where it is."""
    refusal = kernel_refusal(layer)
    if refusal is not None:
        return refusal
    if layer.pads is None:
        return (
            "its padding depends on a size that is not known, and has to be said in numbers: "
            "give the size with --set, or write the padding in numbers"
        )
    return None


def stack(layer: Layer, widths: Sequence[int], *, bias: bool) -> tuple[Conv, ...]:
    """Return kernels of side 3 with these output channels, padded once, in a layer's place.

    The first one pads for all; the last one has the stride. `bias` is the last one's.
    """
    pads = layer.pads
    assert pads is not None
    once: Padding = Explicit(pads) if any(map(any, pads)) else Valid()
    rest = [Valid()] * (len(widths) - 1)
    return _stacked(layer, widths, [once, *rest], bias=bias)


def stack_each_padded(layer: Layer, widths: Sequence[int], *, bias: bool) -> tuple[Conv, ...]:
    """Return kernels of side 3 of which each pads its part, the earlier ones the odd element."""
    count = len(widths)
    match layer.padding:
        case Explicit(pairs):
            parts: list[Padding] = [
                Explicit(
                    tuple((_part(low, i, count), _part(high, i, count)) for low, high in pairs)
                )
                for i in range(count)
            ]
        case padding:
            parts = [padding] * count
    return _stacked(layer, widths, parts, bias=bias)


def _part(total: int, place: int, count: int) -> int:
    return total // count + (place < total % count)


def _stacked(
    layer: Layer, widths: Sequence[int], padding: Sequence[Padding], *, bias: bool
) -> tuple[Conv, ...]:
    wide = wide_axes(layer)
    last = len(widths) - 1
    return tuple(
        Conv(
            out_channels=width,
            stride=layer.stride if i == last else (1,) * layer.rank,
            padding=padding[i],
            dilation=layer.dilation,
            bias=bias and i == last,
            kernel=tuple(STACKED_SIDE if a in wide else 1 for a in range(layer.rank)),
        )
        for i, width in enumerate(widths)
    )
