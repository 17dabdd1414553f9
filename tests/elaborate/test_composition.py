"""Arrows, powers, fan-outs, sums and products of layers, and what they build."""

from __future__ import annotations

import pytest
from elaborating import errors_of, graph_of, labels, shapes, words


def edges(body: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(type(n.op).__name__, n.inputs) for n in graph_of(body).nodes]


def test_a_chain_applies_from_left_to_right() -> None:
    assert edges("output y = x -> relu -> tanh") == [("Relu", ("x",)), ("Tanh", ("relu",))]


def test_a_headless_chain_is_a_layer() -> None:
    body = "f = relu -> tanh\noutput y = x -> f -> f"
    assert words(graph_of(body)) == ["Relu", "Tanh"] * 2


@pytest.mark.parametrize("times", [0, 1, 3])
def test_power_repeats_with_weights_of_its_own(times: int) -> None:
    graph = graph_of(f"output y = x -> conv3x3(3) ** {times} -> relu")
    assert words(graph) == ["Conv"] * times + ["Relu"]
    assert len({p.value.name for p in graph.parameters}) == 2 * times


def test_power_groups_to_the_right() -> None:
    assert words(graph_of("output y = x -> relu ** 2 ** 3")) == ["Relu"] * 8


def test_a_list_of_layers_fans_out_and_concatenates() -> None:
    graph = graph_of("output y = x -> [conv1x1(4), conv3x3(5) -> relu]")
    assert edges("output y = x -> [conv1x1(4), conv3x3(5) -> relu]") == [
        ("Conv", ("x",)),
        ("Conv", ("x",)),
        ("Relu", ("conv3x3",)),
        ("Concat", ("conv1x1", "relu")),
    ]
    assert shapes(graph) == {"y": "float32[N, 9, H, W]"}


def test_a_list_of_one_layer_makes_no_concat() -> None:
    assert words(graph_of("output y = x -> [relu]")) == ["Relu"]


@pytest.mark.parametrize(("operator", "op"), [("+", "Add"), ("-", "Sub"), ("*", "Mul")])
def test_elementwise_layers_fan_out(operator: str, op: str) -> None:
    found = edges(f"output y = x -> (relu {operator} tanh)")
    assert found == [("Relu", ("x",)), ("Tanh", ("x",)), (op, ("relu", "tanh"))]


@pytest.mark.parametrize(("operator", "op"), [("+", "Add"), ("-", "Sub"), ("*", "Mul")])
def test_elementwise_tensors(operator: str, op: str) -> None:
    found = edges(f"a = x -> relu\noutput y = a {operator} x")
    assert found[-1] == (op, ("a", "x"))


@pytest.mark.parametrize(
    ("expression", "scale", "shift"),
    [
        ("x * 2", 2.0, 0.0),
        ("2 * x", 2.0, 0.0),
        ("x + 3", 1.0, 3.0),
        ("3 + x", 1.0, 3.0),
        ("x - 3", 1.0, -3.0),
        ("3 - x", -1.0, 3.0),
        ("-x", -1.0, 0.0),
    ],
)
def test_a_tensor_and_a_number(expression: str, scale: float, shift: float) -> None:
    (node,) = graph_of(f"output y = {expression}").nodes
    assert type(node.op).__name__ == "Affine"
    assert (getattr(node.op, "scale", None), getattr(node.op, "shift", None)) == (scale, shift)


def test_lists_of_lists_of_tensors_concatenate_all() -> None:
    body = "y = x\nfor i in range(3) { y = [y, y -> conv1x1(i + 1)] }\noutput z = y -> relu"
    *_, concat, _ = graph_of(body).nodes
    assert concat.inputs == ("x", "conv1x1", "conv1x1_2", "conv1x1_3")
    assert errors_of("output y = [[x, x], 3] -> relu") == [("CNN309", "[[x, x], 3]")]
    tower = "y = x\nfor i in range(60) { y = [y, y] }\noutput z = y -> relu"
    assert [code for code, _ in errors_of(tower)] == ["CNN401"]


def test_a_list_of_tensors_concatenates_and_a_tuple_passes_several() -> None:
    concatenated = edges("a = x -> relu\noutput y = [a, x] -> tanh")
    assert concatenated[1:] == [("Concat", ("a", "x")), ("Tanh", ("concat",))]
    passed = edges("a = x -> relu\noutput y = (a, x) -> add")
    assert passed[1:] == [("Add", ("a", "x"))]
    assert errors_of("output y = (x, x) -> relu") == [("CNN311", "relu")]


def test_conditional_branches_hold_chains() -> None:
    body = "output y = x -> relu if x.channels == {} else x -> tanh -> relu"
    assert words(graph_of(body.format(3))) == ["Relu"]
    assert words(graph_of(body.format(4))) == ["Tanh", "Relu"]


def test_only_the_taken_branch_is_evaluated() -> None:
    assert errors_of("output y = x -> relu if true else x -> nothing") == []


def test_values_of_one_spatial_position_broadcast() -> None:
    body = "gate = x -> global_avgpool(keep_axes=true) -> sigmoid\noutput y = x * gate"
    assert shapes(graph_of(body)) == {"y": "float32[N, 3, H, W]"}


def test_extents_spread_over_the_axes_of_the_input() -> None:
    head = "network net\ninput x: float32[N, 3, 16, 16, 16]\n"
    graph = graph_of("output y = x -> conv(4, 2, kernel=3)", head)
    assert shapes(graph) == {"y": "float32[N, 4, 8, 8, 8]"}
    graph = graph_of("output y = x -> conv3x3x3(4, stride=(1, 2, 4))", head)
    assert shapes(graph) == {"y": "float32[N, 4, 16, 8, 4]"}
    assert errors_of("output y = x -> conv3x3x3(4, stride=(1, 2))", head) == [
        ("CNN311", "stride=(1, 2)")
    ]


@pytest.mark.parametrize(
    ("padding", "pairs"),
    [
        ("1", ((1, 1), (1, 1))),
        ("(1, 2)", ((1, 1), (2, 2))),
        ("((0, 1), (2, 3))", ((0, 1), (2, 3))),
        ("[(0, 1), 2]", ((0, 1), (2, 2))),
        ("1x2", ((1, 1), (2, 2))),
    ],
)
def test_explicit_padding(padding: str, pairs: tuple[tuple[int, int], ...]) -> None:
    (node,) = graph_of(f"output y = x -> conv3x3(4, padding={padding})").nodes
    assert getattr(getattr(node.op, "padding", None), "pairs", None) == pairs


def test_a_plain_pair_on_one_axis_is_before_and_after() -> None:
    head = "network net\ninput x: float32[N, 3, 16]\n"
    (node,) = graph_of("output y = x -> conv3(4, padding=(2, 0))", head).nodes
    assert getattr(getattr(node.op, "padding", None), "pairs", None) == ((2, 0),)


def test_pools_step_by_their_kernel() -> None:
    graph = graph_of("output y = x -> maxpool2x3 -> avgpool(kernel=2)")
    assert [getattr(n.op, "stride", None) for n in graph.nodes] == [(2, 3), (2, 2)]


def test_dilation_goes_by_two_names() -> None:
    (a,) = graph_of("output y = x -> conv3x3(4, dilation=2)").nodes
    (b,) = graph_of("output y = x -> conv3x3(4, rate=2)").nodes
    assert a.op == b.op
    assert errors_of("output y = x -> conv3x3(4, rate=2, dilation=2)") == [("CNN308", "dilation=2")]


def test_reshape_takes_any_number_of_extents() -> None:
    head = "network net\ninput x: float32[N, 4, 6]\n"
    assert shapes(graph_of("output y = x -> reshape(2, 3, 4)", head)) == {
        "y": "float32[N, 2, 3, 4]"
    }


def test_labels_count_from_the_second_use() -> None:
    graph = graph_of("output y = x -> (conv3x3(3) -> relu) ** 2 -> conv1x1(2)")
    assert labels(graph) == ["conv3x3", "relu", "conv3x3_2", "relu_2", "conv1x1"]


def test_concat_joins_a_list_once_along_its_own_axis() -> None:
    for layer in ("concat", "concat -> relu"):
        graph = graph_of(f"output y = [x, x -> relu] -> {layer}")
        assert [n.op.keyword for n in graph.nodes].count("concat") == 1
        assert str(graph.types["y"]) == "float32[N, 6, H, W]"
    graph = graph_of("join = concat -> relu\noutput y = [[x], x -> relu] -> join")
    assert [n.op.keyword for n in graph.nodes].count("concat") == 1
    graph = graph_of("output y = [x, x] -> concat(axis=2)")
    assert [n.op.keyword for n in graph.nodes] == ["concat"]
    assert str(graph.types["y"]) == "float32[N, 3, 2*H, W]"
