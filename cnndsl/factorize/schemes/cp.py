"""CP decompositions: 1x1, depthwise kernels, 1x1.

CP-3 takes [T, S, taps] as a sum of R outer products (Phan et al. 2020), CP-4 the kernel's axes one
by one (Lebedev et al. 2015; in three dimensions these are five factors).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from cnndsl.factorize import cp, windows
from cnndsl.factorize.decompose import Kernels, WeightScheme
from cnndsl.factorize.factors import Factor, Factors
from cnndsl.factorize.fit import Fit
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.reduced_rank import regressed
from cnndsl.factorize.refusals import not_dense, one_group, wide_kernel
from cnndsl.factorize.scheme import RankLimit, Ranks
from cnndsl.ops.base import Array

_QUICK = 0.3
"""Of the effort, for errors to choose by: the first sweeps gain the most."""


@dataclass(frozen=True)
class _Cp(WeightScheme):
    effort: float = 1.0

    def quick(self) -> WeightScheme:
        return replace(self, effort=_QUICK)

    def _shape(self, layer: Layer) -> tuple[int, ...]:
        """The tensor's extents: out, in, and the kernel's parts."""
        raise NotImplementedError

    def _parts(self, layer: Layer) -> tuple[tuple[int, ...], ...]:
        """The axes that each depthwise factor takes."""
        raise NotImplementedError

    def rank_limits(self, layer: Layer) -> tuple[RankLimit, ...]:
        return (RankLimit("rank", cp.exact_rank(self._shape(layer))),)

    def factors(self, layer: Layer, ranks: Ranks) -> Factors:
        (rank,) = ranks
        parts = self._parts(layer)
        names = [f"depthwise_{i}" for i in range(1, len(parts) + 1)]
        if len(parts) == 1:
            names = ["depthwise"]
        return (
            Factor("reduce", windows.conv(layer, rank)),
            *(
                Factor(name, windows.depthwise(layer, axes))
                for name, axes in zip(names, parts, strict=True)
            ),
            Factor("expand", windows.conv(layer, layer.out_channels, bias=layer.bias)),
        )

    def kernels(self, layer: Layer, weight: Array, ranks: Ranks) -> Kernels:
        shape = self._shape(layer)
        expand, reduce, *middle = cp.decompose(weight.reshape(shape), ranks[0], self.effort)
        ones = (1,) * layer.rank
        depthwise = tuple(
            m.T.reshape(-1, 1, *(k if a in axes else 1 for a, k in enumerate(layer.kernel)))
            for m, axes in zip(middle, self._parts(layer), strict=True)
        )
        return (
            reduce.T.reshape(-1, layer.in_channels, *ones),
            *depthwise,
            expand.reshape(layer.out_channels, -1, *ones),
        )

    def fitted(self, layer: Layer, fit: Fit, ranks: Ranks) -> Kernels:
        *first, _ = self.kernels(layer, fit.target.reshape(layer.weight_shape), ranks)
        return (*first, regressed(layer, fit, first, (1,) * layer.rank))


@dataclass(frozen=True)
class Cp3(_Cp):
    """1x1 S -> R, depthwise kxk, 1x1 R -> T."""

    name: ClassVar[str] = "cp3"
    title: ClassVar[str] = "1x1, depthwise kxk, 1x1 (CP of 3 axes)"

    def refusal(self, layer: Layer) -> str | None:
        return (
            not_dense(layer)
            or one_group(layer)
            or wide_kernel(layer, "channel_output needs one layer less")
        )

    def _shape(self, layer: Layer) -> tuple[int, ...]:
        return (layer.out_channels, layer.in_channels, layer.taps)

    def _parts(self, layer: Layer) -> tuple[tuple[int, ...], ...]:
        return (windows.all_axes(layer),)


@dataclass(frozen=True)
class Cp4(_Cp):
    """1x1 S -> R, depthwise kx1, depthwise 1xk, 1x1 R -> T."""

    name: ClassVar[str] = "cp4"
    title: ClassVar[str] = "1x1, depthwise kx1, depthwise 1xk, 1x1 (CP of all axes)"

    def refusal(self, layer: Layer) -> str | None:
        few = sum(k > 1 for k in layer.kernel) < 2
        return (
            not_dense(layer)
            or one_group(layer)
            or (
                "its kernel is longer than 1 along one side at most: cp3 is for those"
                if few
                else None
            )
        )

    def _shape(self, layer: Layer) -> tuple[int, ...]:
        return (layer.out_channels, layer.in_channels, *layer.kernel)

    def _parts(self, layer: Layer) -> tuple[tuple[int, ...], ...]:
        return tuple((axis,) for axis in range(layer.rank))
