"""Moves between channels and space, and between groups of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ops.adjoint import gathered
from cnndsl.ops.base import Array, DataMovement, OpError, PerAxis, Reach, argument
from cnndsl.ops.checks import (
    divide_exactly,
    known_channels,
    require_float,
    require_groups,
    require_map,
)
from cnndsl.ops.reach import Mapped, Window
from cnndsl.ops.registry import register
from cnndsl.types.tensor import TensorType


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceToDepth(DataMovement):
    """Turn each block of the map into channels: `[N, C, H, W]` to `[N, b*b*C, H/b, W/b]`.

    The place in the block is the outer, the input channel the inner part of the channel (ONNX).
    """

    keyword: ClassVar[str] = "space_to_depth"
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 3, 32, 32]\n"
        "output y = x -> space_to_depth(2) -> conv3x3(16)\n"
    )

    block: int = argument("extent of a block along each spatial axis", minimum=1)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_map(self.keyword, x)
        spatial = tuple(
            divide_exactly(self.keyword, f"spatial axis {axis}", e, self.block, "block")
            for axis, e in enumerate(x.spatial)
        )
        return x.with_shape(x.batch, x.channels * self.block ** len(x.spatial), *spatial)

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        return PerAxis((Window(kernel=self.block, stride=self.block),) * len(inputs[0].spatial))

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        batch, channels, *spatial = x.shape
        rank = len(spatial)
        coarse = [n // self.block for n in spatial]
        split = x.reshape(batch, channels, *(e for n in coarse for e in (n, self.block)))
        blocks = range(2, 2 + 2 * rank, 2)
        places = range(3, 3 + 2 * rank, 2)
        return split.transpose(0, *places, 1, *blocks).reshape(batch, -1, *coarse)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        return gathered(self, inputs[0], gradient)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class DepthToSpace(DataMovement):
    """Turn channels into blocks of the map: `[N, b*b*C, H, W]` to `[N, C, H*b, W*b]`.

    mode=dcr: the place in the block is the outer part of the input channel (the inverse of
    `space_to_depth`); mode=crd: it is the inner part (PyTorch's pixel_shuffle).
    """

    keyword: ClassVar[str] = "depth_to_space"
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        'output y = x -> conv3x3(12) -> depth_to_space(2, mode="crd")\n'
    )

    block: int = argument("extent of a block along each spatial axis", minimum=1)
    mode: str = argument("order within the channels", default="dcr", choices=("dcr", "crd"))

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_map(self.keyword, x)
        taken = self.block ** len(x.spatial)
        channels = known_channels(self.keyword, x)
        if channels % taken:
            raise OpError(
                "CNN209",
                f"depth_to_space with block={self.block} needs channels divisible by {taken}, "
                f"got {channels}",
                help=f"a `conv` to {-(-channels // taken) * taken} channels before it",
                argument="block",
            )
        return x.with_shape(x.batch, channels // taken, *(e * self.block for e in x.spatial))

    def reach(self, inputs: Sequence[TensorType], operand: int = 0) -> Reach:
        one = Mapped(1, self.block) if self.block > 1 else Window()
        return PerAxis((one,) * len(inputs[0].spatial))

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        batch, channels, *spatial = x.shape
        rank = len(spatial)
        blocks = (self.block,) * rank
        kept = channels // self.block**rank
        if self.mode == "dcr":
            split = x.reshape(batch, *blocks, kept, *spatial)
            place, channel = 1, 1 + rank
        else:
            split = x.reshape(batch, kept, *blocks, *spatial)
            place, channel = 2, 1
        pairs = (axis for i in range(rank) for axis in (2 + rank + i, place + i))
        fine = (n * self.block for n in spatial)
        return split.transpose(0, channel, *pairs).reshape(batch, kept, *fine)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        return gathered(self, inputs[0], gradient)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelShuffle(DataMovement):
    """Interleave groups of channels: channel i of group g becomes channel i * groups + g.

    Between grouped convolutions it lets every group see all others (ShuffleNet).
    """

    keyword: ClassVar[str] = "channel_shuffle"
    example: ClassVar[str] = (
        "network example\n"
        "input x: float32[N, 8, 16, 16]\n"
        "output y = x -> conv1x1(16, groups=4) -> channel_shuffle(4) -> conv3x3(16, groups=4)\n"
    )

    groups: int = argument("number of channel groups", minimum=1)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        (x,) = inputs
        require_float(self.keyword, x)
        require_groups(self.keyword, self.groups, input=known_channels(self.keyword, x))
        return x

    def evaluate(self, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
        (x,) = inputs
        batch, channels, *spatial = x.shape
        split = x.reshape(batch, self.groups, channels // self.groups, *spatial)
        return split.swapaxes(1, 2).reshape(x.shape)

    def pullback(
        self, inputs: Sequence[Array], params: Sequence[Array], gradient: Array
    ) -> tuple[Array, ...]:
        return gathered(self, inputs[0], gradient)
