"""The report of an optimisation: sections of text, tables and charts, however they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cnndsl.driver.optimizing.choosing import raced_text
from cnndsl.driver.optimizing.orders import orders, verdict
from cnndsl.driver.optimizing.outcome import Decision, Outcome
from cnndsl.factorize.choosing.baselines import greedy, uniform
from cnndsl.factorize.choosing.budget import Quantity
from cnndsl.factorize.choosing.choose import amount, chosen, ladder
from cnndsl.factorize.choosing.option import Choice, Unreachable
from cnndsl.factorize.scheme import Label
from cnndsl.pictures.chart import Chart, Series
from cnndsl.types.extents import Extent

MEANING = {
    Label.EXACT: "the same function, up to rounding",
    Label.APPROXIMATE: "close to it, by the errors below",
    Label.RETRAIN: "another network: useless before it is trained",
}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; a column is (heading, whether it holds numbers)."""

    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report."""

    title: str
    text: tuple[str, ...] = ()
    table: Table | None = None
    chart: Chart | None = None


def document(outcome: Outcome) -> tuple[Section, ...]:
    """Return the whole report."""
    slower = slower_text(outcome)
    return (
        Section(
            f"{outcome.before.name}, {outcome.request}",
            tuple(filter(None, (f"{outcome.label.value}: {MEANING[outcome.label]}.", slower))),
            totals(outcome),
        ),
        Section("Layers", (_LAYERS,), every_layer(outcome)),
        Section("Error against cost", _chart_text(outcome), chart=chart(outcome)),
        Section(
            "Which order has fewer parameters?",
            (
                "A bottleneck of r channels may come before the kernel or behind it. Each row has "
                "what either order takes for each channel, and the largest r that saves anything.",
            ),
            _orders(outcome),
        ),
        *_left_alone(outcome),
        *_not_fitted(outcome),
    )


def totals(outcome: Outcome) -> Table:
    """Return what the network took before and after."""
    before, after = outcome.figures_before, outcome.figures_after
    rows = [
        _compared("parameters", before.summary.params, after.summary.params),
        _compared("MACs", before.summary.macs, after.summary.macs),
        _compared("weights, bytes", before.summary.weight_bytes, after.summary.weight_bytes),
    ]
    if before.peak_memory_bytes is not None and after.peak_memory_bytes is not None:
        rows.append(
            _compared("planned memory, bytes", before.peak_memory_bytes, after.peak_memory_bytes)
        )
    for o in outcome.graph.outputs:
        fields = [_field(f.fields.of(o.value)) if f.fields else "" for f in (before, after)]
        if fields[0]:
            same = "same" if fields[0] == fields[1] else "changed"
            rows.append((f"receptive field of {o.name}", fields[0], fields[1], same))
    for name, error in outcome.errors.items():
        rows.append(
            (f"error of {name}, {outcome.samples} held-out samples", "", f"{error:.3g}", "")
        )
    for what, whole, times in (
        ("predicted", outcome.predicted_s, [d.predicted_s for d in outcome.decisions]),
        ("measured", outcome.measured_s, [d.measured_s for d in outcome.decisions]),
    ):
        if pairs := [t for t in times if t is not None]:
            first, second = (sum(t[i] for t in pairs) for i in (0, 1))
            rows.append(_timed(f"changed layers, {what}, ms", (first, second)))
        if whole is not None:
            rows.append(_timed(f"all of it, {what}, ms", whole))
    return Table(
        (("whole network", False), ("before", True), ("after", True), ("ratio", True)), tuple(rows)
    )


def _timed(what: str, times: tuple[float, float]) -> tuple[str, str, str, str]:
    before, after = times
    return what, _ms(before), _ms(after), f"{after / before:.3f}x"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3f}"


def slower_text(outcome: Outcome) -> str:
    """Return what there is to say if the network, or its changed layers, do not become faster."""
    if outcome.raced:
        slower = outcome.raced if outcome.measured_s is None else outcome.raced[:-1]
        said = []
        if slower:
            put_back = "some" if outcome.measured_s is not None else "all"
            said.append(f"the network {raced_text(slower)}; {put_back} layers are as they were")
        budget = outcome.request.budget
        if outcome.measured_s is not None and outcome.request.quantity is Quantity.LATENCY:
            before, after = outcome.measured_s
            if budget is not None and after > budget.amount(before):
                said.append(
                    f"{budget} holds for the sum of the layers' times, each by itself; the network "
                    f"as a whole takes {after / before:.3g} of its time"
                )
        return "; ".join(said)
    ratios = []
    for times in ([d.measured_s, d.predicted_s] for d in outcome.decisions):
        known = next((t for t in times if t is not None), None)
        if known is not None:
            ratios.append(known)
    before, after = (sum(t[i] for t in ratios) for i in (0, 1))
    if not ratios or after < before:
        return ""
    return (
        f"the changed layers are to take {after / before:.2f}x as long as before, for all that is "
        "saved; --accept predicted or measured leaves out what is not faster"
    )


def every_layer(outcome: Outcome) -> Table:
    """Return a row with all figures for each layer that schemes look at."""
    columns = (
        ("layer", False),
        ("becomes", False),
        *((name, True) for what in _COMPARED for name in (what, "after")),
        ("receptive field", False),
        ("error", True),
        ("label", False),
    )
    return Table(columns, tuple(tuple(_figures(outcome, d)) for d in outcome.decisions))


_COMPARED = ("params", "MACs", "memory", "predicted, ms", "measured, ms")

_LAYERS = (
    "Memory is what is alive at most while the layer runs, or the chain in its place, in bytes of "
    "the numba-cpu plan. Predicted times are those of one core of 2.5 GHz with AVX-512, as the "
    "plan has it; measured ones are those of this machine, where --accept measured timed them."
)


def _figures(outcome: Outcome, d: Decision) -> Iterator[str]:
    yield d.place.label
    yield str(d.chosen) if d.is_changed else "-"
    for counts in (
        (d.dense.cost.params, d.chosen.cost.params),
        (d.dense.cost.macs, d.chosen.cost.macs),
        outcome.memory_of(d),
    ):
        for place, count in enumerate(counts):
            yield "" if count is None or (place and not d.is_changed) else f"{count:,}"
    for times in (d.predicted_s, d.measured_s):
        yield from ("", "") if times is None else map(_ms, times)
    before, after = ("x".join(map(str, field)) for field in outcome.fields_of(d))
    yield before if before == after else f"{before} to {after}"
    yield error_text(d)
    yield d.chosen.label.value if d.is_changed else ""


def layers(outcome: Outcome) -> Table:
    """Return a row for each layer that was changed, narrow enough for a terminal."""
    measured = any(d.measured_s for d in outcome.decisions)
    shown = [d for d in outcome.decisions if d.is_changed]
    columns = [
        ("layer", False),
        ("becomes", False),
        ("params", True),
        ("params after", True),
        ("MACs", True),
        ("MACs after", True),
        ("predicted", True),
        *([("measured", True)] if measured else []),
        ("error", True),
        ("label", False),
    ]
    return Table(tuple(columns), tuple(tuple(_row(d, measured)) for d in shown))


def _row(d: Decision, measured: bool) -> Iterator[str]:
    yield d.place.label
    yield str(d.chosen) if d.is_changed else "-"
    yield f"{d.dense.cost.params:,}"
    yield f"{d.chosen.cost.params:,}" if d.is_changed else ""
    yield f"{d.dense.cost.macs:,}"
    yield f"{d.chosen.cost.macs:,}" if d.is_changed else ""
    yield "" if d.predicted_s is None else f"{d.predicted_s[0] / d.predicted_s[1]:.2f}x"
    if measured:
        yield "" if d.measured_s is None else f"{d.measured_s[0] / d.measured_s[1]:.2f}x"
    yield error_text(d)
    yield d.chosen.label.value if d.is_changed else ""


def error_text(d: Decision) -> str:
    """Return a layer's relative error."""
    if not d.is_changed or d.chosen.error is None:
        return ""
    return f"{d.chosen.error:.2e}" if d.chosen.error < 1e-3 else f"{d.chosen.error:.4f}"


def chart(outcome: Outcome) -> Chart:
    """Return the chart of what other budgets would have given, and other ways to choose."""
    problem, quantity = outcome.problem, outcome.request.quantity
    dense = problem.dense
    series = []
    front = [_point(outcome, c) for c in ladder(problem)]
    series.append(Series("best for each budget", tuple(front), line=True))
    series.append(Series("chosen", (_point(outcome, outcome.choice),)))
    budget = problem.dense * _point(outcome, outcome.choice)[0] - problem.rest
    if outcome.request.budget is not None:
        budget = outcome.request.budget.amount(dense) - problem.rest
    for name, solve in (("greedy", greedy), ("same share everywhere", uniform)):
        try:
            series.append(Series(name, (_point(outcome, solve(problem.groups, budget)),)))
        except Unreachable:
            continue
    return Chart(
        f"{outcome.before.name}: loss against {quantity.value}",
        f"{quantity.value}, share of {dense:.4g}",
        "loss: -log of the energy kept",
        tuple(series),
    )


def _point(outcome: Outcome, choice: Choice) -> tuple[float, float]:
    problem = outcome.problem
    options = [g[i] for g, i in zip(problem.groups, choice, strict=True)]
    spent = problem.rest + sum(o.cost for o in options)
    return spent / problem.dense, sum(o.error for o in options)


def _chart_text(outcome: Outcome) -> tuple[str, ...]:
    picked = chosen(outcome.problem, outcome.choice)
    spent = outcome.problem.rest + sum(amount(c, outcome.request.quantity) for c in picked)
    return (
        "The loss of a layer is -log(1 - error^2); those of all layers add up. "
        f"Chosen: {spent / outcome.problem.dense:.4g} of the cost.",
    )


def _orders(outcome: Outcome) -> Table:
    rows = [
        (
            d.place.label,
            o.form,
            f"{o.params_formula} = {o.params_each:_} r",
            f"{o.macs_each:_} r",
            f"{o.break_even_params:,}" if o.break_even_params else "none",
            f"{o.break_even_macs:,}" if o.break_even_macs else "none",
        )
        for d in outcome.decisions
        for o in orders(d.place)
    ]
    columns = (
        ("layer", False),
        ("order", False),
        ("parameters", False),
        ("MACs", True),
        ("r, params", True),
        ("r, MACs", True),
    )
    return Table(columns, tuple(rows))


def _left_alone(outcome: Outcome) -> Iterator[Section]:
    """Yield the section of refusals, if there are any: a row for each layer and reason."""
    schemes: dict[tuple[str, str], list[str]] = {}
    for refused in (*outcome.refused, *(r for d in outcome.decisions for r in d.refused)):
        schemes.setdefault((refused.label, refused.reason), []).append(refused.scheme)
    rows = tuple(
        (label, ", ".join(names) if all(names) else "all", reason)
        for (label, reason), names in schemes.items()
    )
    if rows:
        columns = (("layer", False), ("scheme", False), ("why", False))
        yield Section("Where schemes do not apply", (), Table(columns, rows))


def _not_fitted(outcome: Outcome) -> Iterator[Section]:
    """Yield the section of layers that data tell too little of, if there are any."""
    rows = tuple((d.place.label, d.unfitted) for d in outcome.decisions if d.unfitted is not None)
    if rows:
        columns = (("layer", False), ("why", False))
        text = "Their errors, and the tensors of their chains, are those of the kernels alone."
        yield Section("Layers that are not fitted to the data", (text,), Table(columns, rows))


def unfitted_text(outcome: Outcome) -> str:
    """Return which changed layers are not fitted to the data, and why; nothing if all are."""
    found = [d for d in outcome.decisions if d.is_changed and d.unfitted is not None]
    if not found:
        return ""
    said = "; ".join(f"{d.place.label}: {d.unfitted}" for d in found[:3])
    more = f"; and {len(found) - 3} more, which --explain tells of" if len(found) > 3 else ""
    return f"changed layers that are not fitted to the data: {said}{more}"


def explanation(outcome: Outcome, label: str) -> Section | None:
    """Return why a layer became what it is; None for a layer that no scheme looks at."""
    d = next((d for d in outcome.decisions if label in [u.label for u in d.place.uses]), None)
    if d is None:
        reason = next((r.reason for r in outcome.refused if r.label == label), None)
        return None if reason is None else Section(label, (f"{label} is left as it is: {reason}.",))
    became = f"becomes {d.chosen}" if d.is_changed else "is left as it is"
    text = [f"{label} {became}."]
    if not d.is_changed:
        text.append(_why_left(outcome, d))
    found = orders(d.place)
    text += [
        f"{o.form}: {o.params_formula} = {o.params_each:_} r parameters, {o.macs_each:_} r MACs; "
        f"fewer parameters for r up to {o.break_even_params}, "
        f"fewer MACs for r up to {o.break_even_macs}"
        for o in found
    ]
    if said := verdict(d.place, found):
        text.append(said)
    if d.unfitted is not None:
        text.append(f"Not fitted to the data: {d.unfitted}.")
    text += [f"{r.scheme}: {r.reason}" for r in d.refused]
    rows = tuple(
        (
            ("* " if (c.scheme, c.ranks) == (d.chosen.scheme, d.chosen.ranks) else "") + c.name,
            "x".join(map(str, c.ranks)),
            f"{c.cost.params:,}",
            f"{c.cost.macs:,}",
            "" if c.error is None else f"{c.error:.4f}",
        )
        for c in d.candidates
    )
    columns = (
        ("scheme", False),
        ("ranks", True),
        ("params", True),
        ("MACs", True),
        ("error", True),
    )
    return Section(label, tuple(text), Table(columns, rows))


def _why_left(outcome: Outcome, d: Decision) -> str:
    rule = outcome.request.ranks
    if len(d.candidates) == 1:
        at = "" if rule is None else f" at the ranks of {rule.text}"
        return f"No scheme makes it cheaper{at}."
    if d.slower:
        tried = ", ".join(map(str, d.slower))
        return f"Chains that were timed are not faster, by themselves or in the network: {tried}."
    cheaper = f"{len(d.candidates) - 1} candidates are cheaper"
    if outcome.request.budget is not None:
        return f"{cheaper}; the budget is met with less loss in other layers."
    return f"{cheaper}; each loses more for what it saves than what was chosen elsewhere."


def _compared(what: str, before: Extent, after: Extent) -> tuple[str, str, str, str]:
    if isinstance(before, int) and isinstance(after, int) and before:
        return what, f"{before:,}", f"{after:,}", f"{after / before:.3f}x"
    return what, str(before), str(after), ""


def _field(found: object) -> str:
    pixels = getattr(found, "receptive_field_px", ())
    return "x".join(map(str, pixels))
