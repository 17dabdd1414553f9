"""Look at every layer of a network: what it could become, and what that would lose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cnndsl.analysis.sizes import required_sizes
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.optimizing.kept import NONE_KEPT, Kept
from cnndsl.driver.optimizing.problems import Problems
from cnndsl.driver.optimizing.request import Request
from cnndsl.driver.optimizing.rules import RankRule, check_by_hand
from cnndsl.factorize.candidates import (
    Candidate,
    Place,
    Refused,
    chain_cost_of,
    places,
    ranks_to_try,
    refusal,
)
from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.estimates import estimated_errors
from cnndsl.factorize.rewrite import Key
from cnndsl.factorize.scheme import EXACT_BELOW, Label, Ranks, Scheme
from cnndsl.factorize.statistics import Statistics
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array


@dataclass(frozen=True, slots=True)
class Survey:
    """The layers of a network, the candidates of each, and refusals.

    The first candidate of each leaves it as it is.
    """

    places: tuple[Place, ...]
    candidates: tuple[tuple[Candidate, ...], ...]
    refused: tuple[Refused, ...]


def survey(
    graph: Graph,
    weights: Mapping[str, Array],
    request: Request,
    sizes: Mapping[str, int],
    statistics: Mapping[Key, Statistics],
    kept: Kept = NONE_KEPT,
    notify: Callable[[str], None] = lambda _: None,
) -> Survey:
    """Return all candidates with their errors; raises CompileError with all that is wrong."""
    found, refused = places(graph, sizes)
    problems: list[Diagnostic] = []
    candidates: list[tuple[Candidate, ...]] = []
    for number, place in enumerate(found, start=1):
        notify(f"layer {number} of {len(found)}: {place.label}")
        own = [Candidate(scheme=None, ranks=(), cost=place.dense, error=0.0, label=Label.EXACT)]
        for scheme in request.schemes:
            reason = refusal(place, scheme)
            if reason is not None:
                refused.append(Refused(place.label, scheme.name, reason))
                continue
            try:
                ranks = list(_ranks(place, scheme, weights, request.ranks))
                seen = statistics.get(place.key)
                made = list(_candidates(place, scheme, ranks, weights, seen, kept))
            except CompileError as error:
                problems += [d for d in error.diagnostics if d not in problems]
                continue
            if not made:
                reason = "no rank makes it cheaper"
                if request.ranks is not None:
                    reason = f"the rule {request.ranks.text} gives no rank that makes it cheaper"
                refused.append(Refused(place.label, scheme.name, reason))
            own += made
        candidates.append(tuple(own))
    if problems:
        raise CompileError(problems)
    return Survey(tuple(found), tuple(candidates), tuple(refused))


def watched(found: Sequence[Place], schemes: Sequence[Scheme]) -> list[Place]:
    """Return the layers that may be fitted to data."""
    return [place for place in found if any(refusal(place, scheme) is None for scheme in schemes)]


def label_of(error: float | None) -> Label:
    """Return what a candidate of some error does to results."""
    if error is None:
        return Label.RETRAIN
    return Label.EXACT if error <= EXACT_BELOW else Label.APPROXIMATE


def tensors_of(place: Place, weights: Mapping[str, Array]) -> tuple[Array, Array | None]:
    """Return a layer's weight and bias."""
    weight, *bias = (weights[name] for name in place.key)
    return weight, bias[0] if bias else None


def check(graph: Graph, weights: Mapping[str, Array], request: Request) -> dict[str, int]:
    """Return the sizes that costs are counted for; raise CompileError with all that is wrong.

    That is: sizes that are open (CNN207), weights that schemes need (CNN602), ranks by hand (CNN653
    to 655).
    """
    problems = Problems()
    problems.read(lambda: _require_weights(graph, weights, request.schemes))
    sizes = {**dict(graph.usual_sizes), **dict.fromkeys(graph.batch_symbols, 1)}
    sizes = problems.read(lambda: required_sizes(graph, sizes, "count what layers cost")) or {}
    rule = request.ranks
    if rule is not None and rule.lines and set(sizes) >= set(graph.symbols):
        by_name = {scheme.name: scheme for scheme in request.schemes}
        found, _ = places(graph, sizes)
        problems.read(lambda: check_by_hand(rule, found, by_name))
    problems.check()
    return sizes


def _require_weights(graph: Graph, weights: Mapping[str, Array], schemes: Sequence[Scheme]) -> None:
    decomposing = [scheme.name for scheme in schemes if isinstance(scheme, WeightScheme)]
    if decomposing and any(p.value.name not in weights for p in graph.parameters):
        raise CompileError(
            Diagnostic(
                code="CNN602",
                message=f"{', '.join(decomposing)} "
                f"{'decompose' if len(decomposing) > 1 else 'decomposes'} trained weights, "
                "and none are given",
                help="give them with --weights, or make another network, to be trained, "
                "with --retrain",
            )
        )


def _ranks(
    place: Place, scheme: Scheme, weights: Mapping[str, Array], rule: RankRule | None
) -> Iterator[Ranks]:
    if rule is None:
        yield from ranks_to_try(place, scheme)
        return
    ranks = rule.ranks(place, scheme, weights.get(place.key[0]))
    if ranks is not None and chain_cost_of(place, scheme, ranks).is_lower(place.dense):
        yield ranks


def _candidates(
    place: Place,
    scheme: Scheme,
    ranks: Sequence[Ranks],
    weights: Mapping[str, Array],
    statistics: Statistics | None,
    kept: Kept,
) -> Iterator[Candidate]:
    if not ranks:
        return
    errors: Sequence[float | None] = [None] * len(ranks)
    if isinstance(scheme, WeightScheme):
        layer, own = place.uses[0], tensors_of(place, weights)
        known = scheme  # narrowed, for the function
        errors = kept.errors(
            scheme,
            layer,
            ranks,
            (*own, statistics),
            lambda: estimated_errors(known, layer, *own, ranks, statistics),
        )
    for chosen, error in zip(ranks, errors, strict=True):
        yield Candidate(
            scheme=scheme,
            ranks=chosen,
            cost=chain_cost_of(place, scheme, chosen),
            error=error,
            label=label_of(error) if statistics is None else Label.APPROXIMATE,
        )
