"""`cnndsl.optimize`: what the command does, for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cnndsl.backends.reference.run import check_inputs
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.calibration import Inputs
from cnndsl.driver.optimizing.calibrate import MOST_SAMPLES, read_calibration
from cnndsl.driver.optimizing.optimize import optimize as run
from cnndsl.driver.optimizing.outcome import Outcome
from cnndsl.driver.optimizing.request import ACCEPT, Request, known_schemes, schemes_named
from cnndsl.driver.optimizing.rules import parse_rule
from cnndsl.factorize.choosing.budget import parse_budget
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array

_BATCH = 8


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
    accept: str = "any",
    threads: int | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Return a cheaper network: `graph`, `weights` and what was decided for each layer.

    `weights` are by the names of the graph's parameters; with `retrain` there are none. `budget`,
    `max_error` and `ranks` are as on the command line. `good_enough` gets a network and its weights
    and tells whether they may be accepted, by any measure: as much is saved as it allows.
    `calibrate` is a batch of inputs, or files and folders of them. Raises CompileError.
    """
    if budget is None and max_error is None and ranks is None and good_enough is None:
        raise ValueError("give a budget, a max_error, good_enough, or a rule for ranks")
    if accept not in ACCEPT:
        raise ValueError(f"accept is {' or '.join(ACCEPT)}, not {accept!r}")
    request = Request(
        schemes=schemes_named(schemes, retrain=retrain),
        budget=None if budget is None else parse_budget(budget),
        max_error=max_error,
        good_enough=good_enough,
        ranks=None if ranks is None else parse_rule(ranks, known_schemes(retrain=retrain)),
        accept=accept,
        threads=threads,
    )
    return run(graph, weights or {}, request, _data(graph, calibrate), notify)


def _data(graph: Graph, given: Array | Path | Iterable[Path] | None) -> tuple[Inputs, ...]:
    if given is None:
        return ()
    if not isinstance(given, np.ndarray):
        return read_calibration(graph, [given] if isinstance(given, Path) else list(given))
    if len(graph.inputs) != 1:
        raise ValueError("an array is for a network of one input; give .npz files for more")
    name = graph.inputs[0].value.name
    check_inputs(graph, {name: given})
    if not np.isfinite(given).all():
        message = f"the calibration data for {name} hold NaN or infinities"
        raise CompileError(Diagnostic(code="CNN803", message=message))
    samples = given[:MOST_SAMPLES]
    return tuple({name: samples[i : i + _BATCH]} for i in range(0, len(samples), _BATCH))
