"""Locally connected layers, which ONNX has no op for, as cnndsl's onnx target spells them out.

The windows' elements are sliced out one kernel position after the other, joined along the channels,
and multiplied at each output position by a matrix of its own.
"""

from __future__ import annotations

from math import prod

import numpy as np

from cnndsl.importers.onnx.axes import target_shape
from cnndsl.importers.onnx.call import Call, Cases
from cnndsl.importers.onnx.model import NodeView
from cnndsl.importers.onnx.patterns import Match, Net
from cnndsl.importers.onnx.state import Unsupported, View
from cnndsl.importers.onnx.windows import named
from cnndsl.ops.local import LocallyConnected
from cnndsl.types.padding import Same, window_padding


def local_pattern(net: Net, node: NodeView) -> Match | None:
    """Recognise the last Reshape of a locally connected layer."""
    steps: list[NodeView] = []
    name = node.inputs[0]
    for op in ("Transpose", "MatMul", "Transpose", "Reshape", "Concat"):
        step = net.maker(name, op)
        if step is None:
            return None
        steps.append(step)
        name = step.inputs[0]
    last, product, first, _, joined = steps
    if (last.attribute("perm"), first.attribute("perm")) != ((1, 2, 0), (2, 0, 1)):
        return None
    if joined.attribute("axis") != 1:
        return None
    slices = [net.maker(i, "Slice") for i in joined.inputs]
    cuts = [_cut(net, part) for part in slices if part is not None]
    starts = [cut[0] for cut in cuts if cut is not None]
    if len(starts) != len(joined.inputs) or len({len(start) for start in starts}) != 1:
        return None
    kernel = tuple(max(s[i] for s in starts) + 1 for i in range(len(starts[0])))
    if starts != list(np.ndindex(*kernel)) or len({c[1] for c in cuts if c is not None}) != 1:
        return None
    parts = [part for part in slices if part is not None]
    x = parts[0].inputs[0]
    if any(part.inputs[0] != x for part in parts):
        return None
    stride, pads = cuts[0][1] if cuts[0] else (), ((0, 0),) * len(kernel)
    inner = [*steps, *parts]
    padding = net.maker(x, "Pad")
    around = None if padding is None else _pairs(net, padding, len(kernel))
    if padding is not None and around is not None:
        x, pads = padding.inputs[0], around
        inner.append(padding)
    attributes = {"kernel": kernel, "stride": stride, "pads": pads}
    return Match("Local", (x, product.inputs[1], node.inputs[1]), tuple(inner), attributes)


def _cut(net: Net, part: NodeView) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return where a slice of all spatial axes starts, and its steps."""
    if len(part.inputs) != 5:
        return None
    start, _, axes, steps = (net.integers(i) or () for i in part.inputs[1:])
    fits = len(steps) == len(start) and all(step > 0 for step in steps)
    if not start or axes != tuple(range(2, 2 + len(start))) or not fits:
        return None
    return start, steps


def _pairs(net: Net, padding: NodeView, rank: int) -> tuple[tuple[int, int], ...] | None:
    """Return the pads of a zero padding of the spatial axes."""
    pads = net.integers(padding.inputs[1]) if len(padding.inputs) == 2 else None
    if pads is None or len(pads) != 2 * (rank + 2) or padding.attribute("mode") != "constant":
        return None
    low, high = pads[: rank + 2], pads[rank + 2 :]
    if any((*low[:2], *high[:2])) or min(*low, *high) < 0:
        return None
    return tuple(zip(low[2:], high[2:], strict=True))


def _local(c: Call) -> View:
    x = c.value()
    type_ = c.type_of(x)
    kernel, stride, pads = (c.attribute(a) for a in ("kernel", "stride", "pads"))
    matrices = c.weights(1, "matrices")
    channels, spatial = type_.channels, type_.spatial
    taps, ones = prod(kernel), (1,) * len(kernel)
    if not isinstance(channels, int) or matrices.ndim != 3 or len(spatial) != len(kernel):
        raise Unsupported("its matrices are not one for every position")
    places, depth, out = matrices.shape
    if depth != taps * channels:
        raise Unsupported(f"its matrices have {depth} rows for {taps * channels} elements")
    same = [
        window_padding(Same(), axis, e, k, s, 1)
        for axis, (e, k, s) in enumerate(zip(spatial, kernel, stride, strict=True))
    ]
    op = LocallyConnected(
        out_channels=out,
        stride=stride,
        padding=named(pads, same, kernel, stride, ones),
        bias=False,
        kernel=kernel,
    )
    result = op.infer([type_])
    if target_shape(result.shape, c.constant(2, "shape")) != result.shape:
        raise Unsupported("its result does not have the shape of its windows")
    weight = matrices.reshape(places, taps, channels, out).transpose(0, 3, 2, 1)
    shape = op.parameters([type_])[0].shape
    if prod(shape) != weight.size:
        raise Unsupported("its matrices are not one for every position")
    return c.state.whole(c.emit(op, (x,), [weight.reshape(shape)]))


CASES: Cases = {"Local": _local}
