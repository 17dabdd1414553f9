"""Tucker-2: low rank along input and output channels, the kernel between (Kim et al. 2016).

W [T, S, taps] = core [R_out, R_in, taps] x_T U_T x_S U_S, both U with orthonormal columns; found
by HOSVD, then improved by higher-order orthogonal iteration (HOOI, De Lathauwer et al. 2000).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cnndsl.factorize import windows
from cnndsl.factorize.decompose import Kernels
from cnndsl.factorize.expanding import Expanding, expanded
from cnndsl.factorize.factors import Factor, Factors
from cnndsl.factorize.fit import Fit
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.reduced_rank import part_moment, regressed, weighted
from cnndsl.factorize.refusals import not_dense, one_group, wide_kernel
from cnndsl.factorize.scheme import RankLimit, Ranks
from cnndsl.factorize.truncated import leading
from cnndsl.ops.base import Array

_SWEEPS = 30
_SETTLED = 1e-7
"""HOOI ends when the norm of the core, relative to that of W, grows by less in a sweep."""


@dataclass(frozen=True)
class Tucker2(Expanding):
    """1x1 S -> input rank, kxk to output rank, 1x1 to T."""

    name: ClassVar[str] = "tucker2"
    title: ClassVar[str] = "1x1, kxk between fewer channels, 1x1 (Tucker-2, HOOI)"

    def refusal(self, layer: Layer) -> str | None:
        return (
            not_dense(layer)
            or one_group(layer)
            or wide_kernel(layer, "channel_output needs one layer less")
        )

    def rank_limits(self, layer: Layer) -> tuple[RankLimit, ...]:
        out, into, taps = layer.out_channels, layer.in_channels, layer.taps
        return (
            RankLimit("input_rank", min(into, out * taps)),
            RankLimit("output_rank", min(out, into * taps)),
        )

    def factors(self, layer: Layer, ranks: Ranks) -> Factors:
        input_rank, output_rank = ranks
        return (
            Factor("reduce", windows.conv(layer, input_rank)),
            Factor("kernel", windows.conv(layer, output_rank, windows.all_axes(layer))),
            Factor("expand", windows.conv(layer, layer.out_channels, bias=layer.bias)),
        )

    def unfoldings(self, layer: Layer, weight: Array) -> tuple[Array, ...]:
        along = np.moveaxis(weight, 1, 0)
        return along.reshape(len(along), -1), weight.reshape(len(weight), -1)

    def kernels(self, layer: Layer, weight: Array, ranks: Ranks) -> Kernels:
        tensor = weight.reshape(layer.out_channels, layer.in_channels, -1)
        expand, core, reduce = tucker2(tensor, ranks)
        first = reduce.reshape(*reduce.shape, *(1,) * layer.rank)
        return expanded((first,), expand, core.reshape(*core.shape[:2], *layer.kernel))

    def before_expansion(self, layer: Layer, fit: Fit, ranks: Ranks) -> tuple[Kernels, Array]:
        by_input, *_ = self.unfoldings(layer, fit.target.reshape(layer.weight_shape))
        reduce = weighted(by_input.T, part_moment(fit.moment, layer), ranks[0])
        first = reduce.reshape(*reduce.shape, *(1,) * layer.rank)
        return (first,), regressed(layer, fit, (first,), layer.kernel)


def tucker2(tensor: Array, ranks: Ranks) -> tuple[Array, Array, Array]:
    """Return (U_T [T, R_out], core [R_out, R_in, K], U_S^T [R_in, S]) of a tensor [T, S, K]."""
    input_rank, output_rank = ranks
    squared = float(np.vdot(tensor, tensor))
    along = np.moveaxis(tensor, 1, 0)
    reduce = leading(along.reshape(len(along), -1), input_rank).T
    kept = -1.0
    for _ in range(_SWEEPS):
        inner = np.einsum("tsk,rs->trk", tensor, reduce, optimize=True)
        expand = leading(inner.reshape(len(inner), -1), output_rank)
        outer = np.einsum("tsk,tq->sqk", tensor, expand, optimize=True)
        reduce = leading(outer.reshape(len(outer), -1), input_rank).T
        core = np.einsum("sqk,rs->qrk", outer, reduce, optimize=True)
        now = float(np.vdot(core, core))
        if now - kept <= _SETTLED * squared:
            break
        kept = now
    return expand, core, reduce
