"""Measure one case: write its program, then run it in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.factorization.parts import LARGE
from benchmarks.gpu.cases import ENGINES, PAIRS, PARTS, SHARE, Case, factorized, pairs
from benchmarks.measure import Found, Part, Session, child
from benchmarks.networks import NETWORKS, ROOT

SMALLER = ROOT / "out" / "benchmarks" / "gpu"
"""Where factorized networks lie: to make them takes minutes."""


def job(name: str, **arguments: Any) -> Found:
    """Return what a job of `jobs.py` finds, run in a process of its own, on the device."""
    command = [sys.executable, "-m", "benchmarks.gpu.jobs", name, json.dumps(arguments)]
    return child(command, {"NUMBA_ENABLE_CUDASIM": "0"})


def programs() -> dict[str, str]:
    """Return the network of every program, for --only."""
    found = {name: name for name in NETWORKS}
    found |= {factorized(name): name for name in LARGE}
    return found | {pairs(channels): "pairs" for channels in PAIRS}


def parts(
    precisions: Sequence[str], batches: Sequence[int], without: Sequence[str], command: str
) -> dict[str, Part]:
    """Return the parts, restricted to some precisions and batches, without some engines."""
    networks = programs()
    engines = [name for name in ENGINES if name not in without]
    found = {}
    for part in PARTS.values():
        cases = {
            key: case
            for key, case in part.cases().items()
            if case.precision in precisions and case.batch in batches
        }

        def measure(session: Session, key: str, cases: dict[str, Case] = cases) -> Found:
            return {**measured(session, cases[key], engines), "command": command}

        keys = {key: networks[case.program] for key, case in cases.items()}
        found[part.name] = Part(part.name, part.about, keys, measure)
    return found


def measured(session: Session, case: Case, engines: Sequence[str]) -> Found:
    """Measure one case."""
    pace = {"runs": 10, "timed": 5, "seconds": 2.0} if session.quick else {}
    found = job(
        "case",
        **{"settings": {}, "weights": None, **program_of(session, case)},
        precision=case.precision,
        batch=case.batch,
        engines=list(engines),
        pace=pace,
        folder=str(session.folder),
    )
    return {**found, "program": case.program, "precision": case.precision, "batch": case.batch}


def program_of(session: Session, case: Case) -> Found:
    """Return the file of a case's network, its settings and weights."""
    if case.program in NETWORKS:
        network = NETWORKS[case.program]
        return {"program": str(network.path), "settings": network.settings}
    name = programs()[case.program]
    if name in NETWORKS:
        return job("smaller", program=str(NETWORKS[name].path), share=SHARE, folder=str(SMALLER))
    channels = next(c for c in PAIRS if pairs(c) == case.program)
    return job("pairs", channels=channels, folder=str(session.folder))
