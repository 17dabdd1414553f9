"""From a network to a cheaper one: survey, choose, decompose, rewrite, measure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.calibration import Inputs
from cnndsl.driver.figures import figures_if_planned
from cnndsl.driver.optimizing import whole
from cnndsl.driver.optimizing.calibrate import follow, observe
from cnndsl.driver.optimizing.choosing import Chooser
from cnndsl.driver.optimizing.kept import NONE_KEPT, Kept
from cnndsl.driver.optimizing.latency import timed
from cnndsl.driver.optimizing.outcome import Decision, Outcome
from cnndsl.driver.optimizing.request import Request
from cnndsl.driver.optimizing.samples import count, fitted_to, held_out
from cnndsl.driver.optimizing.survey import (
    Survey,
    check,
    survey,
    tensors_of,
    watched,
)
from cnndsl.driver.optimizing.times import Pair
from cnndsl.driver.optimizing.timing import Clock, predicted
from cnndsl.driver.optimizing.uses import with_origins
from cnndsl.factorize.candidates import Candidate, Place, Refused, places
from cnndsl.factorize.choosing.budget import Quantity
from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.rewrite import Key, Replacement, Rewritten, rewrite
from cnndsl.factorize.scheme import Decomposition
from cnndsl.factorize.statistics import Statistics
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array


def optimize(
    graph: Graph,
    weights: Mapping[str, Array],
    request: Request,
    data: Sequence[Inputs] = (),
    kept: Kept = NONE_KEPT,
    notify: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Return a cheaper network and what was decided; raises CompileError.

    With calibration `data` errors are those of outputs, and layers are fitted to what they see; a
    quarter of the samples is kept apart, and tells the network's own error.
    Everything but measured times depends on the arguments alone.
    """
    if request.max_error is not None and not data:
        raise CompileError(
            Diagnostic(
                code="CNN652",
                message="the error of outputs is measured on calibration data, and none are given",
                help="give them with --calibrate",
            )
        )
    sizes = check(graph, weights, request)
    statistics: Mapping[Key, Statistics] = {}
    unfitted: Mapping[Key, str] = {}
    if data:
        looked_at = watched(places(graph, sizes)[0], request.schemes)
        statistics, unfitted = observe(graph, weights, fitted_to(graph, data), looked_at, notify)
    looked = survey(graph, weights, request, sizes, statistics, kept, notify)
    looked = replace(looked, places=with_origins(graph, looked.places))
    statistics = {}
    clock = Clock(request.threads, notify=notify) if request.accept == "measured" else None
    rest_s = 0.0
    if request.quantity is Quantity.LATENCY:
        looked, rest_s = timed(graph, looked, clock, notify)

    def build(picked: Sequence[Candidate], thorough: bool = False) -> Built:
        return _built(graph, weights, data, looked.places, picked, thorough, kept, notify)

    def is_good(picked: Sequence[Candidate]) -> bool:
        built = build(picked)
        if request.max_error is not None and built.worst > request.max_error:
            return False
        if request.good_enough is None:
            return True
        made = rewrite(graph, {**weights, **built.norms}, built.replacements)
        return request.good_enough(made.graph, made.weights)

    def race(picked: Sequence[Candidate]) -> Pair:
        chains = {
            place.key: Replacement(c.scheme.factors(place.uses[0], c.ranks))
            for place, c in zip(looked.places, picked, strict=True)
            if c.scheme is not None
        }
        made = rewrite(graph, weights, chains)
        networks = [(graph, weights), (made.graph, made.weights)]
        return _pair(whole.measured_s(networks, threads=request.threads, notify=notify))

    chooser = Chooser(graph, sizes, looked, rest_s, request, is_good, clock, race, notify)
    choice = chooser.choose()
    picked = chooser.picked(choice)
    built = build(picked)
    if data and (better := build(picked, thorough=True)).worst < built.worst:
        built = better
    chooser.check(built.errors)
    rewritten = rewrite(graph, {**weights, **built.norms}, built.replacements)
    if request.good_enough is not None and request.budget is not None:
        chooser.require(request.good_enough(rewritten.graph, rewritten.weights))
    notify("planning the network before and after")
    planned = whole.predicted_s(graph), whole.predicted_s(rewritten.graph)
    return Outcome(
        request=request,
        before=graph,
        graph=rewritten.graph,
        weights=rewritten.weights,
        decisions=tuple(_decisions(looked, picked, built, rewritten, chooser, unfitted)),
        refused=tuple(r for r in looked.refused if not r.scheme),
        problem=chooser.problem,
        choice=choice,
        figures_before=figures_if_planned(graph)[0],
        figures_after=figures_if_planned(rewritten.graph)[0],
        errors=built.errors,
        samples=count(held_out(graph, data)),
        predicted_s=None if planned[0] is None or planned[1] is None else (planned[0], planned[1]),
        raced=tuple(chooser.raced),
        reused=kept.reused + (0 if clock is None else clock.reused),
    )


@dataclass(frozen=True, slots=True)
class Built:
    """What becomes of the layers: chains, their tensors, batch norms that follow; output errors.

    `unfitted` says why layers are not fitted to data, where there are any.
    """

    replacements: Mapping[Key, Replacement]
    decompositions: Mapping[Key, Decomposition]
    norms: Mapping[str, Array] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    unfitted: Mapping[Key, str] = field(default_factory=dict)

    @property
    def worst(self) -> float:
        """The largest error of an output."""
        return max(self.errors.values(), default=0.0)


def _built(
    graph: Graph,
    weights: Mapping[str, Array],
    data: Sequence[Inputs],
    found: Sequence[Place],
    picked: Sequence[Candidate],
    thorough: bool,
    kept: Kept,
    notify: Callable[[str], None],
) -> Built:
    chosen = {
        place.key: (place, candidate)
        for place, candidate in zip(found, picked, strict=True)
        if candidate.scheme is not None
    }
    decompositions: dict[Key, Decomposition] = {}
    norms: Mapping[str, Array] = {}
    errors: Mapping[str, float] = {}
    unfitted: Mapping[Key, str] = {}
    decomposing = all(isinstance(c.scheme, WeightScheme) for _, c in chosen.values())
    if data and decomposing:
        followed = follow(graph, weights, data, chosen, thorough, kept, notify)
        decompositions |= followed.decompositions
        norms, errors, unfitted = followed.norms, followed.errors, followed.unfitted
    replacements: dict[Key, Replacement] = {}
    for key, (place, candidate) in chosen.items():
        scheme, layer = candidate.scheme, place.uses[0]
        assert scheme is not None
        if isinstance(scheme, WeightScheme):
            if key not in decompositions:
                notify(f"decomposing {place.label}")
                own = tensors_of(place, weights)
                decompositions[key] = kept.decomposition(
                    scheme,
                    layer,
                    candidate.ranks,
                    own,
                    partial(scheme.decompose, layer, *own, candidate.ranks),
                )
            made = decompositions[key]
            replacements[key] = Replacement(made.factors, made.tensors)
        else:
            replacements[key] = Replacement(scheme.factors(layer, candidate.ranks))
    return Built(replacements, decompositions, norms, errors, unfitted)


def _decisions(
    looked: Survey,
    picked: Sequence[Candidate],
    built: Built,
    rewritten: Rewritten,
    chooser: Chooser,
    unfitted: Mapping[Key, str],
) -> list[Decision]:
    refusals: dict[str, list[Refused]] = defaultdict(list)
    for refused in looked.refused:
        refusals[refused.label].append(refused)
    decisions = []
    for place, found, candidate in zip(looked.places, looked.candidates, picked, strict=True):
        made = built.decompositions.get(place.key)
        pair = [found[0], candidate] if candidate.scheme is not None else None
        decisions.append(
            Decision(
                place=place,
                candidates=found,
                chosen=_as_made(candidate, made),
                refused=tuple(refusals[place.label]),
                decomposition=made,
                made=tuple(
                    rewritten.made[use.label] for use in place.uses if use.label in rewritten.made
                ),
                predicted_s=None if pair is None else _pair(predicted(place, pair)),
                measured_s=chooser.measured.get((place.key, candidate.name, candidate.ranks)),
                slower=tuple(chooser.slower.get(place.key, ())),
                unfitted=built.unfitted.get(place.key, unfitted.get(place.key)),
            )
        )
    return decisions


def _pair(times: Sequence[float]) -> Pair:
    first, second = times
    return first, second


def _as_made(candidate: Candidate, made: Decomposition | None) -> Candidate:
    """Return a candidate with the error that it was found to have: of outputs, else of kernels.

    It is exact if its kernel is: outputs were seen for some inputs only.
    """
    if made is None:
        return candidate
    error = made.error if made.output_error is None else made.output_error
    return replace(candidate, error=error, label=made.label)
