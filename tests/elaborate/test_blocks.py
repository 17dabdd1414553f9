"""Blocks: parameters, input, results, scope, recursion, labels and names."""

from __future__ import annotations

from elaborating import elaborated, errors_of, graph_of, labels, shapes, value_of, words

UNIT = "block unit(x, width, depth = 1) {\n  return x -> conv3x3(width) ** depth\n}\n"


def test_a_braced_block_is_applied_with_an_arrow_or_called() -> None:
    for use in ("x -> unit(4)", "unit(x, 4)", "unit(x=x, width=4)", "unit(x, width=4)"):
        assert words(graph_of(f"{UNIT}output y = {use}")) == ["Conv"]


def test_defaults_see_parameters_before_them() -> None:
    body = "block f(a, b = 2 * a, c = a + b) = conv1x1(c)\noutput y = x -> f(3)"
    assert shapes(graph_of(body)) == {"y": "float32[N, 9, H, W]"}


def test_a_block_may_return_several_values() -> None:
    body = "block f(x) {\n return x -> relu, x -> tanh\n}\na, b = x -> f\noutput y = a * b"
    assert words(graph_of(body)) == ["Relu", "Tanh", "Mul"]


def test_a_block_may_take_several_inputs() -> None:
    body = (
        "block merge(x) {\n a, b = x\n return a * b\n}\n"
        "t = x -> tanh\noutput y = (x, t) -> merge -> relu"
    )
    assert [n.inputs for n in graph_of(body).nodes][1] == ("x", "t")


def test_a_block_sees_its_input() -> None:
    body = (
        "block f(x) {\n return x -> conv1x1(2 * x.channels) if x.rank == 4 else x\n}\n"
        "output y = x -> f ** 3"
    )
    assert shapes(graph_of(body)) == {"y": "float32[N, 24, H, W]"}


def test_a_block_of_numbers_is_a_function() -> None:
    assert value_of("twice(21)", "block twice(n) = 2 * n") == "42"


def test_layers_and_blocks_are_values() -> None:
    body = (
        "block twice(f) = f -> f\nblock unit(n) = conv1x1(n)\n"
        "block apply(make, n) = make(n)\n"
        "output y = x -> twice(relu) -> twice(twice(tanh)) -> apply(unit, 5)"
    )
    assert words(graph_of(body)) == ["Relu"] * 2 + ["Tanh"] * 4 + ["Conv"]


def test_blocks_may_be_used_before_they_are_declared_and_nest() -> None:
    body = (
        "output y = x -> outer\n"
        "block outer(x) {\n block inner(n) = conv1x1(n)\n return x -> inner(7) -> inner(8)\n}"
    )
    assert labels(graph_of(body)) == ["outer.inner.conv1x1", "outer.inner_2.conv1x1"]


def test_labels_are_paths_and_blocks_without_layers_leave_no_gap() -> None:
    body = (
        "block nothing(x) {\n return x\n}\n"
        "block unit(n) = conv1x1(n) -> nothing -> bn\n"
        "block stage(n, depth) = unit(n) ** depth -> maxpool2x2\n"
        "output y = x -> stage(4, 2) -> stage(8, 1)"
    )
    assert labels(graph_of(body)) == [
        "stage.unit.conv1x1",
        "stage.unit.bn",
        "stage.unit_2.conv1x1",
        "stage.unit_2.bn",
        "stage.maxpool2x2",
        "stage_2.unit.conv1x1",
        "stage_2.unit.bn",
        "stage_2.maxpool2x2",
    ]


def test_nodes_know_the_blocks_they_came_from() -> None:
    graph = graph_of("block unit(n) = conv1x1(n)\noutput y = x -> unit(4)")
    ((name, use),) = graph.nodes[0].path
    assert (name, use.text) == ("unit", "unit(4)")


def test_named_values_keep_their_names() -> None:
    body = (
        "block unit(x) {\n inner = x -> relu\n return inner -> tanh\n}\n"
        "a = x -> unit -> sigmoid\nb = a -> unit\na = b -> relu\noutput y = a"
    )
    names = [n.output.name for n in graph_of(body).nodes]
    assert names == ["unit.inner", "unit.tanh", "a", "unit_2.inner", "b", "a_2"]


def test_the_outermost_name_of_a_value_stays() -> None:
    body = (
        "block unit(x) {\n inner = x -> relu\n return inner\n}\nouter = x -> unit\noutput y = outer"
    )
    graph = graph_of(body)
    assert [n.output.name for n in graph.nodes] == ["outer"]
    assert [(o.name, o.value) for o in graph.outputs] == [("y", "outer")]


def test_made_up_names_never_take_a_name_of_the_source() -> None:
    graph = graph_of(
        "a = x -> relu\na = a -> relu\na_2 = a -> relu\n"
        "relu = a_2 -> tanh\noutput y = relu -> relu6"
    )
    names = [n.output.name for n in graph.nodes]
    assert names == ["a", "a_3", "a_2", "relu", "y"]


def test_an_output_has_its_name_alone() -> None:
    body = "y = x -> relu\noutput y = y -> tanh"
    graph = graph_of(body)
    assert [n.output.name for n in graph.nodes] == ["y_2", "y"]
    assert [(o.name, o.value) for o in graph.outputs] == [("y", "y")]
    graph = graph_of("h = x -> relu\ny = h -> tanh\noutput z = y\noutput y = h")
    assert [n.output.name for n in graph.nodes] == ["h", "y_2"]
    assert errors_of("output x = x -> relu") == [("CNN308", "x")]
    assert errors_of("output x") == []


def test_a_block_does_not_change_the_names_around_it() -> None:
    body = (
        "n = 4\nblock f(x) {\n n = 9\n return x -> conv1x1(n)\n}\noutput y = x -> f -> conv1x1(n)"
    )
    assert shapes(graph_of(body)) == {"y": "float32[N, 4, H, W]"}


def test_recursion_in_all_its_forms() -> None:
    assert [c for c, _ in errors_of("block f(x) {\n return x -> f\n}\noutput y = x -> f")] == [
        "CNN314"
    ]
    assert [c for c, _ in errors_of("block f(g) = g(g)\noutput y = x -> f(f)")] == ["CNN314"]
    through_a_default = "block f(n = g()) = n\nblock g(n = f()) = n\noutput y = x -> conv1x1(f())"
    assert [c for c, _ in errors_of(through_a_default)] == ["CNN314"]


def test_an_error_in_a_block_is_reported_once_with_its_trail() -> None:
    body = "block f(x) {\n return x -> conv3x3x3(4)\n}\noutput y = x -> f ** 3\noutput z = x -> f"
    assert errors_of(body) == [("CNN201", "conv3x3x3(4)")]


def test_a_failed_block_keeps_quiet_afterwards() -> None:
    body = (
        "a = x -> nothing\nb = a -> conv3x3(4)\nc = b.channels + 1\noutput y = [a, b] -> conv1x1(c)"
    )
    assert errors_of(body) == [("CNN302", "nothing")]


def test_unused_names() -> None:
    body = "a, _b = [x -> relu, 3]\nfor i in range(3) {\n  c = 4\n}\noutput y = x -> tanh"
    warned = [d.message for d in elaborated(body).warnings]
    assert warned == ["value `a` is never used", "value `c` is never used"]
