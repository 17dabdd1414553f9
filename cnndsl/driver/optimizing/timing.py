"""What layers and chains take: by the plan for all of them, by the clock for those that matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

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
    """Times of layers and chains on this machine; equal ones are timed once."""

    def __init__(
        self, threads: int | None, runs: int = 30, notify: Callable[[str], None] = lambda _: None
    ) -> None:
        self._threads = threads
        self._runs = runs
        self._notify = notify
        self._known: dict[tuple[object, ...], tuple[float, float]] = {}

    def time(self, contests: Sequence[tuple[Place, Candidate]]) -> list[tuple[float, float]]:
        """Return the seconds of each layer, all uses together, and of the chain beside it."""
        wanted: dict[tuple[object, ...], Race] = {}
        for place, candidate in contests:
            for use in place.uses:
                chain = chain_of(use, candidate)
                key = _key(use, chain)
                if key not in self._known:
                    wanted[key] = Race(use, (chain,))
        times = measured_s(
            list(wanted.values()), threads=self._threads, runs=self._runs, notify=self._notify
        )
        for key, (own, chained) in zip(wanted, times, strict=True):
            self._known[key] = (own, chained)
        found = []
        for place, candidate in contests:
            pairs = [self._known[_key(use, chain_of(use, candidate))] for use in place.uses]
            found.append((sum(p[0] for p in pairs), sum(p[1] for p in pairs)))
        return found


def chain_of(use: Layer, candidate: Candidate) -> Factors:
    """Return the chain of a candidate for one use of a layer."""
    assert candidate.scheme is not None
    return candidate.scheme.factors(use, candidate.ranks)


def _key(use: Layer, chain: Factors) -> tuple[object, ...]:
    return use.op, use.input.substitute(dict(use.sizes)), chain
