"""Darknet's networks that are not in the gallery: as many numbers and operations as published.

Sizes of .weights files, and billions of operations (two per multiply-add), as Darknet's pages and
downloads have them.
"""

from __future__ import annotations

import numpy as np
import pytest
from importers.test_darknet_networks import of

from cnndsl.analysis.cost import summarize
from cnndsl.diagnostics import Source
from cnndsl.importers.darknet.importing import import_cfg

HALVE = "[maxpool] size=2 stride=2 "
YOLO = "[yolo] mask={} anchors=10,14,23,27,37,58,81,82,135,169,344,319 classes=80 num=6 "


def conv(filters: int, size: int, stride: int = 1) -> str:
    return (
        f"[convolutional] batch_normalize=1 filters={filters} size={size} stride={stride} pad=1 "
        "activation=leaky "
    )


def linear(filters: int) -> str:
    return f"[convolutional] size=1 stride=1 pad=1 filters={filters} activation=linear "


def waist(*filters: int) -> str:
    """Return kernels of 3x3, each followed by one of 1x1 with half the channels, but the last."""
    parts = [conv(f, 3) + conv(f // 2, 1) for f in filters[:-1]]
    return "".join(parts) + conv(filters[-1], 3)


def heads(masks: tuple[str, str], layer: int) -> str:
    """Return what YOLO's small networks end with."""
    return (
        f"{conv(256, 1)}{conv(512, 3)}{linear(255)}{YOLO.format(masks[0])}[route] layers=-4 "
        f"{conv(128, 1)}[upsample] stride=2 [route] layers=-1,{layer} "
        f"{conv(256, 3)}{linear(255)}{YOLO.format(masks[1])}"
    )


def partial(width: int) -> str:
    """Return a stage of YOLOv4-tiny: half of the channels goes through two layers."""
    return (
        f"{conv(width, 3)}[route] layers=-1 groups=2 group_id=1 {conv(width // 2, 3)}"
        f"{conv(width // 2, 3)}[route] layers=-1,-2 {conv(width, 1)}[route] layers=-6,-1 {HALVE}"
    )


YOLOV2 = (
    f"{conv(32, 3)}{HALVE}{conv(64, 3)}{HALVE}{waist(128, 128)}{HALVE}{waist(256, 256)}{HALVE}"
    f"{waist(512, 512, 512)}{HALVE}{waist(1024, 1024, 1024)}{conv(1024, 3)}{conv(1024, 3)}"
    f"[route] layers=-9 {conv(64, 1)}[reorg] stride=2 [route] layers=-1,-4 "
    f"{conv(1024, 3)}{linear(425)}[region] classes=80 coords=4 num=5 softmax=1"
)
YOLOV3_TINY = (
    "".join(conv(f, 3) + HALVE for f in (16, 32, 64, 128, 256))
    + f"{conv(512, 3)}[maxpool] size=2 stride=1 {conv(1024, 3)}"
    + heads(("3,4,5", "0,1,2"), 8)
)
YOLOV4_TINY = (
    conv(32, 3, 2) + conv(64, 3, 2) + partial(64) + partial(128) + partial(256) + conv(512, 3)
) + heads(("3,4,5", "1,2,3"), 23)


@pytest.mark.parametrize(
    ("sections", "size", "file_bytes", "billions", "outputs"),
    [
        (YOLOV2, 608, 203_934_260, 62.94, ["region_31"]),
        (YOLOV3_TINY, 416, 35_434_956, 5.56, ["yolo_16", "yolo_23"]),
        (YOLOV4_TINY, 416, 24_251_276, 6.91, ["yolo_30", "yolo_37"]),
    ],
    ids=["yolov2", "yolov3-tiny", "yolov4-tiny"],
)
def test_networks_have_the_published_counts(
    sections: str, size: int, file_bytes: int, billions: float, outputs: list[str]
) -> None:
    graph = import_cfg(Source("net.cfg", of(sections, size, size, 3))).graph
    numbers = sum(np.prod(p.spec.shape) for p in graph.parameters)
    header = 16 if sections == YOLOV2 else 20
    assert file_bytes == 4 * numbers + header
    flops = summarize(graph).flops
    assert isinstance(flops, int)
    assert flops / 1e9 == pytest.approx(billions, abs=0.006)
    assert [o.name for o in graph.outputs] == outputs
