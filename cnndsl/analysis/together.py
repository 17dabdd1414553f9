"""What several units see together, where units repeat after a period."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Generic, TypeVar

Seen = TypeVar("Seen")


class Together(Generic[Seen]):
    """Joins what units at equal steps see; None stands for nothing.

    Unit i + period sees what unit i sees, `shift` further on. Joins of 2, 4, 8... units are kept,
    so that long joins over many phases take few steps.
    """

    def __init__(
        self,
        phases: tuple[Seen | None, ...],
        shift: int,
        join: Callable[[Seen, Seen], Seen],
        move: Callable[[Seen, int], Seen],
    ) -> None:
        self._phases = phases
        self._shift = shift
        self._join = join
        self._move = move
        self._doubled: dict[int, list[tuple[Seen | None, ...]]] = {}

    def turn(self, units: range) -> int:
        """Return after how many of these units the phases come again."""
        return len(self._phases) // gcd(units.step, len(self._phases))

    def over(self, units: range) -> Seen | None:
        """Return what these units see together."""
        if len(units) <= 3:
            found = None
            for unit in units:
                found = self._both(found, self._at(self._phases, unit))
            return found
        size = len(units).bit_length() - 1
        table = self._table(units.step, size)
        # The two halves overlap: joining twice changes nothing.
        return self._both(
            self._at(table, units[0]), self._at(table, units[len(units) - (1 << size)])
        )

    def _table(self, step: int, size: int) -> tuple[Seen | None, ...]:
        """Return, for each phase, what 2 ** size units from there see together."""
        tables = self._doubled.setdefault(step, [self._phases])
        while len(tables) <= size:
            last, half = tables[-1], step << (len(tables) - 1)
            tables.append(
                tuple(
                    self._both(seen, self._at(last, phase + half))
                    for phase, seen in enumerate(last)
                )
            )
        return tables[size]

    def _at(self, table: tuple[Seen | None, ...], unit: int) -> Seen | None:
        turns, phase = divmod(unit, len(table))
        seen = table[phase]
        return seen if seen is None or not turns else self._move(seen, turns * self._shift)

    def _both(self, a: Seen | None, b: Seen | None) -> Seen | None:
        if a is None or b is None:
            return b if a is None else a
        return self._join(a, b)
