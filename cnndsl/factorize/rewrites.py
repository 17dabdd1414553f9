"""Architecture rewrites: another network of a layer's shape and reach, to be trained.

They need no weights. Batch norm and an activation may stand between the factors; then the first
ones have a bias only if there is no norm to cancel it. Nothing here is close to the old layer
before training, whatever the ranks.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.factors import Factor, Factors
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.refusals import not_dense, one_group
from cnndsl.factorize.scheme import RankLimit, Ranks, Scheme
from cnndsl.factorize.schemes.channel import ChannelInput, ChannelOutput
from cnndsl.factorize.schemes.decoupling import DecouplingDepthwiseFirst
from cnndsl.factorize.schemes.spatial import SpatialHorizontal
from cnndsl.factorize.schemes.tucker import Tucker2
from cnndsl.factorize.stacking import kernel_refusal, stack_each_padded
from cnndsl.ops.base import Op
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.norm import BatchNorm


@dataclass(frozen=True)
class Rewrite(Scheme):
    """A chain of a shape that is trained anew.

    `norm` puts a batch norm after every factor but the last, `activation` this op after it; what
    follows the last one is what followed the layer.
    """

    norm: bool = False
    activation: Op | None = None

    @abstractmethod
    def shape(self, layer: Layer, ranks: Ranks) -> Factors:
        """Return the convolutions of the chain, only the last one with a bias, if at all."""

    @abstractmethod
    def usual_ranks(self, layer: Layer) -> Ranks:
        """Return the ranks that the networks have which are known for the rewrite."""

    def factors(self, layer: Layer, ranks: Ranks) -> Factors:
        *first, last = self.shape(layer, ranks)
        found: list[Factor] = []
        for factor in first:
            op = factor.op
            if self.activation is not None and not self.norm:
                assert isinstance(op, Conv | DepthwiseConv)
                op = replace(op, bias=True)
            found.append(Factor(factor.name, op))
            if self.norm:
                found.append(Factor(f"{factor.name}_norm", BatchNorm()))
            if self.activation is not None:
                found.append(Factor(f"{factor.name}_activation", self.activation))
        return (*found, last)


@dataclass(frozen=True)
class _Shaped(Rewrite):
    """A rewrite to the chain that a weight-level scheme makes."""

    _scheme: ClassVar[WeightScheme]

    def refusal(self, layer: Layer) -> str | None:
        return self._scheme.refusal(layer)

    def rank_limits(self, layer: Layer) -> tuple[RankLimit, ...]:
        return self._scheme.rank_limits(layer)

    def shape(self, layer: Layer, ranks: Ranks) -> Factors:
        return self._scheme.factors(layer, ranks)

    def _limited(self, layer: Layer, *ranks: int) -> Ranks:
        limits = self.rank_limits(layer)
        return tuple(
            min(max(rank, 1), limit.maximum) for rank, limit in zip(ranks, limits, strict=True)
        )


@dataclass(frozen=True)
class Stack(Rewrite):
    """5x5 to two 3x3, 7x7 to three (VGG, Simonyan and Zisserman 2015); each pads its part."""

    name: ClassVar[str] = "stack3x3"
    title: ClassVar[str] = "kxk to (k - 1) / 2 kernels of 3x3"

    def refusal(self, layer: Layer) -> str | None:
        return not_dense(layer) or one_group(layer) or kernel_refusal(layer)

    def rank_limits(self, layer: Layer) -> tuple[RankLimit, ...]:
        return (RankLimit("hidden", max(layer.in_channels, layer.out_channels) * layer.taps),)

    def usual_ranks(self, layer: Layer) -> Ranks:
        return (layer.out_channels,)

    def shape(self, layer: Layer, ranks: Ranks) -> Factors:
        count = (max(layer.kernel) - 1) // 2
        widths = (*ranks * (count - 1), layer.out_channels)
        ops = stack_each_padded(layer, widths, bias=layer.bias)
        return tuple(Factor(f"stacked_{i}", op) for i, op in enumerate(ops, 1))


@dataclass(frozen=True)
class Anisotropic(_Shaped):
    """kxk to 1xk, kx1 (Inception v3, Szegedy et al. 2016)."""

    name: ClassVar[str] = "anisotropic"
    title: ClassVar[str] = "kxk to 1xk, kx1"
    _scheme: ClassVar[WeightScheme] = SpatialHorizontal()

    def usual_ranks(self, layer: Layer) -> Ranks:
        return self._limited(layer, layer.out_channels // layer.groups)


@dataclass(frozen=True)
class DepthwiseSeparable(_Shaped):
    """kxk to depthwise kxk, 1x1 (MobileNet, Howard et al. 2017)."""

    name: ClassVar[str] = "depthwise_separable"
    title: ClassVar[str] = "kxk to depthwise kxk, 1x1"
    _scheme: ClassVar[WeightScheme] = DecouplingDepthwiseFirst()

    def usual_ranks(self, layer: Layer) -> Ranks:
        return (1,)


@dataclass(frozen=True)
class BottleneckInput(_Shaped):
    """1x1 to fewer channels, then kxk (Network in Network, Inception, Darknet)."""

    name: ClassVar[str] = "bottleneck_input"
    title: ClassVar[str] = "1x1 to fewer channels, then kxk"
    _scheme: ClassVar[WeightScheme] = ChannelInput()

    def usual_ranks(self, layer: Layer) -> Ranks:
        return self._limited(layer, layer.in_channels // 2)


@dataclass(frozen=True)
class BottleneckOutput(_Shaped):
    """kxk to fewer channels, then 1x1."""

    name: ClassVar[str] = "bottleneck_output"
    title: ClassVar[str] = "kxk to fewer channels, then 1x1"
    _scheme: ClassVar[WeightScheme] = ChannelOutput()

    def usual_ranks(self, layer: Layer) -> Ranks:
        return self._limited(layer, layer.out_channels // 2)


@dataclass(frozen=True)
class Bottleneck(_Shaped):
    """1x1, kxk between fewer channels, 1x1 (ResNet, He et al. 2016): the shape of Tucker-2."""

    name: ClassVar[str] = "bottleneck"
    title: ClassVar[str] = "1x1, kxk between fewer channels, 1x1"
    _scheme: ClassVar[WeightScheme] = Tucker2()

    def usual_ranks(self, layer: Layer) -> Ranks:
        return self._limited(layer, layer.in_channels // 4, layer.out_channels // 4)


def rewrites(*, norm: bool = False, activation: Op | None = None) -> tuple[Rewrite, ...]:
    """Return all rewrites with these options, in the order in which reports list them."""
    kinds = (
        Stack,
        Anisotropic,
        DepthwiseSeparable,
        BottleneckInput,
        BottleneckOutput,
        Bottleneck,
    )
    return tuple(kind(norm=norm, activation=activation) for kind in kinds)
