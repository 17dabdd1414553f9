"""Numbers, lists, loops, attributes and functions."""

from __future__ import annotations

import pytest
from elaborating import errors_of, graph_of, shapes, value_of, words
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.diagnostics import Source, Span
from cnndsl.elaborate.comparison import UndecidedError, bounds, compare
from cnndsl.elaborate.context import Context
from cnndsl.elaborate.scope import Scope
from cnndsl.types.extents import Dim, Extent, evaluate_extent

HERE = Span(Source("here", "here"), 0, 4)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 // 2 + 7 % 2 * 10 - 2**3", "5"),
        ("-7 // 2", "-4"),
        ("-2**2", "-4"),
        ("2**3**2", "512"),
        ("2**-1", "0.5"),
        ("7 / 2", "3.5"),
        ("26M + 0", "26_000_000"),
        ("round(2.5) * 100 + round(3.5)", "304"),
        ("round(-2.5)", "-2"),
        ("floor(-1.5) + 10 * ceil(1.2)", "18"),
        ("int(-1.7)", "-1"),
        ("min(3, 1, 2) + max([5, 9])", "10"),
        ("sum([i * i for i in range(4)])", "14"),
        ("sum([a * b for a, b in zip([1, 2], [3, 4])])", "11"),
        ("sum([i * v for i, v in enumerate([5, 6, 7])])", "20"),
        ("len([1, 2] + [3] * 4)", "6"),
        ("reversed(range(2, 10, 3))[0]", "8"),
        ("[10, 20, 30][-1]", "30"),
        ("abs(-3) if not (1 > 2 or 2 > 3) and true else 0", "3"),
        ("1 if 3 in [1, 2, 3] else 0", "1"),
        ("x.channels + x.rank", "7"),
        ("x.height", "H"),
        ("x.height // 2 * 2 + x.shape[3]", "2*(H // 2) + W"),
        ("len(shape(x)) + 1", "5"),
        ("224x112[1]", "112"),
    ],
)
def test_values(expression: str, value: str) -> None:
    assert value_of(expression) == value


def test_loops_run_in_the_scope_around_them() -> None:
    body = (
        "n = 1\nfor a, b in [(1, 2), (3, 4)] {\n  let product = a * b\n  n = n + product\n}\n"
        "output y = x -> conv1x1(n + a)"
    )
    assert shapes(graph_of(body)) == {"y": "float32[N, 18, H, W]"}


def test_loops_build_networks() -> None:
    body = (
        "skips = 0 * x\nfor d in [1, 2, 4] {\n"
        "  x = x -> conv3x3(3, dilation=d)\n  skips = skips + x\n}\noutput y = skips"
    )
    assert words(graph_of(body)) == ["Affine", *["Conv", "Add"] * 3]


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        ("n = 1 / 0", "CNN319", "1 / 0"),
        ("n = x.height % 0", "CNN319", "x.height % 0"),
        ("n = 2**64", "CNN403", "2**64"),
        ("n = 9_223_372_036_854_775_807 + 1", "CNN403", "9_223_372_036_854_775_807 + 1"),
        ("n = 1e308 * 10", "CNN403", "1e308 * 10"),
        ("n = (-8) ** 0.5", "CNN309", "(-8) ** 0.5"),
        ("n = 1 + true", "CNN309", "1 + true"),
        ("n = not 1", "CNN309", "1"),
        ("n = 1 if 2 else 3", "CNN309", "2"),
        ("n = x.height * 0.5", "CNN207", "x.height * 0.5"),
        ("n = range(x.height)", "CNN207", "range(x.height)"),
        ("n = 1 if x.height > 5 else 2", "CNN207", "x.height > 5"),
        ("n = [1][1]", "CNN318", "1"),
        ("n = [1, x].channels", "CNN310", "channels"),
        ("n = x.length", "CNN310", "length"),
        ("n = (3)(4)", "CNN309", "3"),
        ("n = zip([1], [1, 2])", "CNN311", "zip([1], [1, 2])"),
        ("n = len(3)", "CNN306", "len(3)"),
        ("n = x -> upsample(2, mode=nearest)", "CNN301", "nearest"),
        ("n = len()", "CNN304", "len()"),
        ("n = len([1], [2])", "CNN305", "[2]"),
        ("n = range(1, 2, 0)", "CNN307", "range(1, 2, 0)"),
        ('n = "a" + "b"', "CNN309", '"a" + "b"'),
        ("let n = 3\nfor n in [1] {\n _m = n\n}", "CNN308", "n"),
        ("for i in 3 {\n _m = i\n}", "CNN309", "3"),
        ("params = 3", "CNN308", "params"),
        ("assert 1", "CNN309", "1"),
        ("n = covered(x)", "CNN315", "covered(x)"),
        ("n = macs", "CNN315", "macs"),
        ("assert covered(3)", "CNN306", "covered(3)"),
        ("assert receptive_field(x, 3) == 1", "CNN306", "receptive_field(x, 3)"),
        ("assert macs(x, x) < 3", "CNN305", "macs(x, x)"),
        ("assert receptive_field > 3", "CNN309", "receptive_field > 3"),
        ("assert peak_memory(x) < 3MB", "CNN309", "peak_memory(x)"),
        ("return x", "CNN315", "return x"),
    ],
)
def test_errors(body: str, code: str, place: str) -> None:
    assert errors_of(f"{body}\noutput y = x -> relu") == [(code, place)]


def test_true_division_and_floats_are_no_counts() -> None:
    assert errors_of("output y = x -> conv1x1(4.0)") == [("CNN306", "4.0")]


# ------------------------------------------------------- decisions about symbols

SYMBOLS = ("H", "W")
atoms: st.SearchStrategy[Extent] = st.one_of(
    st.sampled_from([Dim.symbol(s) for s in SYMBOLS]), st.integers(-9, 9)
)


def _grow(inner: st.SearchStrategy[Extent]) -> st.SearchStrategy[Extent]:
    return st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
        st.tuples(inner, st.integers(1, 4)).map(lambda p: p[0] // p[1]),
    )


formulas = st.recursive(atoms, _grow, max_leaves=6)
sizes = st.fixed_dictionaries({s: st.integers(1, 12) for s in SYMBOLS})


@given(formulas, sizes)
def test_bounds_hold_for_all_sizes(formula: Extent, at: dict[str, int]) -> None:
    low, high = bounds(formula)
    value = evaluate_extent(formula, at)
    assert low is None or low <= value
    assert high is None or value <= high


@given(formulas, formulas, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), sizes)
def test_what_is_decided_holds_for_all_sizes(
    left: Extent, right: Extent, operator: str, at: dict[str, int]
) -> None:
    try:
        decided = compare(Context(Scope()), operator, left, right, HERE)
    except UndecidedError:
        return
    a, b = evaluate_extent(left, at), evaluate_extent(right, at)
    assert (
        decided
        == {
            "==": a == b,
            "!=": a != b,
            "<": a < b,
            "<=": a <= b,
            ">": a > b,
            ">=": a >= b,
        }[operator]
    )


def test_a_product_with_a_factor_that_may_be_negative_is_not_bounded() -> None:
    height, width = Dim.symbol("H"), Dim.symbol("W")
    below_zero = (height - 5) // 2
    assert bounds(below_zero) == (-2, None)
    assert bounds(below_zero * width) == (None, None)


def test_decisions_about_symbols_that_must_be_made() -> None:
    for claim in ("x.height >= 1", "2 * x.height + 1 > 2", "x.height + 1 != x.height"):
        assert errors_of(f"output y = x -> relu\nassert {claim}") == []
    assert errors_of("output y = x -> relu\nassert x.height + 1 <= x.height") == [
        ("CNN501", "x.height + 1 <= x.height")
    ]
    assert errors_of("output y = x -> maxpool2x2\nassert y.height % 2 == 0") == [
        ("CNN503", "y.height % 2 == 0")
    ]
