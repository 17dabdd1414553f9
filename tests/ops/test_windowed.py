"""Convolutions, pools and locally connected layers against ONNX Runtime, over a grid."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import pytest
from onnx_oracle import run_node
from op_checks import draw_params, evaluate, normal, whole_numbers

from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types.padding import Causal, Explicit, Padding, Same, Valid

SIZES = {1: (11,), 2: (9, 7), 3: (5, 7, 6)}
KERNELS = {
    1: [(1,), (3,), (4,)],
    2: [(1, 1), (3, 2), (1, 5)],
    3: [(2, 3, 1), (3, 3, 3)],
}
STRIDES = {1: [(1,), (2,), (3,)], 2: [(1, 1), (2, 3)], 3: [(1, 1, 1), (2, 1, 2)]}
DILATIONS = {1: [(1,), (2,)], 2: [(1, 1), (2, 1)], 3: [(1, 1, 1), (1, 2, 1)]}
UNEVEN = {1: ((2, 1),), 2: ((0, 1), (2, 0)), 3: ((1, 0), (0, 1), (1, 2))}
RANKS = (1, 2, 3)


def paddings(rank: int) -> list[Padding]:
    return [Valid(), Same(), Explicit(UNEVEN[rank]), Causal()]


def onnx_padding(padding: Padding, kernel: tuple, dilation: tuple) -> dict:
    match padding:
        case Valid():
            return {"auto_pad": "VALID"}
        case Same():
            return {"auto_pad": "SAME_UPPER"}
        case Explicit(pairs):
            return {"pads": [p[0] for p in pairs] + [p[1] for p in pairs]}
        case Causal():
            before = [(k - 1) * d for k, d in zip(kernel, dilation)]
            return {"pads": before + [0] * len(kernel)}


def stuffed(weight: np.ndarray, dilation: tuple) -> np.ndarray:
    """Spread a kernel by zeros: ONNX Runtime refuses dilation with SAME_UPPER."""
    spans = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation)]
    result = np.zeros((*weight.shape[:2], *spans), weight.dtype)
    result[(slice(None), slice(None), *(slice(None, None, d) for d in dilation))] = weight
    return result


def onnx_conv(x, weight, bias, stride, dilation, padding, groups) -> np.ndarray:
    if isinstance(padding, Same):
        weight, dilation = stuffed(weight, dilation), (1,) * len(dilation)
    window = onnx_window(padding, weight.shape[2:], stride, dilation)
    return run_node("Conv", [x, weight, bias], group=groups, **window)


def onnx_window(padding: Padding, kernel: tuple, stride: tuple, dilation: tuple) -> dict:
    return {
        "kernel_shape": kernel,
        "strides": stride,
        "dilations": dilation,
        **onnx_padding(padding, kernel, dilation),
    }


CONVOLUTIONS = [
    (kernel, stride, dilation, groups, padding)
    for rank in RANKS
    for kernel, stride, dilation, groups, padding in product(
        KERNELS[rank], STRIDES[rank], DILATIONS[rank], (1, 2), paddings(rank)
    )
]


@pytest.mark.parametrize("kernel, stride, dilation, groups, padding", CONVOLUTIONS, ids=str)
def test_conv_equals_onnx_runtime(kernel, stride, dilation, groups, padding):
    rng = np.random.default_rng(1)
    bias = prod(stride) % 2 == 1
    x = whole_numbers(rng, (1 if bias else 3, 4, *SIZES[len(kernel)]))
    op = Conv(
        out_channels=6,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        groups=groups,
        padding=padding,
        bias=bias,
    )
    params = draw_params(op, [x], rng)
    expected = onnx_conv(x, *params, *[None] * (not bias), stride, dilation, padding, groups)
    np.testing.assert_array_equal(evaluate(op, [x], params), expected)


@pytest.mark.parametrize("multiplier", (1, 3))
@pytest.mark.parametrize("rank", RANKS)
def test_dwconv_equals_onnx_runtime(rank, multiplier):
    rng = np.random.default_rng(2)
    for kernel, stride, dilation, padding in product(
        KERNELS[rank], STRIDES[rank], DILATIONS[rank], paddings(rank)
    ):
        x = whole_numbers(rng, (2, 3, *SIZES[rank]))
        op = DepthwiseConv(
            kernel=kernel,
            stride=stride,
            dilation=dilation,
            padding=padding,
            multiplier=multiplier,
            bias=True,
        )
        params = draw_params(op, [x], rng)
        expected = onnx_conv(x, *params, stride, dilation, padding, 3)
        np.testing.assert_array_equal(evaluate(op, [x], params), expected)


TRANSPOSED = [
    (kernel, stride, dilation, groups, padding)
    for rank in RANKS
    for kernel, stride, dilation, groups, padding in product(
        KERNELS[rank], STRIDES[rank], DILATIONS[rank], (1, 2), paddings(rank)
    )
]


@pytest.mark.parametrize("kernel, stride, dilation, groups, padding", TRANSPOSED, ids=str)
def test_deconv_equals_onnx_runtime(kernel, stride, dilation, groups, padding):
    rng = np.random.default_rng(3)
    bias = prod(stride) % 2 == 1
    sizes = tuple(n - 2 for n in SIZES[len(kernel)])
    x = whole_numbers(rng, (1 if bias else 3, 4, *sizes))
    explicit = isinstance(padding, Valid | Explicit)
    extra = tuple(s - 1 if explicit else 0 for s in stride)
    op = ConvTranspose(
        out_channels=6,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        groups=groups,
        padding=padding,
        output_padding=extra,
        bias=bias,
    )
    params = draw_params(op, [x], rng)
    surplus = [(k - 1) * d + 1 - s for k, d, s in zip(kernel, dilation, stride)]
    window = {"kernel_shape": kernel, "strides": stride, "dilations": dilation, "group": groups}
    if isinstance(padding, Same) and min(surplus) >= 0:
        window["auto_pad"] = "SAME_UPPER"
    elif explicit:
        window |= onnx_padding(padding, kernel, dilation)
        window["output_padding"] = extra
    else:
        # ONNX has no causal padding, and where a kernel spans less than the stride, runtimes
        # disagree about SAME_UPPER; the rule is that zeros are appended up to input * stride.
        before = [max(t, 0) // 2 if isinstance(padding, Same) else 0 for t in surplus]
        window["pads"] = before + [max(t, 0) - b for t, b in zip(surplus, before)]
        window["output_padding"] = [max(-t, 0) for t in surplus]
    result = evaluate(op, [x], params)
    np.testing.assert_array_equal(result, run_node("ConvTranspose", [x, *params], **window))
    if not explicit:
        assert result.shape[2:] == tuple(n * s for n, s in zip(sizes, stride))


def onnx_maxpool(x, kernel, stride, dilation, padding, ceil_mode) -> np.ndarray:
    """Run MaxPool where it can: ONNX Runtime ignores dilation in SAME_UPPER and for its limit of
    padding, and both runtimes take negative padding from a kernel below the stride.
    """
    window = onnx_window(padding, kernel, stride, dilation)
    dilated = max(dilation) > 1 and isinstance(padding, Same | Causal)
    if isinstance(padding, Same) and (dilated or any(k < s for k, s in zip(kernel, stride))):
        totals = [
            max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
            for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation)
        ]
        del window["auto_pad"]
        window["pads"] = [t // 2 for t in totals] + [t - t // 2 for t in totals]
        ceil_mode = False
    return run_node("MaxPool", [x], ceil_mode=int(ceil_mode), reference=dilated, **window)


@pytest.mark.parametrize("ceil_mode", (False, True))
@pytest.mark.parametrize("rank", RANKS)
def test_maxpool_equals_onnx_runtime(rank, ceil_mode):
    rng = np.random.default_rng(4)
    for kernel, stride, dilation, padding in product(
        KERNELS[rank], [None, *STRIDES[rank]], DILATIONS[rank], paddings(rank)
    ):
        if not fits(padding, kernel, dilation):
            continue
        # All below zero, so that padding with zeros would show.
        x = -np.abs(normal(rng, (2, 3, *SIZES[rank]))) - 1
        op = MaxPool(
            kernel=kernel, stride=stride, dilation=dilation, padding=padding, ceil_mode=ceil_mode
        )
        expected = onnx_maxpool(x, kernel, stride or kernel, dilation, padding, ceil_mode)
        np.testing.assert_array_equal(evaluate(op, [x], []), expected)


@pytest.mark.parametrize("count_padding", (False, True))
@pytest.mark.parametrize("ceil_mode", (False, True))
@pytest.mark.parametrize("rank", RANKS)
def test_avgpool_equals_onnx_runtime(rank, ceil_mode, count_padding):
    rng = np.random.default_rng(5)
    ones = (1,) * rank
    for kernel, stride, padding in product(KERNELS[rank], [None, *STRIDES[rank]], paddings(rank)):
        if not fits(padding, kernel, ones):
            continue
        x = normal(rng, (2, 3, *SIZES[rank]))
        op = AveragePool(
            kernel=kernel,
            stride=stride,
            padding=padding,
            ceil_mode=ceil_mode,
            count_padding=count_padding,
        )
        expected = run_node(
            "AveragePool",
            [x],
            ceil_mode=int(ceil_mode),
            count_include_pad=int(count_padding),
            **onnx_window(padding, kernel, stride or kernel, ones),
        )
        np.testing.assert_allclose(evaluate(op, [x], []), expected, rtol=1e-5, atol=1e-6)


def fits(padding: Padding, kernel: tuple, dilation: tuple) -> bool:
    """Whether no pooling window lies in the padding alone."""
    if not isinstance(padding, Explicit):
        return True
    spans = ((k - 1) * d + 1 for k, d in zip(kernel, dilation))
    return all(max(pair) < span for pair, span in zip(padding.pairs, spans))


@pytest.mark.parametrize("keep_axes", (False, True))
@pytest.mark.parametrize("rank", RANKS)
def test_global_pools_equal_onnx_runtime(rank, keep_axes):
    x = normal(np.random.default_rng(6), (3, 4, *SIZES[rank]))
    shape = (3, 4, *(1,) * rank) if keep_axes else (3, 4)
    mean = evaluate(GlobalAveragePool(keep_axes=keep_axes), [x], [])
    expected = run_node("GlobalAveragePool", [x]).reshape(shape)
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)
    largest = evaluate(GlobalMaxPool(keep_axes=keep_axes), [x], [])
    np.testing.assert_array_equal(largest, run_node("GlobalMaxPool", [x]).reshape(shape))


@pytest.mark.parametrize("rank", RANKS)
def test_local_with_one_kernel_everywhere_is_a_convolution(rank):
    rng = np.random.default_rng(7)
    for kernel, stride, padding in product(KERNELS[rank], STRIDES[rank], paddings(rank)):
        x = whole_numbers(rng, (2, 3, *SIZES[rank]))
        op = LocallyConnected(
            out_channels=4, kernel=kernel, stride=stride, padding=padding, bias=True
        )
        conv = Conv(
            out_channels=4,
            kernel=kernel,
            stride=stride,
            dilation=(1,) * rank,
            padding=padding,
            bias=True,
        )
        weight, bias = draw_params(conv, [x], rng)
        local_weight, local_bias = draw_params(op, [x], rng)
        local_weight[:] = weight
        local_bias[:] = bias.reshape(-1, *(1,) * rank)
        expected = onnx_conv(x, weight, bias, stride, (1,) * rank, padding, 1)
        np.testing.assert_array_equal(evaluate(op, [x], [local_weight, local_bias]), expected)


@pytest.mark.parametrize("rank", RANKS)
def test_local_uses_the_kernel_of_its_place(rank):
    """Each output, alone, is the sum that its own kernel takes of its own window."""
    rng = np.random.default_rng(8)
    kernel = KERNELS[rank][1]
    x = whole_numbers(rng, (2, 3, *SIZES[rank]))
    op = LocallyConnected(
        out_channels=4, kernel=kernel, stride=(2,) * rank, padding=Valid(), bias=False
    )
    (weight,) = draw_params(op, [x], rng)
    result = evaluate(op, [x], [weight])
    assert weight.shape == (*result.shape[2:], 4, 3, *kernel)
    for place in np.ndindex(*result.shape[2:]):
        window = tuple(slice(2 * o, 2 * o + k) for o, k in zip(place, kernel))
        seen = x[(slice(None), slice(None), *window)].reshape(2, -1)
        np.testing.assert_array_equal(
            result[(slice(None), slice(None), *place)], seen @ weight[place].reshape(4, -1).T
        )
