"""Activations and arithmetic."""

from __future__ import annotations

from math import inf

import numpy as np

from cnndsl.importers.onnx.call import Call, Case, Cases, per_channel, vector
from cnndsl.importers.onnx.scaling import scale_and_shift
from cnndsl.importers.onnx.state import Unsupported, View, shortest
from cnndsl.ops.activation import (
    Dropout,
    Elu,
    Gelu,
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
from cnndsl.ops.base import Op
from cnndsl.ops.elementwise import Add, Affine, Binary, Mul, Sub


def _plain(op: Op) -> Case:
    return lambda c: c.same_axes(op)


def _chain(c: Call, *ops: Op) -> View:
    """Apply layers one after another to the first operand."""
    view = c.view()
    value = view.value
    for number, op in enumerate(ops, 1):
        value = c.emit(op, (value,), word="" if number == len(ops) else f"step{number}")
    return View(value, view.axes)


def _number(c: Call, name: str) -> float:
    return shortest(c.attribute(name))


def _leaky_relu(c: Call) -> View:
    return c.same_axes(LeakyRelu(slope=_number(c, "alpha")))


def _elu(c: Call) -> View:
    return c.same_axes(Elu(alpha=_number(c, "alpha")))


def _celu(c: Call) -> View:
    alpha = _number(c, "alpha")
    if alpha == 1:
        return c.same_axes(Elu(alpha=1.0))
    if alpha <= 0:
        raise Unsupported(f"alpha={alpha} is not above zero")
    return _chain(c, Affine(scale=1 / alpha), Elu(alpha=1.0), Affine(scale=alpha))


def _selu(c: Call) -> View:
    for name, wanted in (("alpha", Selu.ALPHA), ("gamma", Selu.SCALE)):
        # Older versions of ONNX round the constants to four digits.
        if abs(c.attribute(name) - wanted) > 1e-4:
            alpha, gamma = _number(c, "alpha"), _number(c, "gamma")
            return _chain(c, Elu(alpha=alpha), Affine(scale=gamma))
    return c.same_axes(Selu())


def _hard_sigmoid(c: Call) -> View:
    alpha, beta = _number(c, "alpha"), _number(c, "beta")
    return c.same_axes(HardSigmoid(alpha=_sixth(alpha), beta=beta))


def _sixth(number: float) -> float:
    """Return 1/6 for its float32, which would have twice as many digits as anyone wrote."""
    return 1 / 6 if np.float32(number) == np.float32(1 / 6) else number


def _prelu(c: Call) -> View:
    view = c.view()
    channels, slope = c.channels(view.value), c.weights(1, "slope")
    if c.node.version < 7 and slope.ndim == 1:  # it was always one per channel
        slope = slope.reshape(-1, *(1,) * (len(view.axes) - 2))
    found = per_channel(c, view, slope)
    weight = vector(slope, channels) if found is None else found
    return View(c.emit(PRelu(), (view.value,), [weight], key=c.names(1)), view.axes)


def _swish(c: Call) -> View:
    alpha = _number(c, "alpha")
    if alpha == 1:
        return c.same_axes(Silu())
    view = c.view()
    scaled = c.emit(Affine(scale=alpha), (view.value,), word="scaled")
    gate = c.emit(Sigmoid(), (scaled,), word="gate")
    return View(c.emit(Mul(), (view.value, gate)), view.axes)


def _mish(c: Call) -> View:
    view = c.view()
    soft = c.emit(Softplus(), (view.value,), word="softplus")
    gate = c.emit(Tanh(), (soft,), word="gate")
    return View(c.emit(Mul(), (view.value, gate)), view.axes)


def _gelu(c: Call) -> View:
    mode = c.attribute("approximate")
    if mode not in ("none", "tanh"):
        raise Unsupported(f"approximate={mode} is not a mode of ONNX")
    return c.same_axes(Gelu(approximate=mode == "tanh"))


def _softmax(c: Call) -> View:
    view = c.view()
    axis = axis_of(c, view)
    shape = c.shape(view)
    if c.node.version < 13 and any(e != 1 for e in shape[axis + 1 :]):
        # Until opset 13 everything from the axis on was one row.
        raise Unsupported("before opset 13 it runs over several axes at once")
    place = view.axes[axis]
    if not place:
        raise Unsupported("it runs over the samples of the batch or an axis of one element")
    return View(c.emit(Softmax(axis=place), (view.value,)), view.axes)


def axis_of(c: Call, view: View, name: str = "axis") -> int:
    """Return an attribute that is an axis of an operand, counted from the first."""
    axis, rank = c.attribute(name), len(view.axes)
    if not -rank <= axis < rank:
        raise Unsupported(f"{name}={axis} is not an axis of {rank}")
    return int(axis) % rank


def _clip(c: Call) -> View:
    low, high = -inf, inf
    if c.node.version < 11:
        low, high = c.attribute("min"), c.attribute("max")
    else:
        low = c.number(1, "minimum") if c.given(1) else low
        high = c.number(2, "maximum") if c.given(2) else high
    return _clipped(c, low, high)


def _clipped(c: Call, low: float, high: float) -> View:
    """Keep values from low to high; by exact layers: min(x, high) is -max(-x, -high)."""
    largest = float(np.finfo(np.float32).max)
    if low > high or np.isnan(low) or np.isnan(high):
        raise Unsupported(f"it keeps values from {low} to {high}")
    if (low, high) == (0, 6):
        return c.same_axes(Relu6())
    ops: list[Op] = []
    if low > -largest:
        ops.append(Relu() if low == 0 else SRelu(threshold=shortest(low)))
    if high < largest:
        ops += [Affine(scale=-1.0), SRelu(threshold=shortest(-high)), Affine(scale=-1.0)]
    return _chain(c, *ops) if ops else c.view()


def _extreme(c: Call, largest: bool) -> View:
    """Max or Min with a number, in either place."""
    if len(c.node.inputs) == 1:
        return c.view()
    if len(c.node.inputs) == 2:
        for tensor, number in ((0, 1), (1, 0)):
            if isinstance(c.operand(tensor), View) and not isinstance(c.operand(number), View):
                view = c.view(tensor)
                bound = c.number(number, "second operand")
                if c.constant(number, "second operand").ndim > len(view.axes):
                    raise Unsupported("its constant has more axes than its operand")
                if largest:
                    op = Relu() if bound == 0 else SRelu(threshold=shortest(bound))
                    return View(c.emit(op, (view.value,)), view.axes)
                down = c.emit(Affine(scale=-1.0), (view.value,), word="negated")
                kept = c.emit(SRelu(threshold=shortest(-bound)), (down,), word="kept")
                return View(c.emit(Affine(scale=-1.0), (kept,)), view.axes)
    raise Unsupported("the language has it of a tensor and a number only")


# --------------------------------------------------------------------- arithmetic


def _binary(op: Binary) -> Case:
    def case(c: Call) -> View:
        _check_broadcast(c)
        return combine(c, op, 0, 1)

    return case


def _check_broadcast(c: Call) -> None:
    """Before opset 7 shapes were equal unless attributes said how the second one fits."""
    if c.node.version >= 7 or not c.attribute("broadcast"):
        return
    axis = c.attribute("axis")
    operands = [c.operand(0), c.operand(1)]
    ranks = [len(o.axes) if isinstance(o, View) else o.ndim for o in operands]
    if axis is not None and axis not in (ranks[0] - ranks[1], -ranks[1]):
        raise Unsupported("the attribute axis, of opsets before 7, is not supported")


def combine(c: Call, op: Binary, first: int, second: int) -> View:
    """Combine two operands, one of which may be a constant."""
    a, b = c.operand(first), c.operand(second)
    if isinstance(a, View) and isinstance(b, View):
        return of_two(c, op, a, b)
    if isinstance(a, View):
        assert not isinstance(b, View)
        return scale_and_shift(c, op, a, b)
    assert isinstance(b, View)
    if isinstance(op, Sub):
        negated = c.emit(Affine(scale=-1.0), (b.value,), word="negated")
        return scale_and_shift(c, Add(), View(negated, b.axes), a)
    return scale_and_shift(c, op, b, a)


def of_two(c: Call, op: Binary, a: View, b: View, word: str = "") -> View:
    """Combine two tensors of the network; one may have spatial extents of 1 that repeat."""
    state = c.state
    ranks = {state.type_of(v).rank for v in (a, b)}
    if a.axes == b.axes and len(ranks) == 1:
        return View(c.emit(op, (a.value, b.value), word=word), a.axes)
    if len(a.axes) != len(b.axes):
        raise Unsupported(
            f"its operands have {len(a.axes)} and {len(b.axes)} axes; the language repeats "
            "spatial extents of 1 only"
        )
    values = (state.plain(a, c.node), state.plain(b, c.node))
    return state.whole(c.emit(op, values, word=word))


def _sum(c: Call, mean: bool = False) -> View:
    operands = [c.view(i) for i in range(len(c.node.inputs))]
    total = operands[0]
    for number, operand in enumerate(operands[1:], 2):
        last = number == len(operands) and not mean
        total = of_two(c, Add(), total, operand, "" if last else f"sum{number - 1}")
    if mean:
        total = View(c.emit(Affine(scale=1 / len(operands)), (total.value,)), total.axes)
    return total


def _divide(c: Call) -> View:
    _check_broadcast(c)
    if isinstance(c.operand(1), View):
        raise Unsupported("the language has no division of tensors")
    view, divisor = c.view(), c.weights(1, "second operand")
    if not divisor.all():
        raise Unsupported("its divisor is zero")
    with np.errstate(all="ignore"):
        return scale_and_shift(c, Mul(), view, 1 / divisor.astype(np.float64))


def _power(c: Call) -> View:
    exponent = c.number(1, "exponent")
    if exponent == 1:
        return c.view()
    if exponent != 2:
        raise Unsupported(f"the language has no power of {shortest(exponent)}")
    view = c.view()
    return View(c.emit(Mul(), (view.value, view.value)), view.axes)


def _dropout(c: Call) -> View:
    """At inference it does nothing, but it is what the author wrote."""
    c.only_first_output("mask")
    if c.node.version < 7 and not c.attribute("is_test"):
        raise Unsupported("it is in training mode (is_test=0)")
    if c.given(2) and c.constant(2, "training_mode").any():
        raise Unsupported("it is in training mode")
    c.attribute("seed")
    rate = c.attribute("ratio") if c.node.version < 12 else 0.5
    if c.node.version >= 12 and c.given(1):
        rate = c.number(1, "ratio")
    view = c.view()
    if not (0 <= rate < 1 and c.state.type_of(view).dtype.is_float):
        return view
    return c.same_axes(Dropout(rate=shortest(rate)))


CASES: Cases = {
    "Relu": _plain(Relu()),
    "Sigmoid": _plain(Sigmoid()),
    "Tanh": _plain(Tanh()),
    "Softplus": _plain(Softplus()),
    "HardSwish": _plain(HardSwish()),
    "Neg": _plain(Affine(scale=-1.0)),
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    "Elu": _elu,
    "Celu": _celu,
    "Selu": _selu,
    "HardSigmoid": _hard_sigmoid,
    "Swish": _swish,
    "Mish": _mish,
    "Gelu": _gelu,
    "Softmax": _softmax,
    "Clip": _clip,
    "Max": lambda c: _extreme(c, True),
    "Min": lambda c: _extreme(c, False),
    "Add": _binary(Add()),
    "Sub": _binary(Sub()),
    "Mul": _binary(Mul()),
    "Div": _divide,
    "Sum": _sum,
    "Mean": lambda c: _sum(c, mean=True),
    "Pow": _power,
    "Dropout": _dropout,
}
