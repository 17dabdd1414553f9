"""Extents: formulas mean what their numbers mean, and equal ones look equal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.types import Dim, evaluate_extent, symbols_of
from cnndsl.types.extents import Extent, ceil_div, least, product, substitute

H, W = Dim.symbol("H"), Dim.symbol("W")
SIZES = st.fixed_dictionaries({"H": st.integers(1, 400), "W": st.integers(1, 400)})
NUMBERS = st.integers(-9, 9)


class Formula:
    """An expression, as extents compute it and as whole numbers do."""

    def __init__(self, extent: Extent, value) -> None:
        self.extent = extent
        self.value = value

    def __repr__(self) -> str:
        return str(self.extent)


LEAVES = st.one_of(
    st.sampled_from([Formula(H, lambda s: s["H"]), Formula(W, lambda s: s["W"])]),
    NUMBERS.map(lambda n: Formula(n, lambda s, n=n: n)),
)


def _grow(children):
    def add(a, b):
        return Formula(a.extent + b.extent, lambda s: a.value(s) + b.value(s))

    def subtract(a, b):
        return Formula(a.extent - b.extent, lambda s: a.value(s) - b.value(s))

    def multiply(a, b):
        return Formula(a.extent * b.extent, lambda s: a.value(s) * b.value(s))

    def divide(a, n):
        return Formula(a.extent // n, lambda s: a.value(s) // n)

    def remainder(a, n):
        return Formula(a.extent % n, lambda s: a.value(s) % n)

    def round_up(a, n):
        return Formula(ceil_div(a.extent, n), lambda s: -(-a.value(s) // n))

    divisors = st.integers(1, 7)
    return st.one_of(
        *(st.builds(f, children, children) for f in (add, subtract, multiply)),
        *(st.builds(f, children, divisors) for f in (divide, remainder, round_up)),
    )


FORMULAS = st.recursive(LEAVES, _grow, max_leaves=6)


@given(FORMULAS, SIZES)
def test_a_formula_has_the_value_of_its_arithmetic(formula, sizes):
    assert evaluate_extent(formula.extent, sizes) == formula.value(sizes)


@given(FORMULAS, SIZES)
def test_a_formula_never_falls_below_its_least(formula, sizes):
    lowest = least(formula.extent)
    assert lowest is None or formula.value(sizes) >= lowest


@given(FORMULAS, FORMULAS, SIZES)
def test_substitution_is_evaluation_in_steps(formula, inner, sizes):
    replaced = substitute(formula.extent, {"H": inner.extent})
    outer = {**sizes, "H": evaluate_extent(inner.extent, sizes)}
    assert evaluate_extent(replaced, sizes) == evaluate_extent(formula.extent, outer)


@given(FORMULAS, FORMULAS)
def test_sums_and_products_do_not_depend_on_the_order(a, b):
    assert a.extent + b.extent == b.extent + a.extent
    assert a.extent * b.extent == b.extent * a.extent
    assert a.extent - a.extent == 0


@given(FORMULAS)
def test_only_symbols_that_matter_are_listed(formula):
    sizes = dict.fromkeys(symbols_of(formula.extent), 5)
    evaluate_extent(formula.extent, sizes)
    assert isinstance(formula.extent, int) == (not sizes)


CANONICAL = [
    ((16 * H - 1) // 2 + 1, 8 * H, "8*H"),
    ((H - 1) // 2 + 1, (H + 1) // 2, "(H + 1) // 2"),
    (ceil_div(ceil_div(H, 2), 2), ceil_div(H, 4), "(H + 3) // 4"),
    (ceil_div(H, 2) * 2 // 2, ceil_div(H, 2), "(H + 1) // 2"),
    (H // 2 // 4, H // 8, "H // 8"),
    (H * W - W * H + H, H, "H"),
    ((4 * H + 6) // 2, 2 * H + 3, "2*H + 3"),
    ((3 * H) // 2, 3 * H // 2, "(3*H) // 2"),
    ((2 * H + 3) % 2, 1, "1"),
    (2 * H // -2, -H, "-H"),
    (product((2, H, W)), 2 * W * H, "2*H*W"),
    (1 - H, -H + 1, "-H + 1"),
]


@pytest.mark.parametrize("extent, same, text", CANONICAL, ids=[t for _, _, t in CANONICAL])
def test_equal_formulas_look_equal(extent, same, text):
    assert extent == same
    assert str(extent) == text


@pytest.mark.parametrize(
    "extent, lowest",
    [(7, 7), (H, 1), (16 * H - 3, 13), (H // 2, 0), (H * W + H, 2), (-H, None), (H - W, None),
     ((5 - H) // 2, None), ((4 * H + 1) // 2, 2), ((H - 5) // 2 + 3, 1)],
    ids=str,
)  # fmt: skip
def test_least(extent, lowest):
    assert least(extent) == lowest


def test_division_by_zero_and_missing_sizes_are_errors():
    with pytest.raises(ZeroDivisionError):
        H // 0
    with pytest.raises(KeyError):
        evaluate_extent(H + W, {"H": 1})
