"""Sections without weights: what joins layers, and what moves their elements."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.importers.darknet.activations import activate, activation_of
from cnndsl.importers.darknet.options import Options
from cnndsl.importers.darknet.state import Case, Importing
from cnndsl.ops.activation import Dropout
from cnndsl.ops.elementwise import Add, Affine, Mul
from cnndsl.ops.pool import MaxPool
from cnndsl.ops.rearrange import DepthToSpace, SpaceToDepth
from cnndsl.ops.resample import Upsample
from cnndsl.ops.shape import Concat, Reshape
from cnndsl.ops.slicing import Crop, Slice
from cnndsl.types.extents import Dim, Extent
from cnndsl.types.padding import Explicit, Same

_MOST_STEP = 64
"""A shortcut from a map this many times larger is refused."""


def route(o: Options, s: Importing) -> str | None:
    groups, group = o.whole("groups", 1, 1), o.whole("group_id", 0, 0)
    if group >= groups:
        message = f"group_id is {group}, and of {groups} groups the last is {groups - 1}"
        o.error("CNN307", message, o.span_of("group_id"))
    parts = _sources(o, s, "layers")
    if o.failed:
        return None
    taken = [_group(o, s, part, groups, group) for part in parts]
    return taken[0] if len(taken) == 1 else s.emit(o, Concat(), *taken)


def _sources(o: Options, s: Importing, key: str) -> list[str | None]:
    """Return the layers that a key lists: all maps, or all vectors."""
    found = [s.at(o, number, span) for number, span in o.wholes(key)]
    known = [value for value in found if value is not None]
    if len({s.type_of(value).rank for value in known}) > 1:
        return [s.as_map(o, value) for value in found]
    return found


def _group(o: Options, s: Importing, x: str | None, groups: int, group: int) -> str | None:
    """Return one of several equal parts of the channels."""
    if x is None or groups == 1:
        return x
    channels = s.width(o, x)
    if channels is None:
        return None
    if channels % groups:
        message = f"{channels} channels cannot be divided into {groups} groups"
        o.error("CNN203", message, o.span_of("groups"))
        return None
    width = channels // groups
    return s.emit(o, Slice(axis=1, start=group * width, stop=(group + 1) * width), x)


def shortcut(o: Options, s: Importing) -> str | None:
    word = activation_of(o, s, "linear")
    kind = o.word("weights_type", ("none", "per_feature", "per_layer", "per_channel"), "none")
    if kind != "none":
        message = "weighted shortcuts cannot be said in the language"
        o.error("CNN807", message, o.span_of("weights_type"))
    for key in ("alpha", "beta"):
        if o.number(key, 1.0) != 1:
            message = f"{key} other than 1 is not read: versions of Darknet differ in it"
            o.error("CNN807", message, o.span_of(key))
    x = s.before(o)
    others = _sources(o, s, "from")
    if o.failed or x is None:
        return None
    result: str | None = x
    for other in others:
        result = _added(o, s, result, other)
    return activate(o, s, result, word)


def _added(o: Options, s: Importing, x: str | None, y: str | None) -> str | None:
    """Add two values; of more channels than the other one has, the first are added."""
    if x is None or y is None:
        return None
    if s.type_of(x).rank != s.type_of(y).rank:
        x, y = s.as_map(o, x), s.as_map(o, y)
        if x is None or y is None:
            return None
    y = _thinned(o, s, y, s.type_of(x).spatial)
    if y is None:
        return None
    width, other = s.width(o, x), s.width(o, y)
    if width is None or other is None:
        return None
    if other > width:
        return s.emit(o, Add(), s.emit(o, Slice(axis=1, start=0, stop=width), y), x)
    if other == width:
        return s.emit(o, Add(), y, x)
    both = s.emit(o, Add(), s.emit(o, Slice(axis=1, start=0, stop=other), x), y)
    return s.emit(o, Concat(), both, s.emit(o, Slice(axis=1, start=other), x))


def _thinned(o: Options, s: Importing, x: str | None, wanted: Sequence[Extent]) -> str | None:
    """Return every second (third, ...) place of a map that is so many times larger."""
    if x is None or s.type_of(x).spatial == wanted:
        return x
    found = s.type_of(x).spatial
    step = next((n for n in range(2, _MOST_STEP) if [n * e for e in wanted] == [*found]), None)
    if step is None:
        o.error(
            "CNN807",
            f"it adds {_size(found)} to {_size(wanted)}: sizes must be equal, or the layer's that "
            "is added a multiple of the other's",
            o.span_of("from"),
        )
        return None
    s.thinned.append(o.section)
    pool = MaxPool(kernel=(1, 1), stride=(step, step), padding=Same(), dilation=(1, 1))
    return s.emit(o, pool, x)


def gated(o: Options, s: Importing) -> str | None:
    """A product with another layer: of all its elements, or of each of its channels."""
    word = activation_of(o, s, "linear")
    x = s.as_map(o, s.before(o))
    sources = o.wholes("from")
    if len(sources) > 1:
        o.error("CNN307", "from takes one layer", sources[1][1])
    if o.failed or x is None:
        return None
    other = s.as_map(o, s.at(o, *sources[0]))
    if other is None:
        return None
    gate, wanted = s.type_of(x).shape, s.type_of(other).shape
    if o.name == "scale_channels":
        wanted = (*wanted[:2], 1, 1)
    if gate != wanted:
        help = "it must have a 1x1 map with as many channels" if wanted[2:] == (1, 1) else None
        message = f"{s.type_of(x)} does not fit {s.type_of(other)}"
        o.error("CNN205", message, o.span_of("from"), help)
        return None
    return activate(o, s, s.emit(o, Mul(), other, x), word)


def upsample(o: Options, s: Importing) -> str | None:
    stride, scale = o.whole("stride", 2), o.number("scale", 1.0)
    if stride < 1:
        message = f"stride is {stride}: Darknet sums up blocks then, which the language cannot say"
        o.error("CNN807", message, o.span_of("stride"))
    x = s.as_map(o, s.before(o))
    if o.failed:
        return None
    y = s.emit(o, Upsample(scale=(stride, stride)), x)
    return y if scale == 1 else s.emit(o, Affine(scale=scale), y)


def reorg(o: Options, s: Importing) -> str | None:
    """[reorg]: to channels, but as if the map had s*s times fewer channels of s*s times the size.

    Darknet's loop takes the input's extents for the output's; networks were trained like that.
    """
    stride = o.whole("stride", 1, 1)
    if o.flag("reverse"):
        return _to_space(o, s, stride)
    x = s.as_map(o, s.before(o))
    if o.failed or x is None or stride == 1:
        return x
    channels, (height, width) = s.width(o, x), s.type_of(x).spatial
    if isinstance(height, Dim) or isinstance(width, Dim):
        o.error("CNN207", "its sizes must be known", o.span)
        return None
    if channels is None:
        return None
    block = stride * stride
    if channels % block or height % stride or width % stride:
        o.error(
            "CNN209",
            f"{s.type_of(x)} cannot be divided into blocks: its channels must be a multiple of "
            f"{block}, its sizes of {stride}",
            o.span_of("stride"),
        )
        return None
    wide = Reshape(shape=(channels // block, height * stride, width * stride))
    small = Reshape(shape=(channels * block, height // stride, width // stride))
    return s.emit(o, small, s.emit(o, SpaceToDepth(block=stride), s.emit(o, wide, x)))


def reorg3d(o: Options, s: Importing) -> str | None:
    stride = o.whole("stride", 1, 1)
    if o.flag("reverse"):
        return _to_space(o, s, stride)
    x = s.as_map(o, s.before(o))
    return None if o.failed else s.emit(o, SpaceToDepth(block=stride), x)


def _to_space(o: Options, s: Importing, stride: int) -> str | None:
    x = s.as_map(o, s.before(o))
    return None if o.failed else s.emit(o, DepthToSpace(block=stride), x)


def crop(o: Options, s: Importing) -> str | None:
    """The middle, and 2x - 1 of it unless noadjust: colours from 0 to 1 become -1 to 1."""
    height, width = o.whole("crop_height", least=1), o.whole("crop_width", least=1)
    plain = o.flag("noadjust")
    x = s.as_map(o, s.before(o))
    if o.failed or x is None:
        return None
    sizes = zip(s.type_of(x).spatial, (height, width), ("crop_height", "crop_width"), strict=True)
    pads = [_margin(o, *size) for size in sizes]
    if o.failed:
        return None
    if any(low != high for low, high in pads):
        s.builder.notices.append(
            f"{o.where} of line {o.span.line} cuts off an odd number of elements: one less before, "
            "as Darknet does on a processor; on a GPU it interpolates"
        )
    y = s.emit(o, Crop(margin=Explicit(tuple(pads))), x) if any(map(any, pads)) else x
    return y if plain else s.emit(o, Affine(scale=2.0, shift=-1.0), y)


def _margin(o: Options, extent: Extent, wanted: int, key: str) -> tuple[int, int]:
    if isinstance(extent, Dim):
        o.error("CNN207", "its sizes must be known", o.span)
        return (0, 0)
    if wanted > extent:
        o.error("CNN307", f"{key} is {wanted}, and the map has {extent}", o.span_of(key))
        return (0, 0)
    low = (extent - wanted) // 2
    return (low, extent - wanted - low)


def activation(o: Options, s: Importing) -> str | None:
    word = activation_of(o, s, "linear")
    x = s.before(o)
    return None if o.failed else activate(o, s, x, word)


def dropout(o: Options, s: Importing) -> str | None:
    rate = o.number("probability", 0.2)
    if not 0 <= rate < 1:
        message = f"probability is {rate:g}, which is not from 0 to below 1"
        o.error("CNN307", message, o.span_of("probability"))
    x = s.before(o)
    return None if o.failed else s.emit(o, Dropout(rate=rate), x)


def empty(o: Options, s: Importing) -> str | None:
    return s.before(o)


def _size(spatial: Sequence[Extent]) -> str:
    return "x".join(map(str, spatial)) or "a vector"


def listed(section_value: str) -> list[int]:
    """Return the numbers of a list, as far as they are numbers."""
    return [int(p) for p in section_value.split(",") if p.strip().lstrip("+-").isdigit()]


CASES: dict[str, Case] = {
    "route": route,
    "shortcut": shortcut,
    "scale_channels": gated,
    "sam": gated,
    "upsample": upsample,
    "reorg": reorg,
    "reorg3d": reorg3d,
    "crop": crop,
    "activation": activation,
    "dropout": dropout,
    "empty": empty,
    "cost": empty,
}
