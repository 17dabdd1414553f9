"""Ops that move values without computing new ones (and linear upsampling), against ONNX."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from onnx_oracle import run_node
from op_checks import draw_params, evaluate, normal

from cnndsl.ops.embedding import Embedding
from cnndsl.ops.rearrange import ChannelShuffle, DepthToSpace, SpaceToDepth
from cnndsl.ops.resample import Upsample
from cnndsl.ops.shape import Concat, Flatten, Reshape
from cnndsl.ops.slicing import Crop, Pad, Slice
from cnndsl.types.padding import Explicit

SHAPES = [(3, 6, 5), (1, 6, 5, 4), (2, 6, 3, 2, 4)]


def drawn(shape) -> np.ndarray:
    return normal(np.random.default_rng(1), shape)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.parametrize("shape", [(3, 6), *SHAPES], ids=str)
def test_flatten_equals_onnx_runtime(shape):
    x = drawn(shape)
    np.testing.assert_array_equal(evaluate(Flatten(), [x], []), run_node("Flatten", [x], axis=1))


@pytest.mark.parametrize("target", [(24,), (4, 6), (-1,), (2, -1, 3), (3, 4, 2), (2, 2, 2, 3)])
@pytest.mark.parametrize("shape", [(3, 24), (1, 6, 4), (2, 3, 2, 4)], ids=str)
def test_reshape_equals_onnx_runtime(shape, target):
    x = drawn(shape)
    expected = run_node("Reshape", [x, ints(shape[0], *target)])
    np.testing.assert_array_equal(evaluate(Reshape(shape=target), [x], []), expected)


@pytest.mark.parametrize("shape", [(3, 6), *SHAPES], ids=str)
def test_concat_equals_onnx_runtime_on_every_axis(shape):
    rng = np.random.default_rng(2)
    for axis, count in product(range(1, len(shape)), (1, 2, 3)):
        operands = []
        for i in range(count):
            grown = list(shape)
            grown[axis] += i
            operands.append(normal(rng, grown))
        expected = run_node("Concat", operands, axis=axis)
        np.testing.assert_array_equal(evaluate(Concat(axis=axis), operands, []), expected)


@pytest.mark.parametrize("shape", [(3, 6), *SHAPES], ids=str)
def test_slice_equals_onnx_runtime(shape):
    x = drawn(shape)
    for axis in range(1, len(shape)):
        n = shape[axis]
        bounds = [(0, n), (1, n), (-1, None), (0, -1), (-2, n), (n - 1, None), (0, 1)]
        for (start, stop), step in product(bounds, (1, 2, 3)):
            end = np.iinfo(np.int64).max if stop is None else stop
            op = Slice(axis=axis, start=start, stop=stop, step=step)
            expected = run_node("Slice", [x, ints(start), ints(end), ints(axis), ints(step)])
            np.testing.assert_array_equal(evaluate(op, [x], []), expected)


MARGINS = {1: ((2, 1),), 2: ((0, 1), (2, 0)), 3: ((1, 0), (0, 1), (2, 1))}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_crop_equals_onnx_runtime(shape):
    pairs = MARGINS[len(shape) - 2]
    x = drawn(shape)
    starts = ints(*(low for low, _ in pairs))
    ends = ints(*(n - high for n, (_, high) in zip(shape[2:], pairs)))
    expected = run_node("Slice", [x, starts, ends, ints(*range(2, len(shape)))])
    np.testing.assert_array_equal(evaluate(Crop(margin=Explicit(pairs)), [x], []), expected)


@pytest.mark.parametrize(
    "mode, value, onnx_mode",
    [("zero", 0.0, "constant"), ("zero", -1.5, "constant"), ("reflect", 0.0, "reflect"),
     ("edge", 0.0, "edge")],
)  # fmt: skip
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pad_equals_onnx_runtime(shape, mode, value, onnx_mode):
    pairs = MARGINS[len(shape) - 2]
    x = drawn((*shape[:2], *(n + 1 for n in shape[2:])))
    pads = ints(0, 0, *(p[0] for p in pairs), 0, 0, *(p[1] for p in pairs))
    expected = run_node("Pad", [x, pads, np.float32(value)], mode=onnx_mode)
    op = Pad(amount=Explicit(pairs), mode=mode, value=value)
    np.testing.assert_array_equal(evaluate(op, [x], []), expected)


SCALES = {1: [(1,), (2,), (3,), (4,)], 2: [(2, 2), (3, 1), (1, 4)], 3: [(2, 2, 2), (1, 3, 2)]}


@pytest.mark.parametrize("mode", ("nearest", "bilinear"))
@pytest.mark.parametrize("shape", [*SHAPES, (1, 2, 1), (1, 2, 1, 1)], ids=str)
def test_upsample_equals_onnx(shape, mode):
    x = drawn(shape)
    for scale in SCALES[len(shape) - 2]:
        expected = run_node(
            "Resize",
            [x, None, np.array([1, 1, *scale], np.float32)],
            mode={"nearest": "nearest", "bilinear": "linear"}[mode],
            coordinate_transformation_mode="half_pixel",
        )
        result = evaluate(Upsample(scale=scale, mode=mode), [x], [])
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("block", (1, 2, 3))
def test_space_to_depth_equals_onnx_runtime(block):
    x = drawn((2, 3, 6, 12))
    expected = run_node("SpaceToDepth", [x], blocksize=block)
    np.testing.assert_array_equal(evaluate(SpaceToDepth(block=block), [x], []), expected)


@pytest.mark.parametrize("mode", ("dcr", "crd"))
@pytest.mark.parametrize("block", (1, 2, 3))
def test_depth_to_space_equals_onnx_runtime(block, mode):
    x = drawn((2, 36, 2, 3))
    expected = run_node("DepthToSpace", [x], blocksize=block, mode=mode.upper())
    np.testing.assert_array_equal(evaluate(DepthToSpace(block=block, mode=mode), [x], []), expected)


@pytest.mark.parametrize("rank", (1, 3))
def test_blocks_on_one_and_three_axes_element_by_element(rank):
    """What ONNX has for two axes only, written as the formula of every element."""
    shape = (2, 3, *(4, 2, 6)[:rank])
    x = drawn(shape)
    packed = evaluate(SpaceToDepth(block=2), [x], [])
    crd = evaluate(DepthToSpace(block=2, mode="crd"), [packed], [])
    for n, c, *place in np.ndindex(*shape):
        coarse = [p // 2 for p in place]
        inner = 0
        for p in place:
            inner = inner * 2 + p % 2
        at = (n, c, *place)
        assert packed[(n, inner * 3 + c, *coarse)] == x[at]
        assert crd[at] == packed[(n, c * 2**rank + inner, *coarse)]
    np.testing.assert_array_equal(evaluate(DepthToSpace(block=2), [packed], []), x)


@pytest.mark.parametrize("groups", (1, 2, 3, 6))
@pytest.mark.parametrize("shape", [(3, 6), *SHAPES], ids=str)
def test_channel_shuffle_moves_channel_i_of_group_g_to_i_times_groups_plus_g(shape, groups):
    x = drawn(shape)
    result = evaluate(ChannelShuffle(groups=groups), [x], [])
    for c in range(6):
        group, i = divmod(c, 6 // groups)
        np.testing.assert_array_equal(result[:, i * groups + group], x[:, c])


@pytest.mark.parametrize("dtype", (np.int32, np.int64))
@pytest.mark.parametrize("shape", [(3,), (1, 7), (2, 3, 5), (2, 2, 3, 4)], ids=str)
def test_embedding_equals_onnx_gather(shape, dtype):
    rng = np.random.default_rng(3)
    numbers = rng.integers(0, 9, shape).astype(dtype)
    op = Embedding(entries=9, features=4)
    params = draw_params(op, [numbers], rng, normal)
    expected = np.moveaxis(run_node("Gather", [params[0], numbers]), -1, 1)
    np.testing.assert_array_equal(evaluate(op, [numbers], params), expected)


@pytest.mark.parametrize("number", (-1, 9))
def test_embedding_refuses_numbers_without_an_entry(number):
    weight = np.zeros((9, 4), np.float32)
    with pytest.raises(IndexError, match=f"entries 0 to 8, got {number}"):
        Embedding(entries=9, features=4).evaluate([np.array([[0, number]])], [weight])
