"""Every op over a grid of what it can be given: (op, types of its operands), sizes apart.

Batches are the symbol N; the spatial extents are numbers or symbols, odd and even.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from properties.networks import float32, int64

from cnndsl.ops import activation, norm
from cnndsl.ops.base import Op, OpError
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.elementwise import Add, Affine, Mul, Sub
from cnndsl.ops.embedding import Embedding
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from cnndsl.ops.rearrange import ChannelShuffle, DepthToSpace, SpaceToDepth
from cnndsl.ops.resample import Upsample
from cnndsl.ops.shape import Concat, Flatten, Reshape
from cnndsl.ops.slicing import Crop, Pad, Slice
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types.extents import Dim
from cnndsl.types.padding import Causal, Explicit, Padding, Same, Valid
from cnndsl.types.tensor import TensorType

Case = tuple[Op, tuple[TensorType, ...], Mapping[str, int]]

KNOWN = {1: (10,), 2: (8, 7), 3: (5, 4, 6)}
SYMBOLIC = {1: (9,), 2: (7, 9), 3: (6, 5, 5)}
SYMBOLS = {1: ("W",), 2: ("H", "W"), 3: ("D", "H", "W")}


def maps(rank: int, channels: int) -> Iterator[tuple[TensorType, dict[str, int]]]:
    """Yield the type of a map with known and with symbolic extents, and sizes for it."""
    yield float32("N", channels, *KNOWN[rank]), {"N": 3}
    sizes = dict(zip(SYMBOLS[rank], SYMBOLIC[rank]))
    yield float32("N", channels, *SYMBOLS[rank]), {"N": 1, **sizes}


def paddings(rank: int) -> tuple[Padding, ...]:
    return Same(), Valid(), Causal(), Explicit(((1, 0), (0, 2), (1, 1))[:rank])


def windowed(rank: int) -> Iterator[Op]:
    """Yield windowed ops over kernels, strides, dilations, paddings, groups and rounding."""
    kernel = (3, 2, 3)[:rank]
    ones = (1,) * rank
    strides = (ones, (2, 3, 2)[:rank])
    dilations = (ones, (2, 1, 2)[:rank])
    for stride, dilation, padding in product(strides, dilations, paddings(rank)):
        window = {"kernel": kernel, "stride": stride, "padding": padding}
        for groups, bias in ((1, True), (2, False)):
            yield Conv(out_channels=4, dilation=dilation, groups=groups, bias=bias, **window)
            yield ConvTranspose(
                out_channels=4,
                dilation=dilation,
                groups=groups,
                bias=bias,
                output_padding=(0,) * rank,
                **window,
            )
        for multiplier in (1, 2):
            yield DepthwiseConv(
                dilation=dilation, multiplier=multiplier, bias=multiplier == 1, **window
            )
        for ceil_mode in (False, True):
            yield MaxPool(dilation=dilation, ceil_mode=ceil_mode, **window)
            if dilation == ones:
                for count in (False, True):
                    yield AveragePool(ceil_mode=ceil_mode, count_padding=count, **window)
        if dilation == ones:
            yield LocallyConnected(out_channels=3, bias=stride == ones, **window)
    # Strides above the kernel; output padding.
    wide = {"kernel": ones, "stride": (3,) * rank}
    for padding in paddings(rank)[:3]:
        yield Conv(out_channels=2, dilation=ones, bias=False, padding=padding, **wide)
        yield MaxPool(dilation=ones, padding=padding, **wide)
        yield AveragePool(padding=padding, **wide)
        yield ConvTranspose(
            out_channels=2,
            dilation=ones,
            bias=False,
            padding=padding,
            output_padding=(0,) * rank,
            **wide,
        )
    yield ConvTranspose(
        out_channels=2,
        kernel=kernel,
        stride=(2,) * rank,
        dilation=ones,
        padding=Explicit(((1, 1),) * rank),
        output_padding=(1,) * rank,
        bias=True,
    )


def on_maps(rank: int) -> Iterator[Op]:
    """Yield the other ops that take one map."""
    pairs = Explicit(((1, 2), (0, 1), (2, 0))[:rank])
    yield from (GlobalAveragePool(), GlobalAveragePool(keep_axes=True))
    yield from (GlobalMaxPool(), GlobalMaxPool(keep_axes=True))
    yield from everywhere()
    yield from (norm.GroupNorm(groups=g, epsilon=1e-3) for g in (1, 2, 4))
    yield Flatten()
    yield from (Concat(axis=axis) for axis in range(1, rank + 2))
    for axis in range(1, rank + 2):
        yield Slice(axis=axis, start=1, stop=3)
        yield Slice(axis=axis, start=-3, stop=-1)
        yield Slice(axis=axis, start=0, step=2)
    yield Crop(margin=Explicit(((1, 0), (0, 1), (1, 1))[:rank]))
    yield from (Pad(amount=pairs, mode=mode) for mode in ("zero", "reflect", "edge"))
    yield Pad(amount=pairs, value=-1.5)
    for mode, scale in product(("nearest", "bilinear"), ((2, 3, 2), (1, 2, 4))):
        yield Upsample(scale=scale[:rank], mode=mode)
    yield from (ChannelShuffle(groups=2), ChannelShuffle(groups=4))
    yield Reshape(shape=(2, -1))


def everywhere() -> Iterator[Op]:
    """Yield the ops that take feature vectors and maps alike."""
    yield from (
        activation.Relu(),
        activation.LeakyRelu(slope=0.2),
        activation.PRelu(),
        activation.Elu(alpha=0.7),
        activation.Selu(),
        activation.SRelu(),
        activation.SRelu(threshold=0.25),
        activation.Relu6(),
        activation.Sigmoid(),
        activation.Tanh(),
        activation.Softplus(),
        activation.Gelu(),
        activation.Gelu(approximate=True),
        activation.Silu(),
        activation.HardSigmoid(alpha=0.3, beta=0.4),
        activation.HardSwish(),
        activation.Softmax(),
        activation.Glu(),
        activation.Dropout(),
        activation.Identity(),
        Affine(scale=2.5, shift=-1.0),
        Affine(scale=1.0, shift=3.0),
        Affine(scale=-0.5),
        Affine(),
        norm.BatchNorm(epsilon=1e-3),
        norm.LayerNorm(epsilon=1e-3),
        norm.LRN(),
        norm.LRN(size=4, alpha=0.3, beta=0.6, k=2.0),
    )


def cases() -> Iterator[Case]:
    """Yield every op on every rank with every kind of operand that it accepts."""
    for rank in (1, 2, 3):
        for (x, sizes), op in product(maps(rank, 4), (*windowed(rank), *on_maps(rank))):
            yield from _accepted(op, (x, x) if isinstance(op, Concat) else (x,), sizes)
        for (x, sizes), op in product(maps(rank, 4), (Add(), Sub(), Mul())):
            gate = float32("N", 4, *(1,) * rank)
            for operands in ((x, x), (x, gate), (gate, x)):
                yield op, operands, sizes
        x = maps(rank, 4)
        yield from _accepted(activation.Softmax(axis=rank + 1), (next(x)[0],), {"N": 2})
        symbols = [2 * Dim.symbol(s) for s in SYMBOLS[rank]]
        halves = {"N": 2, **dict.fromkeys(SYMBOLS[rank], 2)}
        for fine, known in ((symbols, halves), ((4,) * rank, {"N": 2})):
            yield SpaceToDepth(block=2), (float32("N", 3, *fine),), known
            yield from _accepted(
                SpaceToDepth(block=2), (float32("N", "C", *fine),), {"C": 2, **known}
            )
        deep = 3 * 2**rank
        for shape, sizes in (((2, 3, 4)[:rank], {"N": 2}), (SYMBOLS[rank], halves)):
            for mode in ("dcr", "crd"):
                yield DepthToSpace(block=2, mode=mode), (float32("N", deep, *shape),), sizes
    features = float32("N", 6)
    for op in (*everywhere(), Dense(out_features=4, bias=True), Dense(out_features=1, bias=False)):
        yield op, (features,), {"N": 3}
    yield Flatten(), (features,), {"N": 3}
    yield Reshape(shape=(3, 2)), (features,), {"N": 3}
    yield Concat(), (features, float32("N", 2), features), {"N": 3}
    yield Reshape(shape=(2, 2, 5)), (float32("N", 4, 5),), {"N": 3}
    yield Embedding(entries=5, features=3), (int64("N", "L"),), {"N": 2, "L": 6}
    yield Embedding(entries=5, features=3), (int64("N", 2, 3),), {"N": 2}
    yield Embedding(entries=5, features=3), (int64("N"),), {"N": 2}


def _accepted(op: Op, types: tuple[TensorType, ...], sizes: Mapping[str, int]) -> Iterator[Case]:
    try:
        op.infer(types)
    except OpError:
        return
    yield op, types, sizes
