"""Seconds for every candidate, where a budget bounds them: by the plan, or by the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from cnndsl.driver.optimizing import whole
from cnndsl.driver.optimizing.survey import Survey
from cnndsl.driver.optimizing.timing import Clock, predicted
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array


def timed(
    graph: Graph,
    weights: Mapping[str, Array],
    looked: Survey,
    clock: Clock | None,
    notify: Callable[[str], None],
) -> tuple[Survey, float]:
    """Return the survey with seconds for every candidate, and those of the rest of the network.

    With a clock the layers and the network are measured; a chain, until it is timed itself, takes
    as many times longer than the plan has it as its layer does.
    """
    seconds = []
    for place, candidates in zip(looked.places, looked.candidates, strict=True):
        notify(f"planning {place.label}")
        seconds.append(predicted(place, candidates))
    if clock is None:
        in_all = whole.predicted_s(graph)
    else:
        own = clock.alone(looked.places)
        seconds = [[s * o / found[0] for s in found] for found, o in zip(seconds, own, strict=True)]
        (in_all,) = whole.measured_s([(graph, weights)], threads=clock.threads, notify=notify)
    survey = replace(
        looked,
        candidates=tuple(
            tuple(replace(c, seconds=s) for c, s in zip(candidates, found, strict=True))
            for candidates, found in zip(looked.candidates, seconds, strict=True)
        ),
    )
    layers = sum(found[0] for found in seconds)
    return survey, 0.0 if in_all is None else max(in_all - layers, 0.0)
