"""The reference backend: what it checks, and in which precision it works."""

from __future__ import annotations

import numpy as np
import pytest
from properties.networks import GraphBuilder, float32, graph_of, int64, random_weights

from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError
from cnndsl.ops.conv import Conv
from cnndsl.ops.elementwise import Add
from cnndsl.ops.embedding import Embedding
from cnndsl.types.extents import Dim
from cnndsl.types.padding import Valid

CONV = Conv(out_channels=2, kernel=(3,), stride=(1,), dilation=(1,), bias=True)


def messages(error: pytest.ExceptionInfo[CompileError]) -> list[tuple[str, str]]:
    return [(d.code, d.message) for d in error.value.diagnostics]


def test_float64_in_gives_float64_out() -> None:
    graph = graph_of(CONV, [float32("N", 3, "L")])
    weights = random_weights(graph, 0)
    x = np.random.default_rng(1).standard_normal((2, 3, 7))
    assert run(graph, {"x": x}, weights)["y"].dtype == np.float64
    single = run(graph, {"x": x.astype(np.float32)}, weights)["y"]
    assert single.dtype == np.float32
    double = run(graph, {"x": x}, weights)["y"]
    np.testing.assert_allclose(single, double, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("error")
def test_what_overflows_is_a_result_without_a_warning() -> None:
    graph = graph_of(CONV, [float32("N", 3, "L")])
    weights = {name: np.ones_like(w) for name, w in random_weights(graph, 0).items()}
    x = np.full((1, 3, 5), 3e38, np.float32)
    assert np.isposinf(run(graph, {"x": x}, weights)["y"]).all()
    x[0, 0, 0], x[0, 1, 0] = np.inf, -np.inf
    assert np.isnan(run(graph, {"x": x}, weights)["y"][0, 0, 0])


def test_integer_inputs_take_the_precision_of_the_weights() -> None:
    graph = graph_of(Embedding(entries=5, features=3), [int64("N", "L")])
    weights = random_weights(graph, 0)
    numbers = np.array([[0, 4, 2]])
    assert run(graph, {"x": numbers}, weights)["y"].dtype == np.float32
    wide = {name: w.astype(np.float64) for name, w in weights.items()}
    assert run(graph, {"x": numbers}, wide)["y"].dtype == np.float64


def test_a_value_that_is_read_later_or_is_an_output_is_kept() -> None:
    b = GraphBuilder()
    x = b.input("x", float32("N", 2))
    first = b.add(Add(), x, x)
    second = b.add(Add(), first, first)
    third = b.add(Add(), second, x)
    graph = b.graph(first, third, again=first, x=x)
    one = np.ones((1, 2), np.float32)
    results = run(graph, {"x": one}, {})
    assert {name: float(v[0, 0]) for name, v in results.items()} == {
        first: 2,
        third: 5,
        "again": 2,
        "x": 1,
    }


@pytest.mark.parametrize(
    "inputs, expected",
    [
        ({}, [("CNN803", "input a is missing; it is float32[N, 2, 2*h]"), ("CNN803", "input b")]),
        ({"a": (1, 2, 4), "b": (1, 2, 4), "c": (1,)}, [("CNN803", "the network has no input c")]),
        ({"a": (1, 2, 4), "b": (2, 2, 4)}, [("CNN803", "axis 0 of b is N")]),
        ({"a": (1, 3, 4), "b": (1, 2, 4)}, [("CNN803", "axis 1 of a is 2")]),
        ({"a": (1, 2, 5), "b": (1, 2, 5)}, [("CNN803", "axis 2 of a is 2*h")]),
        ({"a": (1, 2), "b": (1, 2, 4)}, [("CNN803", "a is float32[N, 2, 2*h], of 3 axes")]),
    ],
)
def test_inputs_that_do_not_fit_are_named(inputs, expected) -> None:
    b = GraphBuilder()
    type_ = float32("N", 2, Dim.symbol("h") * 2)
    graph = b.graph(b.add(Add(), b.input("a", type_), b.input("b", type_)))
    arrays = {name: np.zeros(shape, np.float32) for name, shape in inputs.items()}
    with pytest.raises(CompileError) as error:
        run(graph, arrays, {})
    found = messages(error)
    assert len(found) == len(expected)
    for (code, message), (wanted_code, start) in zip(found, expected):
        assert code == wanted_code
        assert message.startswith(start)


def test_a_dtype_that_would_be_converted_is_refused() -> None:
    graph = graph_of(CONV, [float32("N", 3, "L")])
    with pytest.raises(CompileError, match="got dtype int64"):
        run(graph, {"x": np.zeros((1, 3, 4), np.int64)}, random_weights(graph, 0))


def test_a_size_too_small_for_a_window_is_refused() -> None:
    conv = Conv(out_channels=1, kernel=(5,), padding=Valid(), bias=False)
    graph = graph_of(conv, [float32("N", 1, "L")])
    with pytest.raises(CompileError, match=r"CNN204.*too small"):
        run(graph, {"x": np.zeros((1, 1, 4), np.float32)}, random_weights(graph, 0))


def test_weights_that_are_missing_or_of_another_shape_are_named() -> None:
    graph = graph_of(CONV, [float32("N", 3, "L")])
    weights = random_weights(graph, 0)
    weight, bias = weights
    x = {"x": np.zeros((1, 3, 4), np.float32)}
    with pytest.raises(CompileError) as error:
        run(graph, x, {weight: weights[weight][:1]})
    assert [d.code for d in error.value.diagnostics] == ["CNN604", "CNN602"]
    assert bias in error.value.diagnostics[1].message
