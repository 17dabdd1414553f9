"""What inputs a layer sees, and what it should answer: moments and a sample of patches."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ops.base import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Moments of a layer's input patches x and wanted outputs y (before any activation).

    A patch is what one output position sees, flattened as the weight's axes after the first are:
    P = in_channels * taps numbers. If x comes from a network that is compressed up to here, and y
    from the original one, fits to them make up for what was lost before (asymmetric
    reconstruction). `patches` and `outputs` are some of the rows themselves, for what moments
    cannot tell.
    """

    count: int  # rows seen
    input_mean: Array  # E[x], [P]
    input_moment: Array  # E[x x^T], [P, P]
    output_mean: Array  # E[y], [T]
    output_square: Array  # E[y^2], [T]
    cross_moment: Array  # E[y x^T], [T, P]
    patches: Array  # [n, P]
    outputs: Array  # [n, T]
