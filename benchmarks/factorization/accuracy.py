"""How many answers stay right when a trained network is made smaller, with and without data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.factorization.trained import Trained, retrained, trained
from cnndsl.analysis.cost import summarize
from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError
from cnndsl.driver.choice import Choice
from cnndsl.driver.optimizing.api import optimize
from cnndsl.driver.optimizing.network import read_network, written
from cnndsl.files import write_files
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array

ALL = "all"
"""Every scheme may be chosen for every layer."""


def accuracy(
    network: str, scheme: str, shares: list[float], epochs: int, folder: str
) -> dict[str, Any]:
    """Make a network smaller with one scheme, and count the answers that are right.

    For each share of the MACs without and with calibration, and at the least share once more after
    so many epochs of training. The networks are left in a folder, for `times`.
    """
    own = trained(network)
    source = read_network(own.program, Choice({}, weights=own.weights), with_weights=True)
    points = []
    for share in shares:
        for calibrated in (False, True):
            point: dict[str, Any] = {"share": share, "calibrated": calibrated}
            points.append(point)
            try:
                outcome = optimize(
                    source.graph,
                    source.weights,
                    schemes=() if scheme == ALL else (scheme,),
                    budget=f"macs={share:g}x",
                    calibrate=own.calibration if calibrated else None,
                )
            except CompileError as error:
                point["unmet"] = error.diagnostics[0].message
                continue
            path = Path(folder) / network / f"{variant(scheme, share, calibrated)}.cnn"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_files(written(outcome, source, path), force=True)
            point |= _figures(outcome.graph, outcome.weights, own)
            if share == min(shares) and epochs:
                answers = retrained(network, path, path.with_suffix(".safetensors"), epochs)
                point["right_retrained"] = own.right(answers)
    return {
        "network": network,
        "scheme": scheme,
        "of": len(own.classes),
        "epochs": epochs,
        "dense": _figures(source.graph, source.weights, own),
        "points": points,
    }


def variant(scheme: str, share: float, calibrated: bool) -> str:
    """Return what the file of a smaller network is called; a module may be called so, too."""
    return f"{scheme}_{round(share * 100)}_{'fitted' if calibrated else 'plain'}"


def _figures(graph: Graph, weights: Mapping[str, Array], own: Trained) -> dict[str, Any]:
    (name,) = (i.value.name for i in graph.inputs)
    (answers,) = run(graph, {name: own.pictures}, weights).values()
    summary = summarize(graph)
    return {"macs": summary.macs, "params": summary.params, "right": own.right(answers)}
