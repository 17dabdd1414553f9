"""Low rank of a dense layer: one matrix becomes two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cnndsl.factorize.decompose import Kernels
from cnndsl.factorize.expanding import Expanding
from cnndsl.factorize.factors import Factor, Factors
from cnndsl.factorize.fit import Fit
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.scheme import RankLimit, Ranks
from cnndsl.factorize.truncated import truncated_svd
from cnndsl.ops.base import Array
from cnndsl.ops.dense import Dense


@dataclass(frozen=True)
class DenseSvd(Expanding):
    """dense S -> r, then dense r -> T."""

    name: ClassVar[str] = "dense_svd"
    title: ClassVar[str] = "dense to r features, then dense (truncated SVD)"

    def refusal(self, layer: Layer) -> str | None:
        return None if layer.is_dense else "a convolution: channel_output is the same for those"

    def rank_limits(self, layer: Layer) -> tuple[RankLimit, ...]:
        return (RankLimit("rank", min(layer.in_channels, layer.out_channels)),)

    def factors(self, layer: Layer, ranks: Ranks) -> Factors:
        (rank,) = ranks
        return (
            Factor("reduce", Dense(out_features=rank, bias=False)),
            Factor("expand", Dense(out_features=layer.out_channels, bias=layer.bias)),
        )

    def unfoldings(self, layer: Layer, weight: Array) -> tuple[Array, ...]:
        return (weight,)

    def kernels(self, layer: Layer, weight: Array, ranks: Ranks) -> Kernels:
        u, s, vt = truncated_svd(weight, ranks[0])
        return vt, u * s

    def before_expansion(self, layer: Layer, fit: Fit, ranks: Ranks) -> tuple[Kernels, Array]:
        return (), fit.target
