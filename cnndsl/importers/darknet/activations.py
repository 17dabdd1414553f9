"""Darknet's activations, in words of the language."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.importers.darknet.options import Options
from cnndsl.importers.darknet.state import Importing
from cnndsl.ops.activation import (
    Elu,
    LeakyRelu,
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Softplus,
    SRelu,
    Tanh,
)
from cnndsl.ops.base import Op
from cnndsl.ops.elementwise import Add, Affine, Mul

_LINEAR = "linear"

CHAINS: Mapping[str, tuple[Op, ...]] = {
    _LINEAR: (),
    "logistic": (Sigmoid(),),
    "relu": (Relu(),),
    "relu6": (Relu6(),),
    "leaky": (LeakyRelu(slope=0.1),),
    "relie": (LeakyRelu(slope=0.01),),
    "tanh": (Tanh(),),
    "elu": (Elu(alpha=1.0),),
    "swish": (Silu(),),
    # 2 / (1 + exp(-x)) - 1
    "loggy": (Affine(scale=0.5), Tanh()),
    # With Darknet's own constants, of five digits.
    "selu": (Elu(alpha=1.6732), Affine(scale=1.0507)),
    # min(max(x, -1), 1)
    "hardtan": (Affine(scale=-1.0), SRelu(threshold=-1.0), Affine(scale=-1.0), SRelu()),
    # x between 0 and 1, a slope of 0.001 elsewhere: below, then above.
    "lhtan": (LeakyRelu(slope=0.001), Affine(scale=-1.0, shift=1.0)) * 2,
    # x / 8 + 1/2 between 0 and 1, a slope of 0.01 elsewhere.
    "plse": (
        Affine(scale=0.125, shift=0.5),
        *(LeakyRelu(slope=0.08), Affine(scale=-1.0, shift=1.0)) * 2,
    ),
}
"""Activations that are layers one after the other."""

_SUMS = ("ramp", "mish")

_SOME, _HAVE_ALL = ("swish", "mish"), ("convolutional", "shortcut")
"""Activations that Darknet turns into zeros, but in these sections."""

REFUSED = (
    "stair",
    "gelu",
    "hard_mish",
    "revleaky",
    "normalize_channels",
    "normalize_channels_softmax",
    "normalize_channels_softmax_maxval",
)
"""Activations that Darknet has and the language cannot say exactly."""

ACTIVATIONS = (*CHAINS, *_SUMS, *REFUSED)


def activation_of(o: Options, s: Importing, default: str) -> str:
    """Return the activation of a section; that Darknet's default was taken is noted."""
    if default != _LINEAR and not o.given("activation"):
        s.without_activation.append(o.section)
    name = o.word("activation", ACTIVATIONS, default)
    if name in REFUSED:
        message = f"the activation {name} cannot be said in the language"
        o.error("CNN807", message, o.span_of("activation"))
    elif name in _SOME and o.name not in _HAVE_ALL:
        message = f"Darknet applies {name} in {' and '.join(_HAVE_ALL)} alone"
        o.error("CNN807", message, o.span_of("activation"))
    return name


def activate(o: Options, s: Importing, x: str | None, name: str) -> str | None:
    """Add the layers of an activation."""
    if name == "ramp":
        return s.emit(o, Add(), s.emit(o, Relu(), x), s.emit(o, Affine(scale=0.1), x))
    if name == "mish":
        return s.emit(o, Mul(), x, s.emit(o, Tanh(), s.emit(o, Softplus(), x)))
    for op in CHAINS[name]:
        x = s.emit(o, op, x)
    return x
