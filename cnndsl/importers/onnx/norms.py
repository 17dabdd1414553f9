"""Normalisation."""

from __future__ import annotations

from math import isclose

import numpy as np

from cnndsl.importers.onnx.call import Call, Cases, vector
from cnndsl.importers.onnx.pointwise import axis_of
from cnndsl.importers.onnx.state import Unsupported, View, shortest
from cnndsl.ops.base import Array
from cnndsl.ops.norm import LRN, BatchNorm, GroupNorm, LayerNorm


def _epsilon(c: Call) -> float:
    """Return the number that is added to variances, as it was meant.

    Some exporters round 1e-5 to one of the two floats beside it, which no result can show.
    """
    given = shortest(c.attribute("epsilon"))
    meant = float(f"{given:.5g}")
    return meant if isclose(given, meant, rel_tol=2e-7, abs_tol=0.0) else given


def _batch_norm(c: Call) -> View:
    for name in ("momentum", "consumed_inputs"):
        c.attribute(name)
    if c.attribute("training_mode") or (c.node.version < 7 and not c.attribute("is_test")):
        raise Unsupported("it is in training mode, and a network is compiled for inference")
    if c.node.version < 9 and not c.attribute("spatial"):
        raise Unsupported("it has statistics for every position (spatial=0)")
    c.only_first_output("statistics")
    view = c.view()
    c.channel_axis(view)
    tensors = [
        c.weights(place, what)
        for place, what in enumerate(("scale", "bias", "mean", "variance"), 1)
    ]
    op = BatchNorm(epsilon=_epsilon(c))
    key = c.names(1, 2, 3, 4)
    return View(c.emit(op, (view.value,), tensors, key=key), view.axes)


def _instance_norm(c: Call) -> View:
    x = c.value()
    groups = c.channels(x)
    weights = [c.weights(1, "scale"), c.weights(2, "bias")]
    return c.result(GroupNorm(groups=groups, epsilon=_epsilon(c)), weights, c.names(1, 2))


def _group_norm(c: Call) -> View:
    """Until opset 21 scale and bias had one number per group."""
    x = c.value()
    groups, channels = c.attribute("num_groups"), c.channels(x)
    c.attribute("stash_type")
    weights = [c.weights(1, "scale"), c.weights(2, "bias")]
    if c.node.version < 21 and groups > 0 and channels % groups == 0:
        weights = [np.repeat(w, channels // groups) for w in weights]
    return c.result(GroupNorm(groups=groups, epsilon=_epsilon(c)), weights)


def _layer_norm(c: Call) -> View:
    """Over the channels at each position, or over all of a sample with one scale per channel."""
    if any(c.used(i) for i in (1, 2)):
        raise Unsupported("the network uses its mean or deviation, which no layer gives")
    if c.attribute("stash_type") != 1:
        raise Unsupported("its statistics are not of float32")
    view = c.view()
    axis = axis_of(c, view)
    type_ = c.state.type_of(view)
    normalised = [a for a in view.axes[axis:] if a is not None and type_.shape[a] != 1]
    channels = c.channels(view.value)
    scale = c.weights(1, "scale")
    shift = c.weights(2, "bias") if c.given(2) else np.zeros_like(scale)
    places = [None if a is None else a for a in view.axes[axis:]]
    weights = [_by_channel(w, places, channels) for w in (scale, shift)]
    others = [a for a in range(2, type_.rank) if type_.shape[a] != 1]
    if normalised == [1]:
        op: LayerNorm | GroupNorm = LayerNorm(epsilon=_epsilon(c))
    elif sorted(normalised) == [1, *others] or (channels == 1 and sorted(normalised) == others):
        op = GroupNorm(groups=1, epsilon=_epsilon(c))
    else:
        raise Unsupported("it runs over other axes than the channels, or all of a sample")
    return View(c.emit(op, (view.value,), weights), view.axes)


def _by_channel(array: Array, axes: list[int | None], channels: int) -> Array:
    """Return a scale of the normalised axes as one number per channel."""
    if array.ndim > len(axes):
        raise Unsupported(f"its scale has {array.ndim} axes")
    placed = array.reshape((1,) * (len(axes) - array.ndim) + array.shape)
    for place, axis in enumerate(axes):
        if axis == 1:
            continue
        first = placed.take([0], place)
        if not np.array_equal(np.broadcast_to(first, placed.shape), placed):
            raise Unsupported("its scale differs from position to position")
        placed = first
    return vector(placed, channels)


def _lrn(c: Call) -> View:
    view = c.view()
    c.channel_axis(view)
    op = LRN(
        size=c.attribute("size"),
        alpha=shortest(c.attribute("alpha")),
        beta=shortest(c.attribute("beta")),
        k=shortest(c.attribute("bias")),
    )
    return View(c.emit(op, (view.value,)), view.axes)


CASES: Cases = {
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "LayerNormalization": _layer_norm,
    "LRN": _lrn,
}
