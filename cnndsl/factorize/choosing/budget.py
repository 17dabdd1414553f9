"""Budgets as a user states them: macs=0.5x, params=2M, latency=3ms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from math import inf

from cnndsl.diagnostics import CompileError, Diagnostic, Source, Span
from cnndsl.syntax.ast import Number
from cnndsl.syntax.numerals import read_numeral


class Quantity(Enum):
    """What a budget bounds, for the whole network and one sample."""

    MACS = "macs"
    PARAMS = "params"
    WEIGHT_BYTES = "weight_bytes"
    LATENCY = "latency"

    @property
    def unit(self) -> str:
        return {"latency": "s", "weight_bytes": "bytes"}.get(self.value, self.value)


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `limit` of a quantity, in its unit; or `share` of what the network takes now."""

    quantity: Quantity
    limit: float | None = None
    share: float | None = None

    def amount(self, now: float) -> float:
        """Return the limit for a network that takes `now`."""
        if self.limit is not None:
            return self.limit
        assert self.share is not None
        return self.share * now

    def __str__(self) -> str:
        if self.share is not None:
            return f"{self.quantity.value}={self.share:g}x"
        assert self.limit is not None
        if self.quantity is Quantity.LATENCY:
            return f"{self.quantity.value}={self.limit * 1e3:g}ms"
        return f"{self.quantity.value}={int(self.limit):_}"


_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_TIME = re.compile(r"(.*?)(us|ms|s)")


def parse_budget(text: str) -> Budget:
    """Return the budget that a text states. Raises CompileError (CNN109, CNN403, CNN651)."""
    source = Source("--budget", text)
    name, equals, amount = text.partition("=")
    if not equals or not amount.strip():
        raise _wrong(
            "a budget is QUANTITY=AMOUNT",
            Span(source, 0, len(text)),
            "write macs=0.5x or params=2M",
        )
    quantity = _quantity(source, name)
    start = len(name) + 1 + len(amount) - len(amount.lstrip())
    amount = amount.strip()
    span = Span(source, start, start + len(amount))
    if amount.endswith("x"):
        share = _number(source, start, amount[:-1])
        if not 0 < share <= 1:
            raise _wrong(
                f"{amount} is no share of what the network takes now", span, "write 0.5x for half"
            )
        return Budget(quantity, share=share)
    if quantity is Quantity.LATENCY:
        timed = _TIME.fullmatch(amount)
        if timed is None:
            raise _wrong(f"{amount} is no time", span, f"write {amount}ms, or 0.5x for half")
        seconds = _number(source, start, timed[1]) * _SECONDS[timed[2]]
        return _positive(Budget(quantity, limit=seconds), span)
    return _positive(Budget(quantity, limit=_number(source, start, amount)), span)


def _quantity(source: Source, name: str) -> Quantity:
    word = name.strip().lower()
    known = [q.value for q in Quantity]
    if word in known:
        return Quantity(word)
    near = get_close_matches(word[:50], known, n=1)
    span = Span(source, len(name) - len(name.lstrip()), max(len(name.rstrip()), 1))
    raise _wrong(
        f"{name.strip()[:50]!a} is nothing that a budget bounds",
        span,
        f"did you mean {near[0]}?" if near else f"budgets bound {', '.join(known)}",
    )


def _number(source: Source, start: int, text: str) -> float:
    span = Span(source, start, start + len(text))
    if not text:
        raise _wrong("the number is missing", Span(source, start, start + 1), "write 0.5x for half")
    found = read_numeral(text, span)
    if not isinstance(found, Number):
        raise _wrong(f"{text} is a size", span, "give one number")
    return float(found.value)


def _positive(budget: Budget, span: Span) -> Budget:
    assert budget.limit is not None
    if not 0 < budget.limit < inf:
        raise _wrong("a budget is above zero", span, "write 0.5x for half of what it is now")
    return budget


def _wrong(message: str, span: Span, help: str) -> CompileError:
    return CompileError(Diagnostic(code="CNN651", message=message, span=span, help=help))
