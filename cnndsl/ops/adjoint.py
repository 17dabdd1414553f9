"""What the ops' pullbacks share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnndsl.ops.base import Array, Op


def gathered(op: Op, x: Array, gradient: Array) -> tuple[Array]:
    """Return the pullback of an op that only copies elements of its one operand.

    The op is evaluated on the elements' numbers, which tells where each element of the result came
    from; an element that was copied to several places gets the sum of their gradients.
    """
    numbers = np.arange(x.size).reshape(x.shape)
    sources = op.evaluate([numbers], ())
    sums = np.bincount(sources.ravel(), gradient.astype(np.float64).ravel(), minlength=x.size)
    return (sums.reshape(x.shape),)


def summed_to(shape: Sequence[int], gradient: Array) -> Array:
    """Return a gradient for an operand whose axes of extent 1 were repeated: summed over them."""
    repeated = tuple(
        axis for axis, (m, n) in enumerate(zip(shape, gradient.shape, strict=True)) if m != n
    )
    result: Array = gradient.sum(axis=repeated, keepdims=True, dtype=np.float64)
    return result


def through_normalization(normal: Array, deviation: Array, gradient: Array, axis: int) -> Array:
    """Return the gradient before (x - mean) / deviation, both taken over an axis of x.

    `normal` is the result, `gradient` its gradient. Mean and deviation move with every x: what the
    gradient has along 1 and along the result itself is taken out (Ioffe and Szegedy 2015, section
    3, for the biased variance).
    """
    mean = gradient.mean(axis=axis, keepdims=True)
    along = (gradient * normal).mean(axis=axis, keepdims=True)
    result: Array = (gradient - mean - normal * along) / deviation
    return result


def reads_weights_alone(op: Op) -> NotImplementedError:
    """Return the error of an op that runs once, when weights are loaded."""
    return NotImplementedError(
        f"{type(op).__name__} computes weights when they are loaded: gradients end at the weights, "
        "so there is none to pull through it"
    )
