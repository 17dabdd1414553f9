"""Checks that many ops share: dtype, rank, known channels, an axis, a number's range."""

from __future__ import annotations

from math import gcd

from cnndsl.ops.base import OpError
from cnndsl.types.extents import Dim, Extent, symbols_of
from cnndsl.types.tensor import TensorType


def require_float(keyword: str, x: TensorType, minimum_rank: int = 2) -> None:
    """Check that an operand holds floats and has at least batch and channels."""
    if not x.dtype.is_float:
        raise OpError(
            "CNN202",
            f"{keyword} takes float32 values, got {x}",
            help="`embedding` turns whole numbers into feature vectors",
        )
    if x.rank < minimum_rank:
        least = "[N, C]" if minimum_rank == 2 else "[N, C] and a spatial axis"
        raise OpError("CNN202", f"{keyword} needs at least {least}, got {x}")


def require_map(keyword: str, x: TensorType) -> None:
    """Check that an operand holds floats and has at least one spatial axis."""
    require_float(keyword, x, 0)
    if x.rank < 3:
        raise OpError(
            "CNN202",
            f"{keyword} needs at least one spatial axis, got {x}",
            help=f"{keyword} comes before `flatten` and the global pools",
        )


def known_channels(keyword: str, x: TensorType) -> int:
    """Return the number of channels; weights cannot be laid out for a symbolic one."""
    if isinstance(x.channels, Dim):
        raise OpError(
            "CNN207",
            f"{keyword} needs a known number of channels, got {x}",
            help="write the number in the input's type, or give it: "
            + " ".join(f"--set {symbol}=..." for symbol in sorted(symbols_of(x.channels))),
        )
    return x.channels


def require_axis(keyword: str, x: TensorType, axis: int) -> None:
    """Check that an axis after the batch exists."""
    if not 1 <= axis < x.rank:
        raise OpError(
            "CNN307",
            f"{keyword} along axis {axis} is not possible: {x} has axes 1 to {x.rank - 1} "
            "besides the batch (axis 0)",
            help="axis=1 is the channels" if x.rank > 1 else None,
            argument="axis",
        )


def require_epsilon(keyword: str, value: float) -> None:
    """Check that a norm's epsilon is one: elsewhere the number of channels stands in its place."""
    if not 0 < value < 1:
        raise OpError(
            "CNN307",
            f"{keyword} needs epsilon above zero and below 1, got {value}",
            help="leave it out: the input tells the number of channels" if value >= 1 else None,
            argument="epsilon",
        )


def require_groups(keyword: str, groups: int, **counts: int) -> None:
    """Check that each count of channels divides into the groups."""
    for name, count in counts.items():
        if count % groups:
            near = _nearest_divisor(gcd(*counts.values()), groups)
            raise OpError(
                "CNN203",
                f"{keyword} with groups={groups} needs {name} channels "
                f"divisible by {groups}, got {count}",
                help=f"groups={near} divides {count}",
                argument="groups",
            )


def _nearest_divisor(number: int, wanted: int) -> int:
    """Return the divisor of a number closest to the one wanted, the larger of two."""
    # The distance is bounded so that absurd counts cost nothing; 1 always divides.
    for distance in range(min(wanted, 1000)):
        for divisor in (wanted + distance, wanted - distance):
            if number % divisor == 0:
                return divisor
    return 1


def divide_exactly(keyword: str, what: str, extent: Extent, divisor: int, argument: str) -> Extent:
    """Return extent / divisor; an OpError if that is not, or not provably, whole."""
    if extent % divisor == 0:
        return extent // divisor
    if isinstance(extent, int):
        raise OpError(
            "CNN209",
            f"{keyword} with {argument}={divisor} needs {what} "
            f"divisible by {divisor}, got {extent}",
            argument=argument,
        )
    raise OpError(
        "CNN207",
        f"{keyword} needs {what} divisible by {divisor}, "
        f"which cannot be shown for the symbolic size {extent}",
        help=f"declare the extent as a multiple (`{divisor}*h`), or give its size with --set",
        argument=argument,
    )
