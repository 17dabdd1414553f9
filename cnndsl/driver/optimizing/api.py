"""`cnndsl.optimize`: what the command does, for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cnndsl.driver.calibration import Inputs
from cnndsl.driver.optimizing.kept import Kept
from cnndsl.driver.optimizing.optimize import optimize as run
from cnndsl.driver.optimizing.outcome import Outcome
from cnndsl.driver.optimizing.problems import Problems
from cnndsl.driver.optimizing.request import ACCEPT, read_request
from cnndsl.driver.optimizing.samples import array_data, read_calibration
from cnndsl.driver.optimizing.survey import check
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array


def optimize(
    graph: Graph,
    weights: Mapping[str, Array] | None = None,
    *,
    schemes: Sequence[str] = (),
    budget: str | None = None,
    max_error: float | None = None,
    good_enough: Callable[[Graph, Mapping[str, Array]], bool] | None = None,
    ranks: str | None = None,
    calibrate: Array | Path | Iterable[Path] | None = None,
    retrain: bool = False,
    between: str | None = None,
    accept: str = "any",
    threads: int | None = None,
    resume: Path | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Return a cheaper network: `graph`, `weights` and what was decided for each layer.

    `weights` are by the names of the graph's parameters; with `retrain` there are none. `schemes`,
    `budget`, `max_error`, `ranks`, `between`, `accept`, `threads` and the folder `resume` are as on
    the command line. `good_enough` gets a network and its weights and tells whether they may be
    accepted, by any measure: as much is saved as it allows. `calibrate` is a batch of inputs, or
    files and folders of them. The outcome is written with its `save` and `save_report`.

    Raises CompileError with all that is wrong, and ValueError for arguments that exclude each
    other.
    """
    if budget is None and max_error is None and ranks is None and good_enough is None:
        raise ValueError("give a budget, a max_error, good_enough, or a rule for ranks")
    if accept not in ACCEPT:
        raise ValueError(f"accept is {' or '.join(ACCEPT)}, not {accept!r}")
    if between is not None and not retrain:
        raise ValueError("between is for architectures that are to be trained: retrain=True")
    if calibrate is not None and retrain:
        raise ValueError("calibrate fits weights, and retrain keeps none")
    if max_error is not None and not max_error > 0:
        raise ValueError(f"max_error is above zero, not {max_error}")
    problems = Problems()
    request = replace(
        read_request(
            problems,
            schemes=schemes,
            budget=budget,
            ranks=ranks,
            between=between,
            retrain=retrain,
        ),
        max_error=max_error,
        good_enough=good_enough,
        accept=accept,
        threads=threads,
    )
    problems.read(lambda: check(graph, weights or {}, request))
    data = problems.read(lambda: _data(graph, calibrate))
    problems.check()
    return run(graph, weights or {}, request, data or (), Kept(resume), notify)


def _data(graph: Graph, given: Array | Path | Iterable[Path] | None) -> tuple[Inputs, ...]:
    if given is None:
        return ()
    if not isinstance(given, np.ndarray):
        return read_calibration(graph, [given] if isinstance(given, Path) else list(given))
    if len(graph.inputs) != 1:
        raise ValueError("an array is for a network of one input; give .npz files for more")
    return array_data(graph, graph.inputs[0].value.name, given)
