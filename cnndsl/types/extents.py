"""Extents: integers, or integer polynomials over symbols and floor divisions.

A symbol stands for a whole number of at least one. Formulas are kept in a canonical form, so that
two extents that were computed in different ways compare equal whenever the form can show it:
with H = 16*h, (H - 1) // 2 + 1 is 8*h.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class FloorDiv:
    """floor(numerator / denominator), the numerator not a constant, the denominator above one."""

    numerator: Dim
    denominator: int

    def __str__(self) -> str:
        alone = len(self.numerator.terms) == 1 and str(self.numerator).isidentifier()
        numerator = str(self.numerator) if alone else f"({self.numerator})"
        return f"{numerator} // {self.denominator}"


Atom: TypeAlias = str | FloorDiv
Monomial: TypeAlias = tuple[Atom, ...]


@dataclass(frozen=True, slots=True)
class Dim:
    """A sum of coefficient * product of atoms; never a constant (that is an int)."""

    terms: tuple[tuple[Monomial, int], ...]

    @staticmethod
    def symbol(name: str) -> Dim:
        return Dim((((name,), 1),))

    def __add__(self, other: Extent) -> Extent:
        total = dict(self.terms)
        for monomial, coefficient in _terms(other):
            total[monomial] = total.get(monomial, 0) + coefficient
        return _canonical(total)

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return Dim(tuple((m, -c) for m, c in self.terms))

    def __sub__(self, other: Extent) -> Extent:
        return self + (-other)

    def __rsub__(self, other: Extent) -> Extent:
        return (-self) + other

    def __mul__(self, other: Extent) -> Extent:
        total: dict[Monomial, int] = {}
        for m1, c1 in self.terms:
            for m2, c2 in _terms(other):
                monomial = tuple(sorted(m1 + m2, key=str))
                total[monomial] = total.get(monomial, 0) + c1 * c2
        return _canonical(total)

    __rmul__ = __mul__

    def __floordiv__(self, other: int) -> Extent:
        """Divide, rounding down: whole terms leave the division, the rest stays inside it."""
        if not isinstance(other, int) or isinstance(other, bool):
            return NotImplemented
        if other == 0:
            raise ZeroDivisionError("extent divided by zero")
        if other < 0:
            return (-self) // (-other)
        if other == 1:
            return self
        whole: dict[Monomial, int] = {}
        rest: dict[Monomial, int] = {}
        for monomial, coefficient in self.terms:
            quotient, remainder = divmod(coefficient, other)
            # A constant gives up its whole part; a formula only when it divides exactly,
            # else (3*H) // 2 would become H + H // 2, which is no simpler.
            if remainder == 0 or monomial == ():
                whole[monomial] = quotient
                if remainder:
                    rest[monomial] = remainder
            else:
                rest[monomial] = coefficient
        inner = _canonical(rest)
        if isinstance(inner, int):
            atom: Extent = inner // other
        else:
            atom = _floordiv_atom(inner, other)
        return _canonical(whole) + atom

    def __mod__(self, other: int) -> Extent:
        return self - (self // other) * other

    def __str__(self) -> str:
        """Return the formula as a Python expression."""
        match self.terms:
            case (((FloorDiv() as alone,), 1),):
                return str(alone)
        parts: list[str] = []
        for monomial, coefficient in self.terms:
            factors = [f"({a})" if isinstance(a, FloorDiv) else a for a in monomial]
            magnitude = abs(coefficient)
            if magnitude != 1 or not factors:
                factors.insert(0, str(magnitude))
            sign = "-" if coefficient < 0 else "+"
            text = "*".join(factors)
            parts.append(f"{sign} {text}" if parts else ("-" + text if sign == "-" else text))
        return " ".join(parts)


Extent: TypeAlias = int | Dim


def _terms(extent: Extent) -> tuple[tuple[Monomial, int], ...]:
    return (((), extent),) if isinstance(extent, int) else extent.terms


def _canonical(terms: Mapping[Monomial, int]) -> Extent:
    kept = [(m, c) for m, c in terms.items() if c]
    if not kept:
        return 0
    if len(kept) == 1 and kept[0][0] == ():
        return kept[0][1]
    # Highest degree first, the constant last: as a person writes a formula.
    kept.sort(key=lambda term: (-len(term[0]), [str(a) for a in term[0]]))
    return Dim(tuple(kept))


def _floordiv_atom(numerator: Dim, denominator: int) -> Extent:
    """Return floor(numerator / denominator), merging ((x + a) // p) // q into (x + a) // (p*q)."""
    if len(numerator.terms) <= 2:
        inner = [(m, c) for m, c in numerator.terms if m]
        constant = sum(c for m, c in numerator.terms if not m)
        if len(inner) == 1:
            (monomial, coefficient) = inner[0]
            if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], FloorDiv):
                nested = monomial[0]
                merged = nested.numerator + constant * nested.denominator
                assert isinstance(merged, Dim)
                return merged // (nested.denominator * denominator)
    return Dim((((FloorDiv(numerator, denominator),), 1),))


def ceil_div(extent: Extent, divisor: int) -> Extent:
    """Return ceil(extent / divisor)."""
    return (extent + (divisor - 1)) // divisor


def is_linear(extent: Dim) -> bool:
    """Tell whether an extent is a sum of multiples of symbols."""
    return all(len(m) <= 1 and all(isinstance(a, str) for a in m) for m, _ in extent.terms)


def evaluate_extent(extent: Extent, sizes: Mapping[str, int]) -> int:
    """Return the value of an extent for given sizes; raises KeyError for a symbol without one."""
    if isinstance(extent, int):
        return extent
    return sum(
        coefficient * prod(_evaluate_atom(a, sizes) for a in monomial)
        for monomial, coefficient in extent.terms
    )


def _evaluate_atom(atom: Atom, sizes: Mapping[str, int]) -> int:
    if isinstance(atom, str):
        return sizes[atom]
    return evaluate_extent(atom.numerator, sizes) // atom.denominator


def substitute(extent: Extent, values: Mapping[str, Extent]) -> Extent:
    """Replace symbols by extents."""
    if isinstance(extent, int):
        return extent
    total: Extent = 0
    for monomial, coefficient in extent.terms:
        term: Extent = coefficient
        for atom in monomial:
            if isinstance(atom, str):
                term = term * values.get(atom, Dim.symbol(atom))
            else:
                term = term * (substitute(atom.numerator, values) // atom.denominator)
        total = total + term
    return total


def symbols_of(extent: Extent) -> frozenset[str]:
    """Return the names of the symbols that an extent depends on."""
    if isinstance(extent, int):
        return frozenset()
    found: set[str] = set()
    for monomial, _ in extent.terms:
        for atom in monomial:
            found |= {atom} if isinstance(atom, str) else symbols_of(atom.numerator)
    return frozenset(found)


def product(extents: tuple[Extent, ...]) -> Extent:
    """Return the product of extents (1 for none)."""
    total: Extent = 1
    for extent in extents:
        total = total * extent
    return total


def total(extents: Iterable[Extent]) -> Extent:
    """Return the sum of extents (0 for none)."""
    terms: dict[Monomial, int] = {}
    for extent in extents:
        for monomial, coefficient in _terms(extent):
            terms[monomial] = terms.get(monomial, 0) + coefficient
    return _canonical(terms)


def least(extent: Extent) -> int | None:
    """Return a number the extent never falls below, symbols being at least one; None if unknown."""
    if isinstance(extent, int):
        return extent
    total = 0
    for monomial, coefficient in extent.terms:
        bounds = [1 if isinstance(a, str) else _least_quotient(a) for a in monomial]
        if any(b is None or b < 0 for b in bounds) or (monomial and coefficient < 0):
            return None
        total += coefficient * prod(b for b in bounds if b is not None)
    return total


def _least_quotient(atom: FloorDiv) -> int | None:
    numerator = least(atom.numerator)
    return None if numerator is None else numerator // atom.denominator


def linear_form(extent: Extent) -> tuple[str, int, int] | None:
    """Return (symbol, slope, constant) of an extent slope * symbol + constant, else None."""
    symbols = symbols_of(extent)
    if isinstance(extent, int) or len(symbols) != 1:
        return None
    (symbol,) = symbols
    slope, constant = 0, 0
    for monomial, coefficient in extent.terms:
        if monomial == (symbol,):
            slope = coefficient
        elif monomial == ():
            constant = coefficient
        else:
            return None
    return symbol, slope, constant
