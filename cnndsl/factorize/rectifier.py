"""What stands between a layer and the ReLU that reads it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnndsl.ops.base import Array


@dataclass(frozen=True, slots=True)
class Rectifier:
    """A ReLU that reads a layer's outputs y as scale * y + shift; both [T], scale not zero.

    A batch norm between the two gives scale = weight / sqrt(var + epsilon), shift = bias - mean *
    scale; without one they are 1 and 0.
    """

    scale: Array
    shift: Array

    @staticmethod
    def plain(channels: int) -> Rectifier:
        """Return a ReLU that reads the outputs as they are."""
        return Rectifier(np.ones(channels), np.zeros(channels))

    def __call__(self, outputs: Array) -> Array:
        """Return what the ReLU gives for outputs [n, T]."""
        result: Array = np.maximum(self.seen(outputs), 0.0)
        return result

    def seen(self, outputs: Array) -> Array:
        """Return what the ReLU reads for outputs [n, T]."""
        result: Array = outputs * self.scale + self.shift
        return result
