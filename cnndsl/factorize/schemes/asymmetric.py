"""The asymmetric 3-D decomposition: kx1, 1xk, 1x1 (Zhang et al. 2016, "Asym. 3D").

A spatial SVD, whose second kernel is then of low rank across its output channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from cnndsl.factorize import windows
from cnndsl.factorize.decompose import Kernels
from cnndsl.factorize.expanding import Expanding, expanded
from cnndsl.factorize.factors import Factor, Factors
from cnndsl.factorize.fit import Fit
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.reduced_rank import regressed
from cnndsl.factorize.refusals import not_dense, one_group
from cnndsl.factorize.scheme import RankLimit, Ranks
from cnndsl.factorize.schemes.spatial import SpatialVertical
from cnndsl.factorize.truncated import leading
from cnndsl.ops.base import Array

_SPATIAL = SpatialVertical()


@dataclass(frozen=True)
class Asymmetric3d(Expanding):
    """kx1 S -> spatial rank, 1xk to output rank, 1x1 to T."""

    name: ClassVar[str] = "asymmetric3d"
    title: ClassVar[str] = "kx1, 1xk, 1x1 (asymmetric 3-D decomposition)"

    def refusal(self, layer: Layer) -> str | None:
        return not_dense(layer) or one_group(layer) or _SPATIAL.refusal(layer)

    def rank_limits(self, layer: Layer) -> tuple[RankLimit, ...]:
        (spatial,) = _SPATIAL.rank_limits(layer)
        horizontal = spatial.maximum * prod(layer.kernel[1:])
        return (
            RankLimit("spatial_rank", spatial.maximum),
            RankLimit("output_rank", min(layer.out_channels, horizontal)),
        )

    def factors(self, layer: Layer, ranks: Ranks) -> Factors:
        spatial_rank, output_rank = ranks
        rest = tuple(range(1, layer.rank))
        return (
            Factor("vertical", windows.conv(layer, spatial_rank, (0,))),
            Factor("horizontal", windows.conv(layer, output_rank, rest)),
            Factor("expand", windows.conv(layer, layer.out_channels, bias=layer.bias)),
        )

    def unfoldings(self, layer: Layer, weight: Array) -> tuple[Array, ...]:
        return (*_SPATIAL.unfoldings(layer, weight), weight.reshape(len(weight), -1))

    def kernels(self, layer: Layer, weight: Array, ranks: Ranks) -> Kernels:
        vertical, horizontal = _SPATIAL.kernels(layer, weight, ranks[:1])
        # Only behind orthonormal rows is what the horizontal factor loses what the kernel loses.
        rows = vertical.reshape(len(vertical), -1)
        scale = (rows**2).sum(axis=1) ** 0.5
        scale[scale == 0] = 1.0
        even = vertical / scale.reshape(-1, *(1,) * (vertical.ndim - 1))
        second = horizontal * scale.reshape(1, -1, *(1,) * layer.rank)
        expand = leading(second.reshape(layer.out_channels, -1), ranks[1])
        inner = (expand.T @ second.reshape(len(second), -1)).reshape(-1, *second.shape[1:])
        return expanded((even,), expand, inner)

    def before_expansion(self, layer: Layer, fit: Fit, ranks: Ranks) -> tuple[Kernels, Array]:
        vertical = _SPATIAL.fitted_first(layer, fit, ranks[0])
        return (vertical,), regressed(layer, fit, (vertical,), (1, *layer.kernel[1:]))
