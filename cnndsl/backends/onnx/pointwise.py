"""Activations, arithmetic and normalisation."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np

from cnndsl.backends.onnx.builder import Builder, Cases, Site
from cnndsl.ops.activation import (
    Elu,
    Gelu,
    Glu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    PRelu,
    Relu,
    Relu6,
    Selu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    SRelu,
    Tanh,
)
from cnndsl.ops.elementwise import Add, Affine, Mul, Sub
from cnndsl.ops.norm import LRN, BatchNorm, GroupNorm, LayerNorm
from cnndsl.types.extents import product


def _plain(b: Builder, op: Any, site: Site) -> None:
    """Ops that ONNX has under the same name, with nothing to set."""
    b.add(type(op).__name__, site.inputs, site.output)


def _leaky_relu(b: Builder, op: LeakyRelu, site: Site) -> None:
    b.add("LeakyRelu", site.inputs, site.output, alpha=op.slope)


def _prelu(b: Builder, op: PRelu, site: Site) -> None:
    b.add("PRelu", (site.x, b.per_channel(site, site.params[0])), site.output)


def _elu(b: Builder, op: Elu, site: Site) -> None:
    b.add("Elu", site.inputs, site.output, alpha=op.alpha)


def _selu(b: Builder, op: Selu, site: Site) -> None:
    b.add("Selu", site.inputs, site.output, alpha=op.ALPHA, gamma=op.SCALE)


def _srelu(b: Builder, op: SRelu, site: Site) -> None:
    b.add("Max", (site.x, b.floats(site, "threshold", op.threshold)), site.output)


def _relu6(b: Builder, op: Relu6, site: Site) -> None:
    b.add("Clip", (site.x, b.floats(site, "low", 0), b.floats(site, "high", 6)), site.output)


def _gelu(b: Builder, op: Gelu, site: Site) -> None:
    """x/2 * (1 + f(x)); ONNX has Gelu itself from opset 20 on."""
    if op.approximate:
        square = b.step(site, "square", "Mul", (site.x, site.x))
        factor = b.floats(site, "cubic", 0.044715 * sqrt(2 / pi))
        slope = b.step(site, "slope", "Mul", (square, factor))
        slope = b.step(site, "slope", "Add", (slope, b.floats(site, "linear", sqrt(2 / pi))))
        inner = b.step(site, "inner", "Mul", (slope, site.x))
        bent = b.step(site, "tanh", "Tanh", (inner,))
    else:
        inner = b.step(site, "inner", "Mul", (site.x, b.floats(site, "scale", sqrt(0.5))))
        bent = b.step(site, "erf", "Erf", (inner,))
    gate = b.step(site, "gate", "Add", (bent, b.floats(site, "one", 1)))
    half = b.step(site, "half", "Mul", (site.x, b.floats(site, "one_half", 0.5)))
    b.add("Mul", (half, gate), site.output)


def _silu(b: Builder, op: Silu, site: Site) -> None:
    b.add("Mul", (site.x, b.step(site, "gate", "Sigmoid", (site.x,))), site.output)


def _hard_sigmoid(b: Builder, op: HardSigmoid, site: Site) -> None:
    b.add("HardSigmoid", site.inputs, site.output, alpha=op.alpha, beta=op.beta)


def _hard_swish(b: Builder, op: HardSwish, site: Site) -> None:
    """x * hard_sigmoid(x); ONNX has HardSwish itself from opset 14 on."""
    gate = b.step(site, "gate", "HardSigmoid", (site.x,), alpha=1 / 6, beta=0.5)
    b.add("Mul", (site.x, gate), site.output)


def _softmax(b: Builder, op: Softmax, site: Site) -> None:
    b.add("Softmax", site.inputs, site.output, axis=op.axis)


def _glu(b: Builder, op: Glu, site: Site) -> None:
    channels = site.type.channels
    assert isinstance(channels, int), "glu has known channels"
    halves = (b.name(f"{site.output}.value"), b.name(f"{site.output}.gate"))
    sizes = b.integers(site, "halves", channels, channels)
    value, gate = b.add_several("Split", (site.x, sizes), halves, axis=1)
    b.add("Mul", (value, b.step(site, "opened", "Sigmoid", (gate,))), site.output)


def _affine(b: Builder, op: Affine, site: Site) -> None:
    """x * scale + shift, without the part that does nothing."""
    if op.shift == 0 and op.scale == 1:
        b.add("Identity", site.inputs, site.output)
        return
    scaled = site.x
    if op.scale != 1:
        output = site.output if op.shift == 0 else b.name(f"{site.output}.scaled")
        scaled = b.add("Mul", (site.x, b.floats(site, "scale", op.scale)), output)
    if op.shift != 0:
        b.add("Add", (scaled, b.floats(site, "shift", op.shift)), site.output)


def _batch_norm(b: Builder, op: BatchNorm, site: Site) -> None:
    operands = (site.x, *site.params)
    b.add("BatchNormalization", operands, site.output, epsilon=op.epsilon)


def _layer_norm(b: Builder, op: LayerNorm, site: Site) -> None:
    """Spelt out: LayerNormalization (opset 17) normalises the last axes, not the channels."""
    mean = b.reduce_mean(site, "mean", site.x, 1)
    centred = b.step(site, "centred", "Sub", (site.x, mean))
    square = b.step(site, "square", "Mul", (centred, centred))
    variance = b.reduce_mean(site, "variance", square, 1)
    positive = b.step(site, "positive", "Add", (variance, b.floats(site, "epsilon", op.epsilon)))
    deviation = b.step(site, "deviation", "Sqrt", (positive,))
    normal = b.step(site, "normal", "Div", (centred, deviation))
    _scale_and_shift(b, site, normal)


def _group_norm(b: Builder, op: GroupNorm, site: Site) -> None:
    """Instance norm of [N, groups, rest], then scale and shift per channel."""
    x = site.types[0]
    elements = x.with_shape(*x.shape[1:]).elements
    grouped = (x.batch, op.groups, elements // op.groups)
    folded = b.reshape(site, site.x, x.shape, grouped, b.name(f"{site.output}.groups"))
    ones = b.floats(site, "ones", np.ones(op.groups))
    zeros = b.floats(site, "zeros", np.zeros(op.groups))
    normal = b.step(
        site, "normal", "InstanceNormalization", (folded, ones, zeros), epsilon=op.epsilon
    )
    unfolded = b.reshape(site, normal, grouped, x.shape, b.name(f"{site.output}.ungrouped"))
    _scale_and_shift(b, site, unfolded)


def _scale_and_shift(b: Builder, site: Site, normal: str) -> None:
    weight, bias = (b.per_channel(site, p) for p in site.params)
    scaled = b.step(site, "scaled", "Mul", (normal, weight))
    b.add("Add", (scaled, bias), site.output)


def _lrn(b: Builder, op: LRN, site: Site) -> None:
    """ONNX Runtime takes four axes and odd sizes only: others are laid out or spelt out."""
    x = site.types[0]
    flat = (x.batch, x.channels, product(x.spatial), 1)
    attributes = {"size": op.size, "alpha": op.alpha, "beta": op.beta, "bias": op.k}
    if op.size % 2 == 0:
        _even_lrn(b, op, site)
    elif x.rank == 4:
        b.add("LRN", site.inputs, site.output, **attributes)
    else:
        folded = b.reshape(site, site.x, x.shape, flat, b.name(f"{site.output}.positions"))
        normal = b.step(site, "normal", "LRN", (folded,), **attributes)
        b.reshape(site, normal, flat, x.shape, site.output)


def _even_lrn(b: Builder, op: LRN, site: Site) -> None:
    """x / (k + alpha * mean)^beta, the mean of squares a pool along the channels."""
    x = site.types[0]
    square = b.step(site, "square", "Mul", (site.x, site.x))
    image = (x.batch, 1, x.channels, product(x.spatial))
    laid_out = b.reshape(site, square, x.shape, image, b.name(f"{site.output}.image"))
    before = (op.size - 1) // 2
    mean = b.step(
        site,
        "mean",
        "AveragePool",
        (laid_out,),
        kernel_shape=(op.size, 1),
        pads=(before, 0, op.size - 1 - before, 0),
        count_include_pad=1,
    )
    mean = b.reshape(site, mean, image, x.shape, b.name(f"{site.output}.means"))
    scaled = b.step(site, "scaled", "Mul", (mean, b.floats(site, "alpha", op.alpha)))
    base = b.step(site, "base", "Add", (scaled, b.floats(site, "k", op.k)))
    divisor = b.step(site, "divisor", "Pow", (base, b.floats(site, "beta", op.beta)))
    b.add("Div", (site.x, divisor), site.output)


CASES: Cases = {
    Relu: _plain,
    Sigmoid: _plain,
    Tanh: _plain,
    Softplus: _plain,
    Add: _plain,
    Sub: _plain,
    Mul: _plain,
    LeakyRelu: _leaky_relu,
    PRelu: _prelu,
    Elu: _elu,
    Selu: _selu,
    SRelu: _srelu,
    Relu6: _relu6,
    Gelu: _gelu,
    Silu: _silu,
    HardSigmoid: _hard_sigmoid,
    HardSwish: _hard_swish,
    Softmax: _softmax,
    Glu: _glu,
    Affine: _affine,
    BatchNorm: _batch_norm,
    LayerNorm: _layer_norm,
    GroupNorm: _group_norm,
    LRN: _lrn,
}
