"""Chains beside the layers that they replace: what the plan predicts, and what the clock shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnndsl.analysis.cost import Cost
from cnndsl.driver.load import load
from cnndsl.driver.optimizing.request import schemes_named
from cnndsl.driver.racing import Race, measured_s, predicted_s
from cnndsl.driver.samples import usual_sizes
from cnndsl.factorize.candidates import known, places
from cnndsl.factorize.factors import layer_cost
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.ranks.ratio import ratio_ranks

SCHEMES = ("spatial_svd", "channel_output", "tucker2")
RATIOS = (2, 4)
"""How many times fewer MACs the chains have."""


def chains(program: str, threads: int, runs: int) -> dict[str, Any]:
    """Time chains of several schemes beside each different convolution of a network."""
    graph = load(Path(program)).graph
    different: dict[object, Layer] = {}
    for place in places(graph, usual_sizes(graph))[0]:
        for use in place.uses:
            if not use.is_dense and use.taps > 1:
                different.setdefault((use.op, use.input.substitute(dict(use.sizes))), use)
    races, named = [], []
    for layer in different.values():
        made = [
            (scheme, ratio, scheme.factors(layer, ranks))
            for scheme in schemes_named(SCHEMES)
            for ratio in RATIOS
            if scheme.refusal(layer) is None
            and (ranks := ratio_ranks(scheme, layer, ratio, _macs)) is not None
        ]
        races.append(Race(layer, tuple(factors for *_, factors in made)))
        named.append([(layer, scheme.name, ratio) for scheme, ratio, _ in made])
    predicted, measured = predicted_s(races), measured_s(races, threads=threads, runs=runs)
    found = []
    for names, by_plan, by_clock in zip(named, predicted, measured, strict=True):
        for i, (layer, scheme, ratio) in enumerate(names, start=1):
            found.append(
                {
                    "layer": layer.label,
                    "shape": f"{layer.in_channels} -> {layer.out_channels}",
                    "macs": known(layer_cost(layer).macs),
                    "scheme": scheme,
                    "fewer": ratio,
                    "predicted_s": [by_plan[0], by_plan[i]],
                    "measured_s": [by_clock[0], by_clock[i]],
                }
            )
    return {"network": graph.name, "threads": threads, "chains": found}


def _macs(cost: Cost) -> int:
    return known(cost.macs)
