"""Budgets as they are written, and what is said of those that are not."""

from __future__ import annotations

import pytest

from cnndsl.diagnostics import CompileError
from cnndsl.factorize.choosing.budget import Budget, Quantity, parse_budget


@pytest.mark.parametrize(
    "text, quantity, now, amount",
    [
        ("macs=0.5x", Quantity.MACS, 3000, 1500),
        ("params=2M", Quantity.PARAMS, 3000, 2_000_000),
        ("weight_bytes=1.5MB", Quantity.WEIGHT_BYTES, 1, 1_500_000),
        ("latency=0.6x", Quantity.LATENCY, 0.01, 0.006),
        ("latency=3ms", Quantity.LATENCY, 1, 0.003),
        ("latency=250us", Quantity.LATENCY, 1, 0.00025),
        ("latency=1.5s", Quantity.LATENCY, 1, 1.5),
        (" MACs = 1x ", Quantity.MACS, 7, 7),
    ],
)
def test_budgets_are_read(text: str, quantity: Quantity, now: float, amount: float) -> None:
    budget = parse_budget(text)
    assert budget.quantity is quantity
    assert budget.amount(now) == pytest.approx(amount)
    assert parse_budget(str(budget)) == budget


@pytest.mark.parametrize(
    "text, code, place, said",
    [
        ("macs", "CNN651", "macs", "QUANTITY=AMOUNT"),
        ("mac=0.5x", "CNN651", "mac", "nothing that a budget bounds"),
        ("macs=2x", "CNN651", "2x", "no share"),
        ("macs=0x", "CNN651", "0x", "no share"),
        ("latency=3", "CNN651", "3", "no time"),
        ("params=0", "CNN651", "0", "above zero"),
        ("latency=0ms", "CNN651", "0ms", "above zero"),
        ("params=2m", "CNN109", "2m", "not a number"),
        ("macs=3x3", "CNN651", "3x3", "a size"),
        ("macs=x", "CNN651", "x", "missing"),
        ("macs=nanx", "CNN109", "nan", "not a number"),
        ("params=" + 70 * "9", "CNN403", 70 * "9", "characters"),
    ],
)
def test_what_is_no_budget_is_located(text: str, code: str, place: str, said: str) -> None:
    with pytest.raises(CompileError, match=said) as caught:
        parse_budget(text)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    assert diagnostic.span is not None
    assert diagnostic.span.text == place


def test_a_share_is_not_an_amount() -> None:
    assert parse_budget("macs=0.5x") != Budget(Quantity.MACS, limit=0.5)
