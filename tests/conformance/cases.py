"""A grid of ops over ranks, strides, dilations, groups, paddings, odd sizes and batches."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

from cnndsl.ops import (
    activation,
    conv,
    dense,
    elementwise,
    embedding,
    local,
    norm,
    pool,
    rearrange,
    resample,
    slicing,
    transposed,
)
from cnndsl.ops import shape as shapes
from cnndsl.ops.base import Op, OpError
from cnndsl.types.padding import Causal, Explicit, Padding, Same, Valid
from cnndsl.types.tensor import DType, TensorType

PER_FAMILY = 24
"""How many of a family's combinations are kept, chosen by a fixed seed."""


@dataclass(frozen=True)
class Case:
    """An op applied to operands of known types."""

    op: Op
    inputs: tuple[TensorType, ...]

    def __str__(self) -> str:
        return f"{self.op} on {', '.join(map(str, self.inputs))}"


def floats(*shape: int) -> TensorType:
    return TensorType(DType.FLOAT32, shape)


def cases(rank: int) -> list[Case]:
    """Return the cases with `rank` spatial axes whose types are legal."""
    chosen = random.Random(rank)
    found: list[Case] = []
    for family in (
        _conv, _depthwise, _transposed, _local, _pool, _norm, _activation, _elementwise,
        _arrange, _slicing,
    ):  # fmt: skip
        legal = [c for c in family(rank) if _is_legal(c)]
        assert legal, f"{family.__name__} has no legal case"
        limit = PER_FAMILY if family in (_conv, _depthwise, _transposed, _pool) else len(legal)
        found += chosen.sample(legal, min(limit, len(legal)))
    return found


def vector_cases() -> list[Case]:
    """Return the cases on [N, C] and on indices."""
    found = []
    for batch, features in itertools.product((1, 3, 17), (1, 10, 33, 64)):
        x = floats(batch, features)
        found += [
            Case(dense.Dense(out_features=out, bias=bias), (x,))
            for out in (1, 7, 16, 40)
            for bias in (True, False)
        ]
        found += [
            Case(activation.Softmax(axis=1), (x,)),
            Case(norm.BatchNorm(), (x,)),
            Case(norm.LayerNorm(), (x,)),
            Case(activation.Sigmoid(), (x,)),
            Case(elementwise.Add(), (x, x)),
            Case(shapes.Concat(axis=1), (x, floats(batch, 5), x)),
            Case(shapes.Flatten(), (x,)),
        ]
        if features % 2 == 0:
            found.append(Case(activation.Glu(), (x,)))
            found.append(Case(shapes.Reshape(shape=(2, features // 2)), (x,)))
    for dtype, shape in itertools.product((DType.INT32, DType.INT64), ((1, 5), (3, 9), (2, 3, 4))):
        found.append(
            Case(embedding.Embedding(entries=11, features=19), (TensorType(dtype, shape),))
        )
    return found


def _is_legal(case: Case) -> bool:
    try:
        case.op.infer(case.inputs)
        case.op.parameters(case.inputs)
    except OpError:
        return False
    return True


def _maps(rank: int, channels: tuple[int, ...]) -> Iterator[TensorType]:
    sizes = {1: (13, 30), 2: (9, 14), 3: (5, 6)}[rank]
    for batch, c, size in itertools.product((1, 3), channels, sizes):
        yield floats(batch, c, *(size + axis for axis in range(rank)))


def _paddings(rank: int) -> tuple[Padding, ...]:
    return (
        Valid(),
        Same(),
        Causal(),
        Explicit(tuple((axis % 2, 1 + axis) for axis in range(rank))),
    )


def _each(rank: int, *values: int) -> list[tuple[int, ...]]:
    """Return extents: every value for all axes, and one that differs by axis."""
    same = [(v,) * rank for v in values]
    return [*same, tuple(values[i % len(values)] for i in range(rank))] if rank > 1 else same


def _conv(rank: int) -> Iterator[Case]:
    for x, k, s, d, p, g, out, bias in itertools.product(
        _maps(rank, (3, 16, 20, 32)), _each(rank, 1, 3, 4), _each(rank, 1, 2, 3),
        _each(rank, 1, 2), _paddings(rank), (1, 2, 4), (8, 20, 48), (True, False),
    ):  # fmt: skip
        op = conv.Conv(
            out_channels=out, kernel=k, stride=s, dilation=d, padding=p, groups=g, bias=bias
        )
        yield Case(op, (x,))


def _depthwise(rank: int) -> Iterator[Case]:
    for x, k, s, d, p, m, bias in itertools.product(
        _maps(rank, (3, 16, 20)), _each(rank, 1, 3, 5), _each(rank, 1, 2),
        _each(rank, 1, 2), _paddings(rank), (1, 2, 3), (True, False),
    ):  # fmt: skip
        op = conv.DepthwiseConv(kernel=k, stride=s, dilation=d, padding=p, multiplier=m, bias=bias)
        yield Case(op, (x,))


def _transposed(rank: int) -> Iterator[Case]:
    paddings = (Valid(), Same(), Explicit(tuple((axis % 2, 1) for axis in range(rank))))
    for x, k, s, d, p, g, extra, bias in itertools.product(
        _maps(rank, (4, 16, 20)), _each(rank, 1, 2, 3, 4), _each(rank, 1, 2, 3),
        _each(rank, 1, 2), paddings, (1, 2), (0, 1), (True, False),
    ):  # fmt: skip
        op = transposed.ConvTranspose(
            out_channels=20, kernel=k, stride=s, dilation=d, padding=p, groups=g,
            output_padding=(extra,) * rank, bias=bias,
        )  # fmt: skip
        yield Case(op, (x,))


def _local(rank: int) -> Iterator[Case]:
    small = {1: (7,), 2: (5, 6), 3: (3, 4, 3)}[rank]
    for batch, c, out, p, s, bias in itertools.product(
        (1, 3), (3, 18), (5, 33), (Valid(), Same()), (1, 2), (True, False)
    ):
        op = local.LocallyConnected(
            out_channels=out, kernel=(3,) * rank, stride=(s,) * rank, padding=p, bias=bias
        )
        yield Case(op, (floats(batch, c, *small),))


def _pool(rank: int) -> Iterator[Case]:
    for x, k, s, p, ceil in itertools.product(
        _maps(rank, (3, 20)), _each(rank, 2, 3), [None, *_each(rank, 1, 2, 3)],
        (Valid(), Same(), Explicit(((1, 1),) * rank), Explicit(((0, 1),) * rank)), (False, True),
    ):  # fmt: skip
        stride = s or k
        yield Case(
            pool.MaxPool(kernel=k, stride=stride, padding=p, dilation=(1,) * rank, ceil_mode=ceil),
            (x,),
        )
        for counted in (False, True):
            yield Case(
                pool.AveragePool(
                    kernel=k, stride=stride, padding=p, ceil_mode=ceil, count_padding=counted
                ),
                (x,),
            )
        yield Case(pool.MaxPool(kernel=k, stride=stride, padding=p, dilation=(2,) * rank), (x,))


def _norm(rank: int) -> Iterator[Case]:
    for x in _maps(rank, (6, 20, 32)):
        yield Case(norm.BatchNorm(epsilon=1e-3), (x,))
        yield Case(norm.LayerNorm(), (x,))
        yield Case(norm.GroupNorm(groups=2), (x,))
        yield Case(norm.GroupNorm(groups=1), (x,))
        yield Case(norm.LRN(size=5, alpha=0.3), (x,))
        yield Case(norm.LRN(size=4, alpha=0.1, beta=0.5, k=2.0), (x,))
        yield Case(pool.GlobalAveragePool(), (x,))
        yield Case(pool.GlobalMaxPool(keep_axes=True), (x,))


def _activation(rank: int) -> Iterator[Case]:
    x = next(_maps(rank, (20,)))
    for op in (
        activation.Relu(), activation.LeakyRelu(slope=0.2), activation.PRelu(),
        activation.Elu(alpha=0.7), activation.Selu(), activation.SRelu(),
        activation.SRelu(threshold=-0.3), activation.Relu6(), activation.Sigmoid(),
        activation.Tanh(), activation.Softplus(), activation.Gelu(),
        activation.Gelu(approximate=True), activation.Silu(), activation.HardSigmoid(),
        activation.HardSigmoid(alpha=0.2, beta=0.4), activation.HardSwish(), activation.Glu(),
        activation.Dropout(), activation.Identity(),
    ):  # fmt: skip
        yield Case(op, (x,))
    for axis in range(1, rank + 2):
        yield Case(activation.Softmax(axis=axis), (x,))
    yield Case(activation.Glu(), (floats(3, 64, *x.spatial),))


def _elementwise(rank: int) -> Iterator[Case]:
    for x in _maps(rank, (3, 20)):
        one = floats(x.batch, x.channels, *(1,) * rank)
        for op in (elementwise.Add(), elementwise.Sub(), elementwise.Mul()):
            yield Case(op, (x, x))
            yield Case(op, (x, one))
            yield Case(op, (one, x))
        yield Case(elementwise.Affine(scale=-0.5, shift=2.0), (x,))


def _arrange(rank: int) -> Iterator[Case]:
    for batch in (1, 3):
        even = floats(batch, 32, *(4, 6, 2)[:rank])
        for mode in ("dcr", "crd"):
            yield Case(rearrange.DepthToSpace(block=2, mode=mode), (even,))
        yield Case(rearrange.SpaceToDepth(block=2), (even,))
        yield Case(rearrange.SpaceToDepth(block=2), (floats(batch, 3, *even.spatial),))
        for groups in (2, 4, 16):
            yield Case(rearrange.ChannelShuffle(groups=groups), (even,))
        for c in (3, 16, 20):
            x = floats(batch, c, *(5, 4, 3)[:rank])
            yield Case(shapes.Flatten(), (x,))
            for axis in range(1, rank + 2):
                yield Case(shapes.Concat(axis=axis), (x, x, x))
            yield Case(shapes.Concat(axis=1), (x, floats(batch, 16, *x.spatial), x))
            for scale in _each(rank, 2, 3):
                yield Case(resample.Upsample(scale=scale, mode="nearest"), (x,))
                yield Case(resample.Upsample(scale=scale, mode="bilinear"), (x,))
        yield Case(shapes.Reshape(shape=(8, 24)), (floats(batch, 32, *(2, 3, 1)[:rank]),))


def _slicing(rank: int) -> Iterator[Case]:
    for x in _maps(rank, (8, 20)):
        margin = Explicit(tuple((1, axis) for axis in range(rank)))
        yield Case(slicing.Crop(margin=margin), (x,))
        for mode in ("zero", "reflect", "edge"):
            yield Case(slicing.Pad(amount=margin, mode=mode), (x,))
        yield Case(slicing.Pad(amount=margin, mode="zero", value=-1.5), (x,))
        for axis in range(1, rank + 2):
            yield Case(slicing.Slice(axis=axis, start=1, stop=4), (x,))
            yield Case(slicing.Slice(axis=axis, start=-3, stop=None, step=2), (x,))
