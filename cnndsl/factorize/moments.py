"""Collect a layer's statistics from the maps that it reads and should make, a batch at a time."""

from __future__ import annotations

import numpy as np

from cnndsl.factorize.layer import Layer
from cnndsl.factorize.statistics import Statistics
from cnndsl.ops.base import Array
from cnndsl.ops.windows import pad_spatial, window_pads

POSITIONS = 256
"""Output positions looked at in each sample; neighbours tell little more."""

ROWS_EACH = 2
"""Rows that must have been seen for each of the numbers that an output sees."""

_KEPT = 4096
"""Rows kept as they are."""


class Moments:
    """What a layer saw so far: sums over patches and outputs. The positions depend on `seed`."""

    def __init__(self, layer: Layer, seed: int) -> None:
        self._layer = layer
        self._rng = np.random.default_rng(seed)
        inputs, outputs = layer.patch, layer.out_channels
        self._count = 0
        self._input_sum = np.zeros(inputs)
        self._input_moment = np.zeros((inputs, inputs))
        self._output_sum = np.zeros(outputs)
        self._output_square = np.zeros(outputs)
        self._cross = np.zeros((outputs, inputs))
        self._patches: list[Array] = []
        self._outputs: list[Array] = []

    def add(self, read: Array, made: Array) -> None:
        """Look at some positions of the maps that were read, [N, S, ...], and made, [N, T, ...]."""
        x, y = self._rows(read, made)
        self._count += len(x)
        self._input_sum += x.sum(axis=0)
        self._input_moment += x.T @ x
        self._output_sum += y.sum(axis=0)
        self._output_square += (y**2).sum(axis=0)
        self._cross += y.T @ x
        if sum(map(len, self._patches)) < _KEPT:
            self._patches.append(x)
            self._outputs.append(y)

    def statistics(self) -> Statistics | None:
        """Return the means of what was seen; None if that is too little to tell what matters.

        A kernel that is fitted to fewer rows than it has weights for each output answers for these
        rows, and for nothing else.
        """
        n = self._count
        if n < ROWS_EACH * len(self._input_sum):
            return None
        return Statistics(
            count=self._count,
            input_mean=self._input_sum / n,
            input_moment=self._input_moment / n,
            output_mean=self._output_sum / n,
            output_square=self._output_square / n,
            cross_moment=self._cross / n,
            patches=np.concatenate(self._patches)[:_KEPT],
            outputs=np.concatenate(self._outputs)[:_KEPT],
        )

    def _rows(self, read: Array, made: Array) -> tuple[Array, Array]:
        layer = self._layer
        if layer.is_dense:
            flat = read.reshape(-1, layer.in_channels), made.reshape(-1, layer.out_channels)
            return flat[0].astype(np.float64), flat[1].astype(np.float64)
        extents = read.shape[2:], layer.kernel, layer.stride, layer.dilation, layer.padding
        padded = pad_spatial(read, window_pads(*extents))
        spanned = tuple((k - 1) * d + 1 for k, d in zip(layer.kernel, layer.dilation, strict=True))
        axes = tuple(range(2, 2 + layer.rank))
        windows = np.lib.stride_tricks.sliding_window_view(padded, spanned, axes)
        positions = int(np.prod(made.shape[2:]))
        taps = tuple(slice(None, None, d) for d in layer.dilation)
        xs, ys = [], []
        for sample in range(len(read)):
            at = self._rng.permutation(positions)[:POSITIONS]
            places = np.unravel_index(np.sort(at), made.shape[2:])
            starts = tuple(p * s for p, s in zip(places, layer.stride, strict=True))
            # [S, positions, kernel...] with the dilated taps picked out.
            patch = windows[sample][(slice(None), *starts, *taps)]
            xs.append(np.moveaxis(patch, 1, 0).reshape(len(starts[0]), -1))
            ys.append(made[sample][(slice(None), *places)].T)
        return np.concatenate(xs).astype(np.float64), np.concatenate(ys).astype(np.float64)
