"""Arithmetic with constants: numbers, and one number per channel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cnndsl.importers.onnx.call import Call, per_channel
from cnndsl.importers.onnx.state import Unsupported, View, shortest
from cnndsl.ops.base import Array
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.elementwise import Affine, Binary, Mul, Sub
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.norm import BatchNorm, GroupNorm, LayerNorm
from cnndsl.ops.transposed import ConvTranspose

EPSILON = 2.0**-17
"""An epsilon that, with the variance 1 - epsilon, is exactly one in float32."""

_LINEAR = (Conv, DepthwiseConv, ConvTranspose, Dense)
_NORMS = (BatchNorm, LayerNorm, GroupNorm)


def scale_and_shift(c: Call, op: Binary, x: View, constant: Array) -> View:
    """Multiply by, add or subtract a constant: a number, or one for each channel."""
    if constant.dtype.kind != "f":
        raise Unsupported(f"its constant holds {constant.dtype}, and must hold floats")
    factor = isinstance(op, Mul)
    array = np.asarray(constant, np.float64)
    if isinstance(op, Sub):
        array = -array
    if not factor and _into_local(c, x, array):
        return x
    values = per_channel(c, x, array)
    if values is None:
        return _by_number(c, x, float(array.reshape(-1)[0]), factor)
    last = c.state.is_last_reader(x.value)
    if last and (_into_norm(c, x.value, values, factor) or _into_bias(c, x.value, values, factor)):
        return x
    ones, zeros = np.ones(len(values)), np.zeros(len(values))
    weight, bias = (values, zeros) if factor else (ones, values)
    norm = BatchNorm(epsilon=EPSILON)
    tensors = [weight, bias, zeros, np.full(len(values), 1 - EPSILON)]
    return View(c.emit(norm, (x.value,), tensors), x.axes)


def _by_number(c: Call, x: View, number: float, factor: bool) -> View:
    # A quotient like 1/3 has no short decimal; what a model holds as float32 has.
    value = shortest(number) if np.float32(number) == number else number
    if factor:
        return View(c.emit(Affine(scale=value), (x.value,)), x.axes)
    layer = c.state.builder.layer_of(x.value)
    if layer is not None and isinstance(layer.op, Affine) and c.state.is_last_reader(x.value):
        scaled = replace(layer.op, shift=value)
        if layer.op.shift == 0 and layer.has_own_weights:
            c.state.amend(x.value, scaled, ())
            return x
    return View(c.emit(Affine(shift=value), (x.value,)), x.axes)


def _into_norm(c: Call, value: str, values: Array, factor: bool) -> bool:
    """Change the scale and shift of the norm that made a value."""
    layer = c.state.builder.layer_of(value)
    if layer is None or not isinstance(layer.op, _NORMS) or not layer.has_own_weights:
        return False
    weight, bias, *rest = (w.astype(np.float64) for w in layer.weights)
    scaled = (weight * values, bias * values) if factor else (weight, bias + values)
    c.state.amend(value, layer.op, [*scaled, *rest])
    return True


def _into_local(c: Call, x: View, array: Array) -> bool:
    """Give the locally connected layer that made a value its bias, a number for each element."""
    layer = c.state.builder.layer_of(x.value)
    if layer is None or not isinstance(layer.op, LocallyConnected) or layer.op.bias:
        return False
    plain = x == c.state.whole(x.value) and c.state.is_last_reader(x.value)
    if not plain or not layer.has_own_weights or array.shape != layer.output.type.shape[1:]:
        return False
    c.state.amend(x.value, replace(layer.op, bias=True), [*layer.weights, array])
    return True


def _into_bias(c: Call, value: str, values: Array, factor: bool) -> bool:
    """Give the convolution or dense layer that made a value its bias."""
    layer = c.state.builder.layer_of(value)
    if factor or layer is None or not isinstance(layer.op, _LINEAR) or not layer.has_own_weights:
        return False
    weight, *bias = layer.weights
    biased: Any = replace(layer.op, bias=True)
    c.state.amend(value, biased, [weight, values + bias[0] if bias else values])
    return True
