"""Gather what a layer sees, a batch at a time: moments of patches at random positions."""

from __future__ import annotations

import numpy as np

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.statistics import Statistics
from cnndsl.ops.base import Array
from cnndsl.ops.windows import pad_spatial, window_pads

POSITIONS_PER_SAMPLE = 10
"""Output positions of each sample that are looked at, as He et al. (2017) do."""
LARGEST_PATCH = 6144
"""Numbers in a patch up to which its moments (300 MB at the limit) are gathered."""
_CHUNK_BYTES = 32 << 20
_KEPT_BYTES = 128 << 20


def refusal_to_collect(layer: Layer) -> str | None:
    """Return why the inputs of a layer are not gathered; None where they can be."""
    if layer.groups > 1:
        return "it is grouped: schemes take apart the kernels of its groups, whatever these read"
    if layer.patch > LARGEST_PATCH:
        size = 8 * layer.patch**2 / 2**20
        return (
            f"an output sees {layer.patch} inputs: their moments would take {size:.0f} MiB "
            f"(the limit is {LARGEST_PATCH} inputs)"
        )
    return None


class Collector:
    """Sums moments over batches; memory is bounded by the layer, not by the data.

    Equal inputs in equal order give equal statistics, however they are split into batches, up to
    rounding of the sums.
    """

    def __init__(
        self,
        layer: Layer,
        *,
        positions: int = POSITIONS_PER_SAMPLE,
        kept_rows: int = 5000,
        seed: int = 0,
    ) -> None:
        reason = refusal_to_collect(layer)
        if reason is not None:
            raise ValueError(f"{layer.label}: {reason}")
        self._layer = layer
        self._positions = positions
        self._seed = seed
        self._samples = 0
        self._count = 0
        inputs, outputs = layer.patch, layer.out_channels
        self._kept_rows = max(min(kept_rows, _KEPT_BYTES // (8 * (inputs + outputs))), 1)
        self._chunk_rows = max(_CHUNK_BYTES // (8 * (inputs + outputs)), 256)
        self._waiting: list[tuple[Array, Array]] = []
        self._waiting_rows = 0
        self._input_sum = np.zeros(inputs)
        self._output_sum = np.zeros(outputs)
        self._moment = np.zeros((inputs, inputs))
        self._cross = np.zeros((outputs, inputs))
        self._output_square = np.zeros(outputs)
        self._patches: Array = np.empty((0, inputs))
        self._outputs: Array = np.empty((0, outputs))
        self._choose = np.random.default_rng([seed, 1])

    def add(self, x: Array, y: Array) -> None:
        """Take a batch: what the layer reads, and the outputs wanted, before any activation.

        Raises CompileError (CNN661) if they hold NaN or infinities.
        """
        for word, array in (("inputs", x), ("outputs", y)):
            if not np.isfinite(array).all():
                raise CompileError(
                    Diagnostic(
                        code="CNN661",
                        message=f"the {word} of {self._layer.label} hold NaN or infinities "
                        "for the calibration data",
                        help="look at the data, and at the weights of the layers before",
                    )
                )
        pads = self._pads(x)
        padded = pad_spatial(np.asarray(x, np.float64), pads)
        for sample in range(len(x)):
            rows = self._rows(padded[sample], np.asarray(y[sample], np.float64))
            self._waiting.append(rows)
            self._waiting_rows += len(rows[0])
            self._samples += 1
            if self._waiting_rows >= self._chunk_rows:
                self._flush()

    def statistics(self) -> Statistics:
        """Return what was gathered; raise ValueError if nothing was."""
        self._flush()
        if not self._count:
            raise ValueError(f"no inputs of {self._layer.label} were seen")
        n = self._count
        return Statistics(
            count=n,
            input_mean=self._input_sum / n,
            input_moment=self._moment / n,
            output_mean=self._output_sum / n,
            output_square=self._output_square / n,
            cross_moment=self._cross / n,
            patches=self._patches,
            outputs=self._outputs,
        )

    def _pads(self, x: Array) -> tuple[tuple[int, int], ...]:
        layer = self._layer
        return window_pads(x.shape[2:], layer.kernel, layer.stride, layer.dilation, layer.padding)

    def _rows(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return patches [n, P] and outputs [n, T] of a sample, at positions of its own seed."""
        layer = self._layer
        places = y[0].size
        rng = np.random.default_rng([self._seed, 0, self._samples])
        chosen = rng.choice(places, min(self._positions, places), replace=False)
        corners = np.unravel_index(chosen, y.shape[1:]) if layer.rank else ()
        index = [
            corner[:, None] * s + np.arange(k) * d
            for corner, s, k, d in zip(
                corners, layer.stride, layer.kernel, layer.dilation, strict=True
            )
        ]
        if not index:
            return x[None], y[None]
        # One open mesh per row: [n, k_0, k_1, ...] of positions along each axis.
        mesh = [
            places.reshape(
                len(chosen), *(places.shape[1] if a == axis else 1 for a in range(layer.rank))
            )
            for axis, places in enumerate(index)
        ]
        patches = np.moveaxis(x[(slice(None), *mesh)], 0, 1)
        outputs = y.reshape(len(y), -1)[:, chosen].T
        return patches.reshape(len(chosen), -1), outputs

    def _flush(self) -> None:
        if not self._waiting:
            return
        x = np.concatenate([p for p, _ in self._waiting])
        y = np.concatenate([o for _, o in self._waiting])
        self._waiting, self._waiting_rows = [], 0
        self._input_sum += x.sum(axis=0)
        self._output_sum += y.sum(axis=0)
        self._moment += x.T @ x
        self._cross += y.T @ x
        self._output_square += (y**2).sum(axis=0)
        self._keep(x, y)
        self._count += len(x)

    def _keep(self, x: Array, y: Array) -> None:
        """Keep rows so that every row seen is kept with the same chance (reservoir sampling)."""
        room = self._kept_rows - len(self._patches)
        if room > 0:
            self._patches = np.concatenate([self._patches, x[:room]])
            self._outputs = np.concatenate([self._outputs, y[:room]])
        for i in range(max(room, 0), len(x)):
            place = int(self._choose.integers(self._count + i + 1))
            if place < self._kept_rows:
                self._patches[place] = x[i]
                self._outputs[place] = y[i]
