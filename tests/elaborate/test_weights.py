"""Which layers get a bias, and which share their weights."""

from __future__ import annotations

import pytest
from elaborating import errors_of, graph_of


def bias(body: str) -> bool | None:
    return getattr(graph_of(body).nodes[0].op, "bias", None)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("output y = x -> conv3x3(4)", True),
        ("output y = x -> conv3x3(4) -> relu", True),
        ("output y = x -> conv3x3(4) -> bn", False),
        ("output y = x -> conv3x3(4, bias=true) -> bn", True),
        ("output y = x -> conv3x3(4, bias=false) -> relu", False),
        ("output y = x -> dwconv3x3 -> bn", False),
        ("output y = x -> deconv2x2(4, stride=2) -> bn", False),
        # someone else reads the result too
        ("a = x -> conv3x3(4)\noutput y = (a -> bn) + a", True),
        ("a = x -> conv3x3(4)\noutput y = (a -> bn) + (a -> bn)", True),
        ("output a = x -> conv3x3(4)\noutput y = a -> bn", True),
    ],
)
def test_bias_is_left_out_where_a_batch_norm_alone_reads(body: str, expected: bool) -> None:
    assert bias(body) is expected


def test_no_field_is_left_undecided() -> None:
    graph = graph_of("output y = x -> conv3x3(4) -> maxpool2x2 -> flatten")
    assert [(getattr(n.op, "bias", 0), getattr(n.op, "stride", 0)) for n in graph.nodes] == [
        (True, (1, 1)),
        (0, (2, 2)),
        (0, 0),
    ]


def params(body: str) -> list[tuple[str, ...]]:
    return [n.params for n in graph_of(body).nodes if n.params]


def test_a_shared_layer_makes_its_weights_once() -> None:
    body = "f = share(conv3x3(3) -> relu -> conv1x1(3))\noutput y = x -> f -> f"
    first, second = ("conv3x3.weight", "conv3x3.bias"), ("conv1x1.weight", "conv1x1.bias")
    assert params(body) == [first, second, first, second]
    assert len(graph_of(body).parameters) == 4


def test_uses_of_a_block_do_not_share() -> None:
    body = "block f(n) = conv3x3(n)\noutput y = x -> f(3) -> f(3)"
    assert params(body) == [
        ("f.conv3x3.weight", "f.conv3x3.bias"),
        ("f_2.conv3x3.weight", "f_2.conv3x3.bias"),
    ]


def test_repeating_a_shared_layer_and_sharing_within() -> None:
    assert len(set(params("output y = x -> share(conv3x3(3)) ** 4"))) == 1
    nested = (
        "block f(x) {\n inner = share(conv3x3(3))\n return x -> inner -> inner -> conv1x1(3)\n}\n"
        "g = share(f)\noutput y = x -> g -> g"
    )
    assert [p[0] for p in params(nested)] == [
        "f.conv3x3.weight",
        "f.conv3x3.weight",
        "f.conv1x1.weight",
    ] * 2


def test_sharing_decides_the_bias_for_all_uses() -> None:
    graph = graph_of("f = share(conv3x3(3))\na = x -> f -> bn\noutput y = a -> f -> relu")
    convs = [n for n in graph.nodes if n.label.startswith("conv")]
    assert [getattr(n.op, "bias", None) for n in convs] == [True, True]
    graph = graph_of("f = share(conv3x3(3))\na = x -> f -> bn\noutput y = a -> f -> bn")
    convs = [n for n in graph.nodes if n.label.startswith("conv")]
    assert [getattr(n.op, "bias", None) for n in convs] == [False, False]


def test_sharing_what_does_not_fit() -> None:
    assert errors_of("f = share(conv3x3(8))\noutput y = x -> f -> f") == [("CNN213", "conv3x3(8)")]
    grows = (
        "block f(x) {\n y = x -> conv1x1(4)\n return y if x.channels == 3 else y -> conv1x1(4)\n}\n"
        "g = share(f)\noutput z = x -> g\noutput w = x -> conv1x1(4) -> g"
    )
    assert [code for code, _ in errors_of(grows)] == ["CNN213"]


def test_parameters_are_named_by_their_layer() -> None:
    graph = graph_of("block stem(n) = conv3x3(n) -> bn\noutput y = x -> stem(4)")
    assert {p.value.name: str(p.value.type) for p in graph.parameters} == {
        "stem.conv3x3.weight": "float32[4, 3, 3, 3]",
        "stem.bn.weight": "float32[4]",
        "stem.bn.bias": "float32[4]",
        "stem.bn.running_mean": "float32[4]",
        "stem.bn.running_var": "float32[4]",
    }
