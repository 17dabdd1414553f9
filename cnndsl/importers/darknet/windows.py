"""Sections with weights, and pools."""

from __future__ import annotations

from cnndsl.importers.darknet.activations import activate, activation_of
from cnndsl.importers.darknet.options import Options
from cnndsl.importers.darknet.padding import named
from cnndsl.importers.darknet.state import Case, Importing
from cnndsl.ops.base import Op
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.norm import BatchNorm
from cnndsl.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from cnndsl.types.extents import Extent, product
from cnndsl.types.padding import Padding

_ONES = (1, 1)
_VECTORS = ("softmax", "connected", "cost", "detection")
"""Sections to which a map of 1x1 is as good as a vector."""

_PASSING = ("dropout", "empty", "activation")
"""Sections that pass on what they read in its shape."""


def convolutional(o: Options, s: Importing) -> str | None:
    filters, size = o.whole("filters", least=1), o.whole("size", 1, 1)
    groups, dilation = o.whole("groups", 1, 1), o.whole("dilation", 1, 1)
    stride = _strides(o)
    pad = size // 2 if o.flag("pad") else o.whole("padding", 0, 0)
    dilation = 1 if size == 1 else dilation
    if dilation > 1 and 2 * pad != size - 1:
        o.error(
            "CNN807",
            f"with dilation={dilation} Darknet counts outputs for another padding than it applies, "
            f"unless both are half the kernel",
            o.span_of("dilation"),
            "write `pad=1`, with an odd size",
        )
    word = activation_of(o, s, "logistic")
    norm, flipped = o.flag("batch_normalize"), o.flag("flipped")
    x = s.as_map(o, s.before(o))
    if o.failed or x is None:
        return None
    kernel, dilations, pads = (size, size), (dilation, dilation), ((pad * dilation,) * 2,) * 2
    padding = named(kernel, stride, dilations, pads)
    channels = s.width(o, x)
    if channels is None:
        return None
    op: Op
    if groups == channels > 1 and filters % groups == 0:
        op = DepthwiseConv(
            kernel=kernel,
            stride=stride,
            padding=padding,
            dilation=dilations,
            multiplier=filters // groups,
            bias=not norm,
        )
    else:
        op = Conv(
            out_channels=filters,
            kernel=kernel,
            stride=stride,
            padding=padding,
            dilation=dilations,
            groups=groups,
            bias=not norm,
        )
    y = s.emit(o, op, x)
    if y is None:
        return None
    taps = channels // groups * size * size
    z = _normalized(o, s, y, filters) if norm else _biased(o, s, y, (filters,))
    if flipped:
        s.keep(o, y, "weight", (taps, filters), order=(1, 0))
    else:
        s.keep(o, y, "weight", (filters, taps))
    return activate(o, s, z, word)


def _normalized(o: Options, s: Importing, x: str, channels: int, first: bool = True) -> str | None:
    """Add a batch norm, whose four tensors the file holds; where the bias is among them."""
    y = s.emit(o, BatchNorm(epsilon=1e-5), x)
    if y is not None:
        for role in ("bias", "weight", "running_mean", "running_var")[0 if first else 1 :]:
            s.keep(o, y, role, (channels,))
    return y


def _biased(o: Options, s: Importing, x: str, shape: tuple[int, ...]) -> str:
    s.keep(o, x, "bias", shape)
    return x


def _strides(o: Options) -> tuple[int, int]:
    """Return the steps along height and width."""
    stride = o.whole("stride", 1, 1)
    across, down = o.whole("stride_x", stride), o.whole("stride_y", stride)
    return (down if down >= 1 else stride, across if across >= 1 else stride)


def connected(o: Options, s: Importing) -> str | None:
    output = o.whole("output", least=1)
    word = activation_of(o, s, "logistic")
    norm = o.flag("batch_normalize")
    before = s.before(o)
    x = None if o.failed else s.as_vector(o, before)
    if x is None:
        return None
    y = s.emit(o, Dense(out_features=output, bias=not norm), x)
    if y is None:
        return None
    inputs = s.type_of(x).channels
    assert isinstance(inputs, int)
    z: str | None = y
    if norm:
        z = s.emit(o, BatchNorm(epsilon=1e-5), y)
    if z is None:
        return None
    s.keep(o, z, "bias", (output,))
    s.keep(o, y, "weight", (output, inputs), legacy_shape=(inputs, output))
    if norm:
        for role in ("weight", "running_mean", "running_var"):
            s.keep(o, z, role, (output,))
    return activate(o, s, z, word)


def local(o: Options, s: Importing) -> str | None:
    filters, size = o.whole("filters", least=1), o.whole("size", 1, 1)
    stride, pad = o.whole("stride", 1, 1), o.whole("pad", 0, 0)
    if pad and size != 2 * pad + 1:
        o.error(
            "CNN807",
            f"with pad={pad} and size={size} Darknet counts outputs for another padding than it "
            "applies",
            o.span_of("pad"),
            f"write `pad={size // 2}`" if size % 2 else None,
        )
    word = activation_of(o, s, "logistic")
    x = s.as_map(o, s.before(o))
    if o.failed or x is None:
        return None
    padding = named((size, size), (stride, stride), _ONES, ((pad, pad),) * 2)
    op = LocallyConnected(
        out_channels=filters,
        kernel=(size, size),
        stride=(stride, stride),
        padding=padding,
        bias=True,
    )
    y = s.emit(o, op, x)
    if y is None:
        return None
    places, channels = _known(product(s.type_of(y).spatial)), _known(s.type_of(x).channels)
    s.keep(o, y, "bias", (filters, places))
    s.keep(o, y, "weight", (places, filters, channels * size * size))
    return activate(o, s, y, word)


def maxpool(o: Options, s: Importing) -> str | None:
    kernel, stride, padding = _window(o)
    x = s.as_map(o, s.before(o))
    op = MaxPool(kernel=kernel, stride=stride, padding=padding, dilation=_ONES)
    return None if o.failed else s.emit(o, op, x)


def local_avgpool(o: Options, s: Importing) -> str | None:
    kernel, stride, padding = _window(o)
    x = s.as_map(o, s.before(o))
    op = AveragePool(kernel=kernel, stride=stride, padding=padding)
    return None if o.failed else s.emit(o, op, x)


def _window(o: Options) -> tuple[tuple[int, int], tuple[int, int], Padding]:
    """Return a pool's kernel, stride and padding; Darknet's `padding` is what both sides share."""
    stride = _strides(o)
    size = o.whole("size", o.whole("stride", 1, 1), 1)
    total = o.whole("padding", size - 1, 0)
    low = total // 2
    pads = ((low, total - low),) * 2
    return (size, size), stride, named((size, size), stride, _ONES, pads)


def avgpool(o: Options, s: Importing) -> str | None:
    flat = _is_read_flat(s, o.section.index)
    return s.emit(o, GlobalAveragePool(keep_axes=not flat), s.as_map(o, s.before(o)))


def _is_read_flat(s: Importing, index: int) -> bool:
    """Tell whether all that reads a layer, also through others, takes vectors."""
    seen: set[int] = set()
    pending = [index]
    while pending:
        for reader in s.reads[pending.pop()]:
            if s.names[reader] in _PASSING:
                pending += [reader] if reader not in seen else []
                seen.add(reader)
            elif s.names[reader] not in _VECTORS:
                return False
    return True


def _known(extent: Extent) -> int:
    assert isinstance(extent, int)
    return extent


CASES: dict[str, Case] = {
    "convolutional": convolutional,
    "connected": connected,
    "local": local,
    "maxpool": maxpool,
    "local_avgpool": local_avgpool,
    "avgpool": avgpool,
}
