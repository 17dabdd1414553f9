"""What smaller networks take: the trained ones by scheme, large ones within budgets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.factorization.synthetic import weights_of
from benchmarks.factorization.timing import ready, side_by_side
from benchmarks.factorization.trained import BATCH, trained
from cnndsl.diagnostics import CompileError, Source
from cnndsl.driver.bench import pinned
from cnndsl.driver.choice import Choice
from cnndsl.driver.load import Loaded, load
from cnndsl.driver.optimizing.api import optimize
from cnndsl.driver.optimizing.outcome import Outcome
from cnndsl.driver.prepare import Prepared, prepare
from cnndsl.ir.graph import Graph
from cnndsl.passes import pipeline

DENSE = "dense"

SCHEMES = ("spatial_svd", "channel_output", "channel_input", "tucker2")
"""For large networks: those that are computed in seconds for a layer of 512 channels."""


def times(network: str, folder: str, threads: int, rounds: int) -> dict[str, Any]:
    """Time what `accuracy` left in a folder beside the network itself."""
    own = trained(network)
    programs = {path.stem: path for path in sorted((Path(folder) / network).glob("*.cnn"))}
    if not programs:
        raise SystemExit(f"no smaller {network} to time: run the part accuracy first")
    with pinned(threads) as count:
        calls = {}
        for name, path in {DENSE: own.program, **programs}.items():
            weights = own.weights if name == DENSE else path.with_suffix(".safetensors")
            prepared = prepare(path, Choice({}, weights=weights))
            place = Path(folder) / network / "modules"
            place.mkdir(exist_ok=True)
            calls[name] = ready(prepared, place, count, BATCH[network])
        taken = side_by_side(calls, rounds)
    return {"network": network, "threads": threads, "batch": BATCH[network], "calls_ms": taken}


def within_budget(
    program: str, share: float, threads: int, rounds: int, folder: str, kept: str
) -> dict[str, Any]:
    """Make a network smaller by each way of accepting chains; time all of them side by side.

    What is computed for layers is kept in a folder of its own: equal for all budgets.
    """
    graph = load(Path(program)).graph
    weights = weights_of(graph, seed=0)
    ways: dict[str, dict[str, Any]] = {}
    with pinned(threads) as count:
        calls = {DENSE: ready(_prepared(graph, weights), Path(folder), count, 1)}
        for accept in ("any", "measured"):
            try:
                outcome = optimize(
                    graph,
                    weights,
                    schemes=SCHEMES,
                    budget=f"macs={share:g}x",
                    accept=accept,
                    threads=count,
                    resume=Path(kept),
                )
            except CompileError as error:
                ways[accept] = {"unmet": error.diagnostics[0].message}
                continue
            ways[accept] = _described(outcome)
            smaller = _prepared(outcome.graph, dict(outcome.weights))
            calls[accept] = ready(smaller, Path(folder), count, 1)
        taken = side_by_side(calls, rounds)
    return {
        "network": graph.name,
        "share": share,
        "threads": threads,
        "ways": ways,
        "calls_ms": taken,
    }


def _described(outcome: Outcome) -> dict[str, Any]:
    """Return what was done, and what the plan and the clock had to say of the changed layers."""
    changed = [d for d in outcome.decisions if d.is_changed]
    predicted = [d.predicted_s for d in changed if d.predicted_s is not None]
    before, after = outcome.figures_before.summary, outcome.figures_after.summary
    assert isinstance(before.macs, int)
    assert isinstance(after.macs, int)
    return {
        "macs": [before.macs, after.macs],
        "params": [before.params, after.params],
        "changed": len(changed),
        "layers": len(outcome.decisions),
        "schemes": sorted({d.chosen.name for d in changed}),
        "predicted_s": [sum(p[0] for p in predicted), sum(p[1] for p in predicted)],
        "raced_s": [list(pair) for pair in outcome.raced],
    }


def _prepared(graph: Graph, weights: dict[str, Any]) -> Prepared:
    source = Source(graph.name, "")
    return Prepared(Loaded(graph, (), source), pipeline.optimize(graph), weights)
