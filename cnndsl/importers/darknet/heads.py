"""The ends of a network: softmax, and the detection layers, which become outputs."""

from __future__ import annotations

import textwrap

from cnndsl.importers.darknet.options import Options
from cnndsl.importers.darknet.state import Case, Importing
from cnndsl.ops.activation import Identity, Softmax
from cnndsl.ops.elementwise import Affine
from cnndsl.ops.shape import Reshape
from cnndsl.types.extents import Extent, product

_COLUMNS = 84
"""Of a comment, without its mark."""


def softmax(o: Options, s: Importing) -> str | None:
    groups, temperature = o.whole("groups", 1, 1), o.number("temperature", 1.0)
    if temperature <= 0:
        o.error("CNN307", "temperature must be above 0", o.span_of("temperature"))
    before = s.before(o)
    if o.failed or before is None:
        return None
    if o.flag("spatial") and any(e != 1 for e in s.type_of(before).spatial):
        message = "spatial=1 is not read: Darknet obeys it on a GPU and ignores it on a processor"
        o.error("CNN807", message, o.span_of("spatial"))
        return None
    x = s.as_vector(o, before)
    if x is not None and temperature != 1:
        x = s.emit(o, Affine(scale=1 / temperature), x)
    if x is None or groups == 1:
        return s.emit(o, Softmax(), x)
    features = s.type_of(x).channels
    if not isinstance(features, int) or features % groups:
        message = f"{features} elements cannot be divided into {groups} groups"
        o.error("CNN203", message, o.span_of("groups"))
        return None
    parts = s.emit(o, Reshape(shape=(groups, features // groups)), x)
    return s.as_vector(o, s.emit(o, Softmax(axis=2), parts))


def detection(o: Options, s: Importing) -> str | None:
    """A section that makes boxes: what it reads is an output, its settings are a comment."""
    index = o.section.index
    s.boxes.add(index)
    wanted = _wanted(o)
    x = s.before(o)
    if o.failed or x is None:
        return None
    shape = s.type_of(x)
    found = product(shape.shape[1:]) if o.name == "detection" else shape.channels
    if found != wanted:
        what = "elements" if o.name == "detection" else "channels"
        o.error(
            "CNN205",
            f"it reads {found} {what}, and its settings need {wanted}",
            o.span,
            f"give the layer before it {wanted} filters" if what == "channels" else None,
        )
        return None
    x = ending(o, s, x)
    if x is None:
        return None
    name = s.builder.add_output(f"{o.name}_{index}", x, o.span)
    layer = s.builder.layer_of(x)
    assert layer is not None
    settings = [f"{e.key}={''.join(e.value.split())}" for e in o.section.entries.values()]
    text = f"{name}: [{o.name}] makes boxes of it, by {' '.join(settings)}"
    lines = textwrap.wrap(text, _COLUMNS, break_long_words=False, break_on_hyphens=False)
    s.builder.comments[layer.label] = "\n".join(lines)
    return None


def ending(o: Options, s: Importing, x: str) -> str | None:
    """Return a value that can be an output: one that a layer makes, and that is none yet."""
    if s.builder.layer_of(x) is not None and not s.builder.is_output(x):
        return x
    return s.emit(o, Identity(), x)


def _wanted(o: Options) -> Extent:
    """Return how many channels, or elements, the boxes take."""
    least = 1
    classes = o.whole("classes", 1 if o.name == "detection" else 20, 0)
    boxes = o.whole("num", 1, least)
    match o.name:
        case "region":
            return boxes * (classes + o.whole("coords", 4, least) + 1)
        case "detection":
            side, coords = o.whole("side", 7, least), o.whole("coords", 1, least)
            return side * side * ((coords + 1) * boxes + classes)
    if o.given("mask"):
        masks = o.wholes("mask")
        for number, span in masks:
            if not 0 <= number < boxes:
                o.error("CNN318", f"mask has {number}, and num={boxes} boxes", span)
        boxes = len(masks)
    return boxes * (classes + (9 if o.name == "Gaussian_yolo" else 5))


CASES: dict[str, Case] = {
    "softmax": softmax,
    "yolo": detection,
    "Gaussian_yolo": detection,
    "region": detection,
    "detection": detection,
}
