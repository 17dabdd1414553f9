"""Inputs, symbols, usual sizes, settings, outputs and claims about the whole network."""

from __future__ import annotations

import pytest
from elaborating import elaborated, errors_of, graph_of, shapes

from cnndsl.diagnostics import CompileError


def head(extents: str, parameters: str = "") -> str:
    return f"network net{parameters}\ninput x: float32[{extents}]\n"


def test_extents_are_numbers_symbols_formulas_and_parameters() -> None:
    graph = graph_of("output y = x -> relu", head("N, c, 16*h, 2*c + 1", "(c = 3)"))
    assert shapes(graph) == {"y": "float32[N, 3, 16*h, 7]"}
    assert graph.symbols == ("N", "h")


def test_usual_sizes() -> None:
    graph = graph_of("output y = x -> relu", head("N, 3, H = 224, 16*w = 256"))
    assert shapes(graph) == {"y": "float32[N, 3, H, 16*w]"}
    assert graph.usual_sizes == (("H", 224), ("w", 16))


def test_a_set_symbol_is_a_number_everywhere() -> None:
    body = "output y = x -> relu if x.height > 100 else x -> tanh\nassert H == 320"
    graph = graph_of(body, head("N, 3, H = 224, W"), H=320)
    assert shapes(graph) == {"y": "float32[N, 3, 320, W]"}
    assert graph.usual_sizes == ()


def test_parameters_are_set() -> None:
    begin = head("N, 3, 8, 8", "(width = 4, double = 2 * width, scale = 1.0, deep = false)")
    body = "output y = x -> conv1x1(round(double * scale)) -> (relu if deep else identity)"
    assert shapes(graph_of(body, begin)) == {"y": "float32[N, 8, 8, 8]"}
    assert shapes(graph_of(body, begin, width=5)) == {"y": "float32[N, 10, 8, 8]"}
    assert shapes(graph_of(body, begin, scale=2)) == {"y": "float32[N, 16, 8, 8]"}
    assert type(graph_of(body, begin, deep=True).nodes[-1].op).__name__ == "Relu"


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"widht": 3}, "CNN317"),
        ({"width": 2.5}, "CNN306"),
        ({"width": True}, "CNN306"),
        ({"H": 0}, "CNN307"),
        ({"H": 2.5}, "CNN306"),
        ({"H": 2**31}, "CNN307"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, float], code: str) -> None:
    begin = head("N, 3, H, W", "(width = 4)")
    found = errors_of("output y = x -> conv1x1(width)", begin, **settings)
    assert [c for c, _ in found] == [code]


def test_an_unknown_setting_gets_the_nearest_known() -> None:
    with pytest.raises(CompileError) as caught:
        elaborated("output y = x -> conv1x1(width)", head("N, 3, H, W", "(width = 4)"), widht=3)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "CNN317"
    assert diagnostic.help == "did you mean `width`?"


@pytest.mark.parametrize(
    ("begin", "code"),
    [
        (head("N, 3, 0, 8"), "CNN307"),
        (head("N, 3, 2.5, 8"), "CNN306"),
        (head("N, 3, 8, 8, 8, 8"), "CNN202"),
        (head("N"), "CNN202"),
        (head("N, 3, 2**31"), "CNN403"),
        (head("N, 3, 2**20, 2**20"), "CNN403"),
        (head("N, 3, H = 0"), "CNN307"),
        (head("N, 3, 16*h = 250"), "CNN212"),
        (head("N, 3, 8 = 8"), "CNN212"),
        (head("N, 3, a*b = 8"), "CNN212"),
        (head("N, 3, c = 8", "(c = 3)"), "CNN212"),
        (head("N, 3, 8", "(c)"), "CNN304"),
        (head("N, 3, 8", "(c = 1, c = 2)"), "CNN308"),
        (head("N, 3, 8").replace("network", "let n = 3\nnetwork"), "CNN315"),
        (head("N, 3, 8") + "network other\n", "CNN308"),
        (head("N, 3, 8") + "input x: float32[N, 3, 8]\n", "CNN308"),
    ],
)
def test_declarations_that_are_wrong(begin: str, code: str) -> None:
    assert [c for c, _ in errors_of("output y = x -> relu", begin)] == [code]


def test_inputs_share_symbols() -> None:
    begin = head("N, 3, H, W") + "input z: float32[N, 3, H, W]\n"
    assert shapes(graph_of("output y = x + z", begin)) == {"y": "float32[N, 3, H, W]"}
    begin = head("N, 3, H, W") + "input z: float32[N, 3, H, V]\n"
    assert [c for c, _ in errors_of("output y = x + z", begin)] == ["CNN205"]


def test_several_outputs() -> None:
    body = "a = x -> relu\noutput a\noutput b, c = x -> tanh, x\noutput d = a"
    graph = graph_of(body)
    assert [(o.name, o.value) for o in graph.outputs] == [
        ("a", "a"),
        ("b", "b"),
        ("c", "x"),
        ("d", "a"),
    ]
    assert errors_of("output a = x\noutput a = x -> relu") == [("CNN308", "a")]
    assert errors_of("output a, b = x") == [("CNN311", "x")]


def test_claims_count_one_sample_at_the_usual_size() -> None:
    body = "output y = x -> conv3x3(8)\nassert macs == {} and params == 224 and weight_bytes == 896"
    begin = head("N, 3, H = 10, W = 20")
    assert errors_of(body.format(8 * 27 * 200), begin) == []
    assert errors_of(body.format(8 * 27 * 201), begin) == [("CNN501", f"macs == {8 * 27 * 201}")]
    assert errors_of(body.format(8 * 27 * 400), begin, H=20) == []


def test_a_claim_sees_the_values_of_its_place() -> None:
    body = "n = 224\noutput y = x -> conv3x3(8)\nassert params == n\nn = 3\nassert n == 3"
    assert errors_of(body) == []


def test_an_assert_in_a_block_is_a_condition_on_its_use() -> None:
    body = (
        "block f(x) {\n assert x.channels % 4 == 0\n return x -> conv3x3(4)\n}\noutput y = x -> {}f"
    )
    assert errors_of(body.replace("{}f", "f")) == [("CNN501", "x.channels % 4 == 0")]
    assert errors_of(body.replace("{}f", "conv1x1(8) -> f")) == []
    in_block = "block f(x) {\n assert params < 3\n return x\n}\noutput y = x -> f"
    assert errors_of(in_block) == [("CNN315", "params")]
