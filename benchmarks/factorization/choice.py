"""How ranks are chosen: noise told from signal, and the whole budget spent where it pays most."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, sqrt
from typing import Any

import numpy as np

from benchmarks.factorization.synthetic import weights_of
from benchmarks.factorization.trained import TRAINED, trained
from benchmarks.networks import NETWORKS
from cnndsl.driver.choice import Choice
from cnndsl.driver.load import load
from cnndsl.driver.optimizing.network import read_network
from cnndsl.driver.optimizing.request import Request, schemes_named
from cnndsl.driver.optimizing.survey import survey
from cnndsl.driver.samples import usual_sizes
from cnndsl.factorize.choosing.baselines import greedy, uniform
from cnndsl.factorize.choosing.budget import Quantity
from cnndsl.factorize.choosing.choose import option
from cnndsl.factorize.choosing.knapsack import least_error
from cnndsl.factorize.choosing.option import Groups, Unreachable, error
from cnndsl.factorize.ranks.evbmf import evbmf_rank
from cnndsl.ops.base import Array

NOISE = 0.1
"""The standard deviation of the noise; that of the signal's elements is 1."""

RULES = {"table": least_error, "greedy": greedy, "uniform": uniform}
"""Ways to choose: dynamic programming, greedy steps, the same share for every layer."""


def planted(rows: int, columns: int, rank: int, seed: int) -> Array:
    """Return a matrix of a rank, and noise all over it."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((rows, rank)) @ rng.standard_normal((rank, columns))
    return signal / sqrt(max(rank, 1)) + NOISE * rng.standard_normal((rows, columns))


def recovered(rows: int, columns: int, ranks: Sequence[int], seeds: int) -> dict[str, Any]:
    """Plant ranks in noise; return which ones EVBMF finds, for several seeds each."""
    found = {
        str(rank): [evbmf_rank(planted(rows, columns, rank, seed)) for seed in range(seeds)]
        for rank in ranks
    }
    return {"rows": rows, "columns": columns, "recovered": found}


def compared(network: str, schemes: Sequence[str], shares: Sequence[float]) -> dict[str, Any]:
    """Return the error that each rule of choosing comes to, for shares of a network's MACs."""
    groups = layers(network, schemes)
    dense = sum(max(o.cost for o in group) for group in groups)
    lost: dict[str, list[float | None]] = {name: [] for name in RULES}
    for share in shares:
        for name, rule in RULES.items():
            try:
                lost[name].append(as_error(error(groups, rule(groups, share * dense))))
            except Unreachable:
                lost[name].append(None)
    return {"network": network, "shares": list(shares), "errors": lost}


def layers(network: str, schemes: Sequence[str]) -> Groups:
    """Return the options of each layer of a trained example, or of one with falling spectra."""
    if network in TRAINED:
        own = trained(network)
        source = read_network(own.program, Choice({}, weights=own.weights), with_weights=True)
        graph, weights = source.graph, source.weights
    else:
        graph = load(NETWORKS[network].path).graph
        weights = weights_of(graph, seed=0)
    request = Request(schemes=schemes_named(schemes))
    looked = survey(graph, weights, request, usual_sizes(graph), {})
    return [[option(c, found[0], Quantity.MACS) for c in found] for found in looked.candidates]


def as_error(loss: float) -> float:
    """Return the relative error that a sum of the layers' losses, -log(1 - error^2), stands for."""
    return sqrt(1 - exp(-loss))
