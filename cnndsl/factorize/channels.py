"""Mean and variance of channels over batches: what a batch norm's statistics ought to be."""

from __future__ import annotations

import numpy as np

from cnndsl.ops.base import Array


class ChannelMoments:
    """Sums over batches [N, C, spatial...] of what a batch norm reads (Chan et al.'s update).

    After the layers before it have changed, so have the mean and variance of its input; its
    running statistics are then set to these.
    """

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.mean: Array = np.zeros(channels)
        self._squares: Array = np.zeros(channels)  # sum of squared distances from the mean

    def add(self, x: Array) -> None:
        """Take a batch."""
        rows = np.moveaxis(np.asarray(x, np.float64), 1, 0).reshape(x.shape[1], -1)
        count = rows.shape[1]
        if not count:
            return
        mean = rows.mean(axis=1)
        squares = ((rows - mean[:, None]) ** 2).sum(axis=1)
        total = self.count + count
        apart = mean - self.mean
        self._squares = self._squares + squares + apart**2 * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total

    @property
    def variance(self) -> Array:
        """The variance over all elements seen (biased, as norms use it)."""
        result: Array = self._squares / max(self.count, 1)
        return result
