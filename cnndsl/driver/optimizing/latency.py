"""Seconds for every candidate, where a budget bounds them: by the plan, or by the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cnndsl.driver.optimizing import whole
from cnndsl.driver.optimizing.survey import Survey
from cnndsl.driver.optimizing.timing import Clock, predicted
from cnndsl.ir.graph import Graph


def timed(
    graph: Graph,
    looked: Survey,
    clock: Clock | None,
    notify: Callable[[str], None],
) -> tuple[Survey, float]:
    """Return the survey with seconds for every candidate, and those of the rest of the network.

    With a clock the layers are measured; a chain, until it is timed itself, takes as many times
    longer than the plan has it as its layer does, and the rest as all layers do.
    """
    seconds = []
    for place, candidates in zip(looked.places, looked.candidates, strict=True):
        notify(f"planning {place.label}")
        seconds.append(predicted(place, candidates))
    planned = sum(found[0] for found in seconds)
    rest = max((whole.predicted_s(graph) or 0.0) - planned, 0.0)
    if clock is not None:
        own = clock.alone(looked.places)
        seconds = [[s * o / found[0] for s in found] for found, o in zip(seconds, own, strict=True)]
        rest *= sum(own) / planned if planned else 1.0
    survey = replace(
        looked,
        candidates=tuple(
            tuple(replace(c, seconds=s) for c, s in zip(candidates, found, strict=True))
            for candidates, found in zip(looked.candidates, seconds, strict=True)
        ),
    )
    return survey, rest
