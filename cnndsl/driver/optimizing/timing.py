"""What layers and chains take: by the plan for all of them, by the clock for those that matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from cnndsl.driver.optimizing.times import Pair, Times
from cnndsl.driver.racing import Race, measured_s, predicted_s
from cnndsl.factorize.candidates import Candidate, Place
from cnndsl.factorize.factors import Factors
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.rewrite import Key
from cnndsl.factorize.scheme import Ranks

Contest: TypeAlias = tuple[Key, str, Ranks]
"""A layer, and the chain that was timed beside it."""


def predicted(place: Place, candidates: Sequence[Candidate]) -> list[float]:
    """Return the seconds of each candidate, all uses of the layer together, as the plan has it."""
    totals = [0.0] * len(candidates)
    for use in place.uses:
        chains = [c for c in candidates if c.scheme is not None]
        ((own, *others),) = predicted_s([Race(use, tuple(chain_of(use, c) for c in chains))])
        rest = iter(others)
        for i, c in enumerate(candidates):
            totals[i] += own if c.scheme is None else next(rest)
    return totals


def planned(contests: Sequence[tuple[Place, Candidate]]) -> list[tuple[float, float]]:
    """Return the seconds of each layer, all uses together, and of its chain, as the plan has it."""
    races = [
        Race(use, (chain_of(use, candidate),))
        for place, candidate in contests
        for use in place.uses
    ]
    times = iter(predicted_s(races) if races else ())
    found = []
    for place, _ in contests:
        pairs = [next(times) for _ in place.uses]
        found.append((sum(p[0] for p in pairs), sum(p[1] for p in pairs)))
    return found


class Clock:
    """Times of layers and chains on this machine; equal ones are timed once, and kept.

    `reused` counts what earlier runs had timed.
    """

    def __init__(
        self, threads: int | None, runs: int = 30, notify: Callable[[str], None] = lambda _: None
    ) -> None:
        self.threads = threads
        self._runs = runs
        self._notify = notify
        self._known: dict[tuple[object, ...], tuple[float, float]] = {}
        self._times = Times(threads)
        self.reused = 0

    def time(self, contests: Sequence[tuple[Place, Candidate]]) -> list[tuple[float, float]]:
        """Return the seconds of each layer, all uses together, and of the chain beside it."""
        return self._raced([[(u, chain_of(u, c)) for u in place.uses] for place, c in contests])

    def alone(self, places: Sequence[Place]) -> list[float]:
        """Return the seconds of each layer, all uses together."""
        return [own for own, _ in self._raced([[(u, ()) for u in p.uses] for p in places])]

    def _raced(self, contests: Sequence[Sequence[tuple[Layer, Factors]]]) -> list[Pair]:
        """Return the seconds of layers and of chains beside them, those of each contest added up.

        Without a chain they are those of the layer.
        """
        wanted: dict[tuple[object, ...], Race] = {}
        for contest in contests:
            for use, chain in contest:
                key = _key(use, chain)
                if key in self._known or key in wanted:
                    continue
                if (kept := self._times.find(*key)) is not None:
                    self._known[key] = kept
                    self.reused += 1
                else:
                    wanted[key] = Race(use, (chain,) if chain else ())
        times = measured_s(
            list(wanted.values()), threads=self.threads, runs=self._runs, notify=self._notify
        )
        for key, found in zip(wanted, times, strict=True):
            self._known[key] = (found[0], found[-1])
        self._times.keep({key: self._known[key] for key in wanted})
        pairs = [[self._known[_key(*runners)] for runners in contest] for contest in contests]
        return [(sum(p[0] for p in found), sum(p[1] for p in found)) for found in pairs]


def chain_of(use: Layer, candidate: Candidate) -> Factors:
    """Return the chain of a candidate for one use of a layer."""
    assert candidate.scheme is not None
    return candidate.scheme.factors(use, candidate.ranks)


def _key(use: Layer, chain: Factors) -> tuple[object, ...]:
    return use.op, use.input.substitute(dict(use.sizes)), chain
