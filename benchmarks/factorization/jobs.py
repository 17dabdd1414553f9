"""The pieces of work about factorization that have a process of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.factorization.accuracy import accuracy
from benchmarks.factorization.chains import chains
from benchmarks.factorization.choice import compared, recovered
from benchmarks.factorization.times import times, within_budget

JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    job.__name__: job for job in (accuracy, times, within_budget, chains, recovered, compared)
}
