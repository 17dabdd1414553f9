"""Reach against brute force: move one input position, see which outputs move."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from op_checks import float_type, type_of

from cnndsl.ops import Op, OpError, all_ops
from cnndsl.ops.activation import Glu, Relu, Softmax
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.elementwise import Add, Mul, Sub
from cnndsl.ops.embedding import Embedding
from cnndsl.ops.fused import Fused
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.norm import LRN, BatchNorm, GroupNorm, LayerNorm
from cnndsl.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from cnndsl.ops.reach import PerAxis, Whole
from cnndsl.ops.rearrange import ChannelShuffle, DepthToSpace, SpaceToDepth
from cnndsl.ops.resample import Upsample
from cnndsl.ops.shape import Concat, Flatten, Reshape
from cnndsl.ops.slicing import Crop, Pad, Slice
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types.padding import Causal, Explicit, Same, Valid

MAPS = {1: (1, 2, 9), 2: (1, 2, 7, 6)}
WINDOWS = [
    ((3,), (1,), (2,)),
    ((2,), (3,), (1,)),
    ((3, 2), (2, 1), (1, 1)),
    ((3, 3), (1, 2), (2, 1)),
]


def windowed() -> list[tuple[Op, list[tuple]]]:
    cases: list[tuple[Op, list[tuple]]] = []
    for kernel, stride, dilation in WINDOWS:
        rank = len(kernel)
        shapes = [MAPS[rank]]
        uneven = Explicit(tuple((k - 1, (k - 1) // 2) for k in kernel))
        for padding in (Valid(), Same(), Causal(), uneven):
            window = {"kernel": kernel, "stride": stride, "padding": padding}
            deconv = ConvTranspose(
                **window, dilation=dilation, out_channels=2, output_padding=(0,) * rank
            )
            cases += [
                (Conv(**window, dilation=dilation, out_channels=2), shapes),
                (DepthwiseConv(**window, dilation=dilation), shapes),
                (MaxPool(**window, dilation=dilation, ceil_mode=True), shapes),
                (AveragePool(**window), shapes),
                (LocallyConnected(**window, out_channels=2), shapes),
                (deconv, shapes),
            ]
    extended = ConvTranspose(
        out_channels=1,
        kernel=(3,),
        stride=(3,),
        dilation=(1,),
        output_padding=(2,),
        padding=Explicit(((1, 0),)),
    )
    return [*cases, (extended, [(1, 2, 5)])]


def others() -> list[tuple[Op, list[tuple]]]:
    x1, x2 = (1, 4, 6), (1, 4, 4, 6)
    conv = Conv(out_channels=4, kernel=(3,), stride=(1,), dilation=(1,))
    return [
        *((op, [x2]) for op in (Relu(), Glu(), BatchNorm(), LayerNorm(), LRN(size=3))),
        *((op, [x2]) for op in (GroupNorm(groups=1), ChannelShuffle(groups=2))),
        *((Softmax(axis=axis), [x2]) for axis in (1, 2, 3)),
        *((Upsample(scale=s, mode=m), [x1]) for s in [(1,), (2,), (3,), (4,)]
          for m in ("nearest", "bilinear")),
        (Upsample(scale=(2, 3), mode="bilinear"), [x2]),
        (SpaceToDepth(block=2), [x2]),
        *((DepthToSpace(block=2, mode=m), [x2]) for m in ("dcr", "crd")),
        *((Pad(amount=Explicit(((2, 1),)), mode=m), [x1]) for m in ("zero", "reflect", "edge")),
        (Crop(margin=Explicit(((1, 0), (2, 1)))), [x2]),
        (Slice(axis=1, start=1), [x2]),
        (Slice(axis=2, start=1, stop=-1), [x2]),
        (Slice(axis=3, start=-5, step=2), [x2]),
        (Concat(axis=1), [x1, (1, 2, 6)]),
        (Concat(axis=2), [x1, (1, 4, 2), (1, 4, 3)]),
        (Concat(axis=3), [x2, (1, 4, 4, 2)]),
        *((op, [x2, x2]) for op in (Add(), Sub(), Mul())),
        (Mul(), [x2, (1, 4, 1, 1)]),
        (Mul(), [(1, 4, 4, 1), (1, 4, 1, 6)]),
        (Fused(base=conv, residual=True, activation=Relu()), [x1, x1]),
        (Fused(base=Add(), residual=True), [x1, x1, x1]),
        (Dense(out_features=3), [(1, 4)]),
        (Flatten(), [x2]),
        (Reshape(shape=(2, -1)), [x2]),
        *((op(keep_axes=k), [x2]) for op in (GlobalAveragePool, GlobalMaxPool) for k in (0, 1)),
    ]  # fmt: skip


def moved(op: Op, shapes: list[tuple], operand: int) -> dict[tuple, set[tuple]]:
    """Return, for every output position, the operand's positions whose change moves it."""
    op.infer([float_type(*s) for s in shapes])
    rng = np.random.default_rng(1)
    inputs = [rng.uniform(0.5, 1, s) for s in shapes]
    # Positive weights: nothing cancels. The change is large: the changed element wins any maximum.
    params = [rng.uniform(0.5, 1, s.shape) for s in op.parameters([float_type(*s) for s in shapes])]
    before = op.evaluate(inputs, params)
    found: dict[tuple, set[tuple]] = {at: set() for at in np.ndindex(*before.shape[2:])}
    for place in np.ndindex(*shapes[operand][2:]):
        changed = [x.copy() for x in inputs]
        # Not by the same amount in all channels, which norms would not notice.
        changed[operand][(slice(None), slice(None), *place)] *= rng.uniform(
            50, 100, shapes[operand][:2]
        )
        differs = (op.evaluate(changed, params) != before).any(axis=(0, 1))
        for at in zip(*np.nonzero(np.atleast_1d(differs))):
            found[at[: before.ndim - 2]].add(place)
    return found


@pytest.mark.parametrize("op, shapes", [*windowed(), *others()], ids=lambda v: str(v)[:60])
def test_reach_is_the_set_of_inputs_that_move_the_output(op, shapes):
    types = [float_type(*s) for s in shapes]
    for operand in range(len(shapes)):
        reach = op.reach(types, operand)
        extents = shapes[operand][2:]
        found = moved(op, shapes, operand)
        if isinstance(reach, Whole):
            everything = set(np.ndindex(*extents))
            assert set.union(*found.values()) == everything
            continue
        assert isinstance(reach, PerAxis)
        for at, places in found.items():
            axes = [a.positions(o, e) for a, o, e in zip(reach.axes, at, extents, strict=True)]
            assert places == set(product(*axes)), f"output {at} of operand {operand}"


def test_an_embedding_reads_one_number_per_position():
    numbers = np.array([[1, 2, 3, 4]])
    op = Embedding(entries=6, features=2)
    weight = np.arange(12.0).reshape(6, 2)
    (axis,) = op.reach([type_of(numbers)]).axes
    before = op.evaluate([numbers], [weight])
    for place in range(4):
        changed = numbers.copy()
        changed[0, place] = 0
        differs = (op.evaluate([changed], [weight]) != before).any(axis=(0, 1))
        assert [o for o in range(4) if place in axis.positions(o, 4)] == list(
            np.nonzero(differs)[0]
        )


def test_every_op_with_a_reach_of_its_own_is_tried():
    tried = {type(op) for op, _ in [*windowed(), *others()]} | {Embedding}
    own = {op for op in all_ops() if op.reach is not Op.reach}
    assert own <= tried


def window(**more) -> dict:
    return {"kernel": (3,), "stride": (2,), "padding": Same(), **more}


@pytest.mark.parametrize(
    "op, types",
    [
        (Conv(out_channels=2, **window(dilation=(1,))), [float_type(1, 2, "H")]),
        (MaxPool(**window(dilation=(1,))), [float_type(1, 2, "H")]),
        (Concat(axis=2), [float_type(1, 2, "H"), float_type(1, 2, 3)]),
        (Slice(axis=2, start=-1), [float_type(1, 2, "H")]),
    ],
)
def test_a_reach_that_depends_on_a_symbol_is_refused(op, types):
    with pytest.raises(OpError) as caught:
        op.reach(types, len(types) - 1)
    assert caught.value.code == "CNN207"
