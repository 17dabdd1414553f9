"""Every illegality an op refuses, with code and message, and the legal neighbours."""

from __future__ import annotations

import pytest
from op_checks import float_type as f

from cnndsl.ops import Op, OpError, activation, norm
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.elementwise import Add, Affine
from cnndsl.ops.embedding import Embedding
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from cnndsl.ops.rearrange import ChannelShuffle, DepthToSpace, SpaceToDepth
from cnndsl.ops.resample import Upsample
from cnndsl.ops.shape import Concat, Flatten, Reshape
from cnndsl.ops.slicing import Crop, Pad, Slice
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types import Dim, DType, TensorType
from cnndsl.types.padding import Causal, Explicit, Padding, Same, Valid

H = Dim.symbol("H")
IDS = TensorType(DType.INT64, (1, 8))


def conv(kernel=(3, 3), **more) -> Conv:
    ones = (1,) * len(kernel)
    return Conv(**{"out_channels": 4, "kernel": kernel, "stride": ones, "dilation": ones} | more)


def deconv(**more) -> ConvTranspose:
    fields = {"out_channels": 4, "kernel": (3,), "stride": (2,), "dilation": (1,)}
    return ConvTranspose(**fields | {"output_padding": (0,)} | more)


def maxpool(**more) -> MaxPool:
    return MaxPool(**{"kernel": (3,), "dilation": (1,)} | more)


def avgpool(**more) -> AveragePool:
    return AveragePool(**{"kernel": (3,)} | more)


def local(**more) -> LocallyConnected:
    return LocallyConnected(**{"out_channels": 2, "kernel": (3,), "stride": (1,)} | more)


def explicit(*pairs: tuple[int, int]) -> Padding:
    return Explicit(pairs)


MAP = f(1, 4, 8)
WIDE = f(1, 4, 8, 8)

ILLEGAL: list[tuple[Op, list[TensorType], str, str]] = [
    # windows
    (conv(), [MAP], "CNN201", "rank 2, but its input float32[1, 4, 8] has 1"),
    (conv(), [f(1, 4)], "CNN202", "at least one spatial axis"),
    (conv(), [IDS], "CNN202", "float32 values, got int64[1, 8]"),
    (conv(), [f(1, "C", 8, 8)], "CNN207", "known number of channels"),
    (conv(groups=3), [WIDE], "CNN203", "input channels divisible by 3, got 4"),
    (conv(groups=2, out_channels=5), [WIDE], "CNN203", "output channels divisible by 2, got 5"),
    (conv((9, 3), padding=Valid()), [WIDE], "CNN204", "spans 9 positions"),
    (conv((5, 1), dilation=(3, 1), padding=Valid()), [WIDE], "CNN204", "spans 13 positions"),
    (conv(padding=explicit((1, 1))), [WIDE], "CNN306", "but padding is given for 1"),
    (conv(padding=explicit((0, 0), (-1, 0))), [WIDE], "CNN307", "at least 0 on every side"),
    (DepthwiseConv(kernel=(3,)), [WIDE], "CNN201", "dwconv has a kernel of rank 1"),
    (deconv(), [WIDE], "CNN201", "deconv has a kernel of rank 1"),
    (deconv(groups=3), [MAP], "CNN203", "divisible by 3"),
    (deconv(output_padding=(1,)), [MAP], "CNN307", "padding=same has input * stride outputs"),
    (deconv(output_padding=(1,), padding=Causal()), [MAP], "CNN307", "padding=causal"),
    (deconv(output_padding=(2,), padding=Valid()), [MAP], "CNN307", "below the stride, got 2"),
    (deconv(padding=explicit((9, 8))), [MAP], "CNN204", "makes 17 positions"),
    (deconv(padding=explicit((-1, 0))), [MAP], "CNN307", "at least 0"),
    (local(), [f(1, 4, "H")], "CNN207", "spatial axis 0 of its output is H"),
    (local(kernel=(3, 3)), [MAP], "CNN201", "local has a kernel"),
    (local(), [f(1, "C", 8)], "CNN207", "known number of channels"),
    # pools
    (maxpool(), [WIDE], "CNN201", "rank 1"),
    (maxpool(kernel=(9,), padding=Valid()), [MAP], "CNN204", "spans 9"),
    (maxpool(padding=explicit((3, 0))), [MAP], "CNN211", "padding of 3"),
    (maxpool(kernel=(2,), dilation=(9,)), [MAP], "CNN211", "dilation=9 steps over"),
    (maxpool(ceil_mode=True, stride=(4,), padding=Valid()), [f(1, 4, "H")], "CNN207", "rounds up"),
    (avgpool(padding=explicit((0, 3))), [MAP], "CNN211", "padding of 3"),
    (GlobalAveragePool(), [f(1, 4)], "CNN202", "at least one spatial axis"),
    # dense, norms, activations
    (Dense(out_features=3), [MAP], "CNN202", "feature vectors [N, C], got float32[1, 4, 8]"),
    (Dense(out_features=3), [f(1, "C")], "CNN207", "known number of channels"),
    (Dense(out_features=3), [IDS], "CNN202", "float32"),
    (norm.BatchNorm(epsilon=0.0), [MAP], "CNN307", "epsilon above zero and below 1, got 0.0"),
    (norm.BatchNorm(epsilon=4.0), [MAP], "CNN307", "epsilon above zero and below 1, got 4.0"),
    (norm.LayerNorm(epsilon=float("nan")), [MAP], "CNN307", "above zero and below 1, got nan"),
    (norm.BatchNorm(), [f(1, "C", 8)], "CNN207", "known number of channels"),
    (norm.GroupNorm(groups=3), [MAP], "CNN203", "divisible by 3, got 4"),
    (norm.LRN(), [IDS], "CNN202", "float32"),
    (activation.Relu(), [IDS], "CNN202", "float32"),
    (activation.Relu(), [f(1)], "CNN202", "at least [N, C]"),
    (activation.PRelu(), [f(1, "C")], "CNN207", "known number of channels"),
    (activation.Softmax(axis=3), [MAP], "CNN307", "has axes 1 to 2"),
    (activation.Glu(), [f(1, 5)], "CNN209", "halves the channels"),
    (activation.Dropout(rate=1.0), [MAP], "CNN307", "below 1, got 1.0"),
    # elementwise, concat
    (Add(), [MAP, WIDE], "CNN205", "got float32[1, 4, 8] and float32[1, 4, 8, 8]"),
    (Add(), [MAP, f(1, 5, 8)], "CNN205", "the number of channels is 4 and 5"),
    (Add(), [MAP, f(1, 1, 8)], "CNN205", "the number of channels is 4 and 1"),
    (Add(), [MAP, f(2, 4, 8)], "CNN205", "the batch is 1 and 2"),
    (Add(), [MAP, f(1, 4, 7)], "CNN205", "spatial axis 0 is 8 and 7"),
    (Add(), [f(1, 4, "H"), f(1, 4, "W")], "CNN205", "spatial axis 0 is H and W"),
    (Affine(), [IDS], "CNN202", "float32"),
    (Concat(), [MAP, WIDE], "CNN206", "operand 2 is float32[1, 4, 8, 8]"),
    (Concat(), [MAP, MAP, f(1, 4, 7)], "CNN206", "operand 3, float32[1, 4, 7], has 7"),
    (Concat(axis=2), [MAP, f(1, 5, 8)], "CNN206", "on axis 1 operand 1"),
    (Concat(axis=3), [MAP, MAP], "CNN307", "along axis 3"),
    # shape
    (Flatten(), [IDS], "CNN202", "float32"),
    (Reshape(shape=(5, 7)), [MAP], "CNN208", "takes 35 elements in each sample"),
    (Reshape(shape=(5, -1)), [MAP], "CNN208", "multiple of 5"),
    (Reshape(shape=(-1, -1)), [MAP], "CNN307", "one of which may be -1"),
    (Reshape(shape=(0, 4)), [MAP], "CNN307", "at least 1"),
    (Reshape(shape=()), [MAP], "CNN307", "got ()"),
    (Reshape(shape=(4, 8)), [f(1, 4, "H")], "CNN207", "has 4*H in each sample"),
    (Reshape(shape=(8, -1)), [f(1, 4, "H")], "CNN207", "divisible by 8"),
    # slices, crops, pads
    (Slice(axis=3, start=0), [MAP], "CNN307", "along axis 3"),
    (Slice(axis=1, start=0, stop=5), [MAP], "CNN210", "slice 0:5 reaches outside axis 1"),
    (Slice(axis=1, start=-5), [MAP], "CNN210", "slice -5: reaches"),
    (Slice(axis=1, start=2, stop=2), [MAP], "CNN210", "holds none"),
    (Slice(axis=1, start=3, stop=-2), [MAP], "CNN210", "holds none"),
    (Slice(axis=2, start=0, stop=5), [f(1, 4, "H")], "CNN207", "depends on the symbolic size H"),
    (Slice(axis=2, start=-5), [f(1, 4, "H")], "CNN207", "depends on the symbolic size H"),
    (Crop(margin=Same()), [MAP], "CNN306", "margin in numbers, got same"),
    (Crop(margin=explicit((4, 4))), [MAP], "CNN204", "cuts 8 positions off"),
    (Crop(margin=explicit((-1, 0))), [MAP], "CNN307", "at least 0"),
    (Crop(margin=explicit((1, 1))), [WIDE], "CNN306", "margin is given for 1"),
    (Crop(margin=explicit()), [f(1, 4)], "CNN202", "at least one spatial axis"),
    (Pad(amount=Causal()), [MAP], "CNN306", "amount in numbers, got causal"),
    (Pad(amount=explicit((0, -1))), [MAP], "CNN307", "amount of at least 0"),
    (Pad(amount=explicit((8, 0)), mode="reflect"), [MAP], "CNN211", "mirrors 8 elements"),
    (Pad(amount=explicit((1, 0)), mode="reflect"), [f(1, 4, "H")], "CNN207", "symbolic size H"),
    (Pad(amount=explicit((1, 1)), mode="edge", value=1.0), [MAP], "CNN307", "no effect"),
    # rearranging
    (Upsample(scale=()), [f(1, 4)], "CNN202", "at least one spatial axis"),
    (SpaceToDepth(block=3), [MAP], "CNN209", "spatial axis 0 divisible by 3, got 8"),
    (SpaceToDepth(block=2), [f(1, 4, "H")], "CNN207", "divisible by 2"),
    (DepthToSpace(block=2), [f(1, 6, 4, 4)], "CNN209", "channels divisible by 4, got 6"),
    (ChannelShuffle(groups=3), [MAP], "CNN203", "divisible by 3"),
    (Embedding(entries=3, features=2), [MAP], "CNN202", "takes int32 or int64"),
    (Embedding(entries=3, features=2), [TensorType(DType.INT32, ())], "CNN202", "batch axis"),
]  # fmt: skip


@pytest.mark.parametrize("op, inputs, code, part", ILLEGAL, ids=lambda v: str(v)[:50])
def test_illegal_operands_and_arguments(op, inputs, code, part):
    with pytest.raises(OpError) as caught:
        op.infer(inputs)
    error = caught.value
    assert (error.code, part in error.message) == (code, True), error.message
    if error.argument is not None:
        assert hasattr(op, error.argument)


LEGAL: list[tuple[Op, list[TensorType], TensorType]] = [
    (conv(groups=4), [WIDE], f(1, 4, 8, 8)),
    (conv((8, 3), padding=Valid()), [WIDE], f(1, 4, 1, 6)),
    (conv((3, 3), padding=Valid()), [f("N", 4, "H", 8)], f("N", 4, H - 2, 6)),
    (deconv(output_padding=(1,), padding=Valid()), [MAP], f(1, 4, 18)),
    (deconv(), [f(1, 4, "H")], f(1, 4, 2 * H)),
    (deconv(padding=explicit((9, 7))), [MAP], f(1, 4, 1)),
    (local(), [f("N", 4, 8)], f("N", 2, 8)),
    (maxpool(padding=explicit((2, 2)), stride=(1,)), [MAP], f(1, 4, 10)),
    (maxpool(kernel=(2,), dilation=(8,)), [MAP], f(1, 4, 4)),
    (maxpool(ceil_mode=True, stride=(3,), padding=Valid()), [f(1, 4, "H")],
     f(1, 4, (H - 1) // 3 + 1)),
    (Add(), [f("N", 4, "H", 1), f("N", 4, 1, "W")], f("N", 4, "H", "W")),
    (Concat(), [f("N", 4, "H"), f("N", 5, "H")], f("N", 9, "H")),
    (Concat(axis=2), [f("N", 4, "H"), f("N", 4, 3)], f("N", 4, H + 3)),
    (Flatten(), [f("N", 4, "H", "H")], f("N", 4 * H * H)),
    (Reshape(shape=(2, -1)), [f("N", 4, "H")], f("N", 2, 2 * H)),
    (Slice(axis=2, start=0, stop=8), [f("N", 4, 8 * H)], f("N", 4, 8)),
    (Slice(axis=2, start=-8), [f("N", 4, 8 * H)], f("N", 4, 8)),
    (Slice(axis=2, start=1, stop=-1), [f("N", 4, "H")], f("N", 4, H - 2)),
    (Crop(margin=explicit((4, 3))), [MAP], f(1, 4, 1)),
    (Pad(amount=explicit((7, 0)), mode="reflect"), [MAP], f(1, 4, 15)),
    (Pad(amount=explicit((1, 0)), mode="reflect"), [f(1, 4, 2 * H)], f(1, 4, 2 * H + 1)),
    (SpaceToDepth(block=2), [f("N", 4, 4 * H, 6)], f("N", 16, 2 * H, 3)),
    (DepthToSpace(block=2), [f("N", 4, "H", 3)], f("N", 1, 2 * H, 6)),
    (Embedding(entries=3, features=2), [TensorType(DType.INT32, (1, H))], f(1, 2, "H")),
]  # fmt: skip


@pytest.mark.parametrize("op, inputs, expected", LEGAL, ids=lambda v: str(v)[:50])
def test_legal_neighbours(op, inputs, expected):
    assert op.infer(inputs) == expected


def test_groups_help_names_the_nearest_number_that_divides_all_channels():
    with pytest.raises(OpError) as caught:
        conv(out_channels=64, groups=3).infer([f(1, 64, 8, 8)])
    assert caught.value.help == "groups=4 divides 64"
    with pytest.raises(OpError) as caught:
        conv(out_channels=6, groups=4).infer([f(1, 4, 8, 8)])
    assert caught.value.help == "groups=2 divides 6"


def test_absurd_groups_are_refused_at_once():
    with pytest.raises(OpError) as caught:
        ChannelShuffle(groups=10**9).infer([f(1, 2**31 - 1, 4)])
    assert caught.value.code == "CNN203"
