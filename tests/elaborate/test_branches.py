"""`if` as a statement: which branch runs, what it may hold, and what its names mean behind it."""

from __future__ import annotations

import pytest
from elaborating import HEAD, elaborated, errors_of, graph_of, shapes, value_of, words

from cnndsl.diagnostics import CompileError

BRANCHES = """
if n < 1 {
  y = x -> relu
} else if n == 1 {
  y = x -> tanh
} else {
  y = x -> sigmoid
}
output z = y
"""
PARAMETER = "network net(n = 0)\ninput x: float32[N, 3, H, W]\n"


@pytest.mark.parametrize(("n", "word"), [(0, "Relu"), (1, "Tanh"), (2, "Sigmoid"), (-3, "Relu")])
def test_the_first_branch_whose_condition_holds_runs(n: int, word: str) -> None:
    assert words(graph_of(BRANCHES, PARAMETER, n=n)) == [word]


def test_a_condition_behind_the_branch_taken_is_not_evaluated() -> None:
    body = "if true {\n  y = x\n} else if 1 // 0 == 0 {\n  y = x\n}\noutput z = y -> relu"
    assert words(graph_of(body)) == ["Relu"]


def test_without_else_nothing_may_run() -> None:
    body = "y = x -> relu\nif n == 1 {\n  y = y -> tanh\n}\noutput z = y"
    assert words(graph_of(body, PARAMETER)) == ["Relu"]
    assert words(graph_of(body, PARAMETER, n=1)) == ["Relu", "Tanh"]


def test_outputs_can_be_switched() -> None:
    body = "output y = x -> relu\nif n > 0 {\n  if n > 1 {\n    output aux = x -> tanh\n  }\n}"
    assert shapes(graph_of(body, PARAMETER)).keys() == {"y"}
    assert words(graph_of(body, PARAMETER)) == ["Relu"]
    assert shapes(graph_of(body, PARAMETER, n=2)).keys() == {"y", "aux"}


def test_a_name_that_is_already_bound_can_be_an_output_of_a_branch() -> None:
    body = "t = x -> tanh\noutput y = x -> relu\nif n == 1 {\n  output t\n}"
    assert elaborated(body, PARAMETER, n=1).warnings == ()
    assert [o.name for o in elaborated(body, PARAMETER, n=1).graph.outputs] == ["y", "t"]


def test_a_network_whose_every_output_is_switched_off_has_none() -> None:
    body = "if n == 1 {\n  output y = x -> relu\n}"
    assert errors_of(body, PARAMETER, n=1) == []
    assert [code for code, _ in errors_of(body, PARAMETER)] == ["CNN316"]


def test_branches_in_blocks_and_loops() -> None:
    body = (
        "block f(x, deep) {\n if deep {\n  for i in range(3) {\n   if i != 1 { x = x -> relu }\n"
        "  }\n } else { x = x -> tanh }\n return x\n}\noutput y = x -> f(true) -> f(false)"
    )
    assert words(graph_of(body)) == ["Relu", "Relu", "Tanh"]


def test_claims_of_a_branch_are_checked_when_it_is_taken() -> None:
    body = (
        "output y = x -> conv1x1(n)\nif n == 2 { assert params == 8 } else { assert params == 9 }"
    )
    assert errors_of(body, PARAMETER, n=2) == []
    assert errors_of(body, PARAMETER, n=3) == [("CNN501", "params == 9")]


def test_let_in_a_branch_is_fixed_behind_it() -> None:
    assert value_of("k", "if 2 > 1 { let k = 5 } else { let k = 6 }") == "5"
    body = "if 2 > 1 { let k = 5 }\nk = 6\noutput y = x -> conv1x1(k)"
    assert [code for code, _ in errors_of(body)] == ["CNN308"]


def test_a_name_of_a_branch_that_is_not_taken_says_so() -> None:
    body = "if n == 1 {\n  for i in [3] { k = i }\n}\noutput y = x -> conv1x1(k) -> relu"
    assert errors_of(body, PARAMETER, n=1) == []
    with pytest.raises(CompileError) as caught:
        elaborated(body, PARAMETER)
    (found,) = caught.value.diagnostics
    assert found.code == "CNN301"
    assert "in a branch of `if` that is not taken" in found.message
    assert [r.span.line for r in found.related] == [4]
    for name in ("i", "k"):
        assert errors_of(body.replace("(k)", f"({name})"), PARAMETER) == [("CNN301", name)]


def test_names_of_a_branch_not_taken_hide_nothing() -> None:
    body = (
        "let k = 4\nif false { k = 5 }\nif false { relu = 5 }\noutput y = x -> conv1x1(k) -> relu"
    )
    assert shapes(graph_of(body)) == {"y": "float32[N, 4, H, W]"}


def test_a_condition_must_be_decided() -> None:
    for condition, code in (("H > 8", "CNN207"), ("3", "CNN309"), ("missing", "CNN301")):
        body = f"if {condition} {{\n  y = x -> relu\n  output w = y\n}}\noutput z = y"
        assert [found for found, _ in errors_of(body)] == [code], condition
    body = "if H > 8 { output y = x -> relu }"
    assert [found for found, _ in errors_of(body)] == ["CNN207"], "and not that there is no output"
    sized = HEAD.replace("H, W", "16, W")
    assert words(graph_of("if x.height > 8 { output y = x -> relu }", sized)) == ["Relu"]


@pytest.mark.parametrize(
    "statement",
    ["network b", 'import "std/conv.cnn"', "input z: float32[N]", "block f = relu", "return x"],
)
@pytest.mark.parametrize("taken", ["true", "false"])
def test_what_may_not_stand_in_a_branch(statement: str, taken: str) -> None:
    body = f"block g(x) {{\n if {taken} {{\n  {statement}\n }}\n return x -> relu\n}}\n"
    assert errors_of(body + "output y = x -> g") == [("CNN315", statement)]


def test_outputs_stand_in_branches_of_the_network_only() -> None:
    for body in (
        "block f(x) {\n if true {\n  output z = x\n }\n return x -> relu\n}\noutput y = x -> f",
        "for i in [1] {\n if true {\n  output z = x\n }\n}\noutput y = x -> relu",
    ):
        assert errors_of(body) == [("CNN315", "output z = x")]


def test_unused_names_of_branches_are_found() -> None:
    body = "if n == 1 {\n  a = x -> tanh\n} else {\n  b = 3\n}\noutput y = x -> relu"
    assert [w.span.text for w in elaborated(body, PARAMETER).warnings if w.span] == ["a", "b"]
    read = "if n == 1 {\n  a = x -> tanh\n  output b = a\n}\noutput y = x -> relu"
    assert elaborated(read, PARAMETER).warnings == ()


def test_a_thousand_branches_in_a_row_need_no_stack() -> None:
    body = " else ".join(f"if n == {i} {{ k = {i} }}" for i in range(1000))
    graph = graph_of(f"{body} else {{ k = 1 }}\noutput y = x -> conv1x1(k)", PARAMETER, n=999)
    assert shapes(graph) == {"y": "float32[N, 999, H, W]"}


def test_at_usual_size_tells_whether_a_symbol_was_set_otherwise() -> None:
    head = "network net(classes = 3)\ninput x: float32[N, 3, H = 32, 2*w = 64]\n"
    body = "output y = x -> relu\nif at_usual_size {\n assert x.channels == 4\n}"
    failed = [("CNN501", "x.channels == 4")]
    assert errors_of(body, head) == failed
    assert errors_of(body, head, H=32, w=32, classes=4) == failed
    assert errors_of(body, head, H=33) == []
    assert errors_of(body, head, w=31) == []
    early = "network net\nlet early = at_usual_size\ninput x: float32[N, 3]\n"
    assert errors_of("output y = x", early) == [("CNN315", "at_usual_size")]
    assert errors_of("at_usual_size = 3\noutput y = x", head) == [("CNN308", "at_usual_size")]
