"""From a network to a cheaper one: survey, choose, decompose, rewrite, measure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

from cnndsl.analysis.cost import summarize
from cnndsl.analysis.sizes import required_sizes
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.figures import figures_if_planned
from cnndsl.driver.optimizing.outcome import Decision, Outcome
from cnndsl.driver.optimizing.request import Request
from cnndsl.driver.optimizing.survey import Survey, label_of, survey, tensors_of
from cnndsl.factorize.candidates import Refused, known
from cnndsl.factorize.choosing.budget import Quantity
from cnndsl.factorize.choosing.choose import Problem, amount, chosen, within
from cnndsl.factorize.choosing.option import Choice, Unreachable, cheapest
from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.rewrite import Key, Replacement, rewrite
from cnndsl.factorize.scheme import Decomposition
from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array


def optimize(
    graph: Graph,
    weights: Mapping[str, Array],
    request: Request,
    notify: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Return a cheaper network and what was decided; raises CompileError.

    Everything but measured times depends on the arguments alone.
    """
    sizes = {**dict(graph.usual_sizes), **dict.fromkeys(graph.batch_symbols, 1)}
    sizes = required_sizes(graph, sizes, "count what layers cost")
    looked = survey(graph, weights, request.schemes, sizes, notify)
    problem = _problem(graph, sizes, looked, request.quantity)
    choice = _within(problem, request)
    picked = chosen(problem, choice)
    replacements: dict[Key, Replacement] = {}
    decompositions: dict[Key, Decomposition] = {}
    for place, candidate in zip(looked.places, picked, strict=True):
        scheme, layer = candidate.scheme, place.uses[0]
        if isinstance(scheme, WeightScheme):
            notify(f"decomposing {place.label}")
            made = scheme.decompose(layer, *tensors_of(place, weights), candidate.ranks)
            decompositions[place.key] = made
            replacements[place.key] = Replacement(made.factors, made.tensors)
        elif scheme is not None:
            replacements[place.key] = Replacement(scheme.factors(layer, candidate.ranks))
    # What was chosen by an estimate is reported as it is.
    picked = [
        candidate
        if (made := decompositions.get(place.key)) is None
        else replace(candidate, error=error_of(made), label=label_of(error_of(made)))
        for place, candidate in zip(looked.places, picked, strict=True)
    ]
    rewritten = rewrite(graph, weights, replacements)
    refusals: dict[str, list[Refused]] = defaultdict(list)
    for refused in looked.refused:
        refusals[refused.label].append(refused)
    decisions = []
    for place, found, candidate in zip(looked.places, looked.candidates, picked, strict=True):
        decisions.append(
            Decision(
                place=place,
                candidates=found,
                chosen=candidate,
                refused=tuple(refusals[place.label]),
                decomposition=decompositions.get(place.key),
                made=tuple(
                    rewritten.made[use.label] for use in place.uses if use.label in rewritten.made
                ),
            )
        )
    notify("measuring the network before and after")
    return Outcome(
        request=request,
        before=graph,
        graph=rewritten.graph,
        weights=rewritten.weights,
        decisions=tuple(decisions),
        refused=tuple(r for r in looked.refused if not r.scheme),
        problem=problem,
        choice=choice,
        figures_before=figures_if_planned(graph)[0],
        figures_after=figures_if_planned(rewritten.graph)[0],
    )


def error_of(made: Decomposition) -> float:
    """Return the error to report: of the outputs that were seen, else of the kernel."""
    return made.error if made.output_error is None else made.output_error


def _problem(graph: Graph, sizes: Mapping[str, int], looked: Survey, quantity: Quantity) -> Problem:
    """Return what there is to choose from; the rest is what no choice changes."""
    summary = summarize(graph, sizes)
    whole = {
        Quantity.MACS: known(summary.macs),
        Quantity.PARAMS: summary.params,
        Quantity.WEIGHT_BYTES: summary.weight_bytes,
    }[quantity]
    open_ = sum(amount(found[0], quantity) for found in looked.candidates)
    return Problem(looked.places, looked.candidates, quantity, whole - open_)


def _within(problem: Problem, request: Request) -> Choice:
    budget = request.budget
    try:
        return within(problem, budget)
    except Unreachable as error:
        least = error.least + problem.rest
        raise CompileError(_unmet(problem, request, least)) from None


def _unmet(problem: Problem, request: Request, least: float) -> Diagnostic:
    """Say what the least is, and which layers keep it from being less."""
    budget, dense = request.budget, problem.dense
    at_least = cheapest(problem.groups)
    shares = sorted(
        (
            (amount(candidate, problem.quantity), place.label, str(candidate))
            for place, candidate in zip(problem.places, chosen(problem, at_least), strict=True)
        ),
        reverse=True,
    )
    notes = [
        f"{label} takes at least {amount_text(cost, problem.quantity)} ({candidate})"
        for cost, label, candidate in shares[:3]
    ]
    if problem.rest > 0:
        notes.append(
            f"layers that no scheme knows take {amount_text(problem.rest, problem.quantity)}"
        )
    return Diagnostic(
        code="CNN652",
        message=f"{budget} cannot be met: of {amount_text(dense, problem.quantity)}, "
        f"at least {amount_text(least, problem.quantity)} remain ({least / dense:.3g}x)",
        notes=tuple(notes),
        help=f"give {budget.quantity.value}={_rounded_up(least / dense)}x or more"
        if budget.share is not None
        else "give a larger budget, or allow more schemes",
    )


def _rounded_up(share: float) -> str:
    return f"{min(-(-share * 100 // 1) / 100, 1):g}"


def amount_text(amount: float, quantity: Quantity) -> str:
    """Return an amount of a quantity as people read it."""
    if quantity is Quantity.LATENCY:
        return f"{amount * 1e3:.3g} ms"
    return f"{round(amount):_} {quantity.unit}"
