"""Published receptive fields layer by layer: size, jump and effective padding where known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cnndsl import resources
from cnndsl.analysis.receptive_field import ReceptiveFields, ValueField, receptive_fields
from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.pool import MaxPool
from cnndsl.ops.shape import Concat

EXAMPLES = Path(__file__).parents[2] / "examples"


def graph_of(name: str) -> Graph:
    return load(EXAMPLES / f"{name}.cnn").graph


def layers(graph: Graph, *ops: type) -> Iterator[tuple[Node, ValueField]]:
    """Yield the nodes of some ops in the order of the program, with their fields."""
    fields = receptive_fields(graph)
    for node in graph.nodes:
        if isinstance(node.op, ops):
            yield node, field_of(fields, node.output.name)


def field_of(fields: ReceptiveFields, value: str) -> ValueField:
    field = fields.of(value)
    assert field is not None
    return field


def rows(graph: Graph, *ops: type) -> list[tuple[int, int, int]]:
    """Return size, jump and effective padding of each layer, the same for both axes."""
    found = []
    for _, field in layers(graph, *ops):
        (row,) = {(axis.size, int(axis.jump), axis.effective_padding) for axis in field.hull}
        found.append(row)
    return found


def sizes_and_jumps(graph: Graph, *ops: type) -> list[tuple[int, int]]:
    return [(size, jump) for size, jump, _ in rows(graph, *ops)]


def test_alexnet() -> None:
    """The rows of slim's alexnet_v2 in google-research/receptive_field."""
    graph = graph_of("alexnet")
    assert rows(graph, Conv, MaxPool) == [
        (11, 4, 0),
        (19, 8, 0),
        (51, 8, 16),
        (67, 16, 16),
        (99, 16, 32),
        (131, 16, 48),
        (163, 16, 64),
        (195, 32, 64),
    ]
    assert field_of(receptive_fields(graph), "dense").receptive_field_px == (355, 355)


def test_vgg16() -> None:
    graph = graph_of("vgg16")
    sizes = [size for size, _, _ in rows(graph, Conv, MaxPool)]
    assert sizes == [3, 5, 6, 10, 14, 16, 24, 32, 40, 44, 60, 76, 92, 100, 132, 164, 196, 212]
    dense = field_of(receptive_fields(graph), "vgg_classifier.dense")
    assert dense.receptive_field_px == (404, 404)


def test_googlenet() -> None:
    graph = graph_of("googlenet")
    assert sizes_and_jumps(graph, MaxPool)[:2] == [(11, 4), (27, 8)]
    modules = [(59, 8), (91, 8), (171, 16), (235, 16), (299, 16), (363, 16), (427, 16)]
    assert sizes_and_jumps(graph, Concat) == [*modules, (587, 32), (715, 32)]
    between = [field for node, field in layers(graph, MaxPool) if node.label.startswith("pool")]
    assert [field.receptive_field_px[0] for field in between] == [11, 27, 107, 459]
    mean = field_of(receptive_fields(graph), "global_avgpool")
    assert mean.receptive_field_px == (907, 907)


def test_inception_v3_end_points() -> None:
    """The end points of slim's inception_v3, the names of the paper's table beside them."""
    graph = graph_of("inception_v3")
    stem = [
        (node.label, field)
        for node, field in layers(graph, Conv, MaxPool)
        if not node.label.startswith(("inception", "reduction"))
    ]
    assert [(f.hull[0].size, f.hull[0].jump) for _, f in stem] == [
        (3, 2),
        (7, 2),
        (11, 2),
        (15, 4),
        (15, 4),
        (23, 4),
        (31, 8),
    ]
    joined = [
        (field.hull[0].size, field.hull[0].jump)
        for node, field in layers(graph, Concat)
        if "cross" not in node.label
    ]
    assert joined == [
        (63, 8),  # Mixed_5b
        (95, 8),
        (127, 8),
        (159, 16),  # Mixed_6a
        (351, 16),
        (543, 16),
        (735, 16),
        (927, 16),
        (1055, 32),  # Mixed_7a
        (1183, 32),
        (1311, 32),
    ]


def test_inception_v3_sees_rows_and_columns_apart() -> None:
    """In Mixed_7c the branch that ends in 1x3 sees 1311 along W, the one in 3x1 but 1247."""
    ends = {
        node.op.kernel: field
        for node, field in layers(graph_of("inception_v3"), Conv)
        if node.label.startswith("inception_e_2.cross_2.") and isinstance(node.op, Conv)
    }
    assert ends[1, 3].receptive_field_px == (1247, 1311)
    assert ends[3, 1].receptive_field_px == (1311, 1247)


MOBILENET = [3, 7, 11, 19, 27, 43, 59, 91, 123, 155, 187, 219, 251, 315]
STRIDES = [2, 2, 4, 4, 8, 8, *[16] * 6, 32, 32]


def test_mobilenet_v1() -> None:
    graph = graph_of("mobilenet_v1")
    wide = [
        (field.hull[0].size, field.hull[0].jump)
        for node, field in layers(graph, Conv, DepthwiseConv)
        if "conv1x1" not in node.label
    ]
    assert wide == list(zip(MOBILENET, STRIDES, strict=True))


@pytest.mark.parametrize(("padding", "effective"), [("1", 157), ("same", 126)])
def test_mobilenet_v1_as_tensorflow_pads_it(tmp_path: Path, padding: str, effective: int) -> None:
    """With stride 2 on even maps `same` pads on the right alone: less on the left in all."""
    library = (resources.library() / "std" / "separable.cnn").read_text(encoding="utf-8")
    program = (EXAMPLES / "mobilenet_v1.cnn").read_text(encoding="utf-8")
    ours = 'import "separable.cnn"'
    for name, text in (
        ("separable.cnn", library),
        ("net.cnn", program.replace('import "std/separable.cnn"', ours)),
    ):
        assert "padding=1" in text
        (tmp_path / name).write_text(text.replace("padding=1", f"padding={padding}"))
    last = rows(load(tmp_path / "net.cnn").graph, DepthwiseConv)[-1]
    assert last == (315, 32, effective)
