"""Which convolutions Winograd's algorithm can do in the generated module, and with which tiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cnndsl.backends.numba.call import Call
from cnndsl.ops.base import Op
from cnndsl.ops.conv import Conv
from cnndsl.ops.fused import Fused

SIZES = {"f2": 2, "f4": 4}
"""Outputs along each side of a tile, by the name of the algorithm; fewer with a long kernel."""

LARGEST_INPUT = 8
"""Inputs along each side of a tile: the transforms of larger ones round off too much in float32."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Outputs (m) and inputs (n) of a tile along the last two axes."""

    algorithm: str
    m: tuple[int, int]
    n: tuple[int, int]

    @property
    def fill(self) -> str:
        """Return the name of the function that transforms inputs."""
        return f"fill_{self.n[0]}x{self.n[1]}"

    @property
    def drain(self) -> str:
        """Return the name of the function that makes outputs of products."""
        return f"drain_{self.m[0]}x{self.m[1]}_{self.n[0]}x{self.n[1]}"


def tiles_of(op: Op) -> tuple[Tile, ...]:
    """Return the tiles with which an op can be done; none if it cannot."""
    base = op.base if isinstance(op, Fused) else op
    if not isinstance(base, Conv) or base.groups > 1 or set(base.stride) != {1}:
        return ()
    return tiles_of_kernel(window(base.kernel))


def window(kernel: tuple[int, ...]) -> tuple[int, int, int]:
    """Return a kernel's extents along depth, height and width."""
    d, h, w = (1,) * (3 - len(kernel)) + tuple(kernel)
    return d, h, w


def tiles_of_kernel(kernel: tuple[int, int, int]) -> tuple[Tile, ...]:
    """Return the tiles for a kernel (depth, height, width) with stride 1."""
    d, *sides = kernel
    found: dict[tuple[int, ...], Tile] = {}
    for algorithm, size in SIZES.items():
        m = tuple(min(size, LARGEST_INPUT + 1 - k) if k > 1 else 1 for k in sides)
        n = tuple(k + s - 1 for k, s in zip(sides, m, strict=True))
        if d == 1 and max(m) > 1 and all(s > 1 or k == 1 for s, k in zip(m, sides, strict=True)):
            found.setdefault(m, Tile(algorithm, (m[0], m[1]), (n[0], n[1])))
    return tuple(found.values())


def kernels_of(calls: Iterable[Call]) -> dict[tuple[int, int], tuple[Tile, ...]]:
    """Return the tiles of every kernel (height, width) among the calls, in order."""
    found: dict[tuple[int, int], tuple[Tile, ...]] = {}
    for call in calls:
        if "winograd" in call.layers:
            op = call.node.op.base if isinstance(call.node.op, Fused) else call.node.op
            assert isinstance(op, Conv)
            kernel = window(op.kernel)
            found[kernel[1:]] = tiles_of_kernel(kernel)
    return dict(sorted(found.items()))
