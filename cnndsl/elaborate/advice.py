"""What dominates a claim that failed, and the smallest change that would meet it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from cnndsl.analysis.axis_field import AxisField
from cnndsl.analysis.coverage import TooLargeError
from cnndsl.analysis.dilation_schedule import chain_to, covering_layers
from cnndsl.diagnostics import Related
from cnndsl.elaborate.comparison import UndecidedError, compare
from cnndsl.elaborate.context import Context
from cnndsl.elaborate.expressions import evaluate
from cnndsl.elaborate.network_facts import COSTS, NETWORK_FACTS, QUESTIONS, NetworkFacts
from cnndsl.elaborate.proposals import Wider, added, number, separations, written_dilation
from cnndsl.elaborate.questions import field_of
from cnndsl.elaborate.values import SizeValue, Tensor, Value
from cnndsl.syntax import ast

_LARGEST = 3
"""Layers named as those that dominate."""

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Advice:
    """What a failed claim adds to its message."""

    actual: str = ""
    notes: tuple[str, ...] = ()
    related: tuple[Related, ...] = ()
    help: str | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question in a claim: its word, the value it is about (None: the network), its answer."""

    word: str
    value: str | None
    arguments: tuple[Value, ...]
    place: ast.Expr


def advise(
    ctx: Context, condition: ast.Expr, left: Value | None = None, right: Value | None = None
) -> Advice:
    """Return advice on a condition that is false; for a comparison with the values of its sides."""
    if ctx.facts is None:
        return Advice()
    if isinstance(condition, ast.Comparison):
        asked = _asked(ctx, condition.left)
        operator, actual, bound = condition.operator, left, right
        if asked is None:
            asked = _asked(ctx, condition.right)
            operator, actual, bound = _FLIPPED.get(operator, operator), right, left
        if asked is None:
            return Advice()
        if asked.word == "peak_memory":
            return _on_memory(ctx.facts)
        if asked.word in COSTS:
            return _on_cost(ctx.facts, asked, operator, actual, bound)
        if asked.word == "receptive_field":
            return _on_receptive_field(ctx, asked, operator, actual, bound)
        return Advice()
    asked = _asked(ctx, condition)
    if asked is None:
        return Advice()
    if asked.word == "aligned":
        return _on_alignment(ctx, asked)
    return _on_coverage(ctx, asked) if asked.word == "covered" else Advice()


def _asked(ctx: Context, side: ast.Expr) -> _Asked | None:
    assert ctx.facts is not None
    if isinstance(side, ast.Name) and side.name in NETWORK_FACTS:
        return _Asked(side.name, None, (), side)
    if (
        isinstance(side, ast.Call)
        and isinstance(side.function, ast.Name)
        and side.function.name in QUESTIONS
    ):
        arguments = tuple(evaluate(ctx, a.value) for a in side.arguments)
        if arguments and isinstance(arguments[0], Tensor):
            value = ctx.facts.value(arguments[0])
            return _Asked(side.function.name, value, arguments[1:], side)
    return None


# ------------------------------------------------------------------------- cost


def _on_cost(
    facts: NetworkFacts, asked: _Asked, operator: str, actual: Value | None, bound: Value | None
) -> Advice:
    if not isinstance(actual, int) or not isinstance(bound, (int, float)):
        return Advice()
    known = [(n, layer) for layer in facts.layers(asked.value) if (n := _of(layer, asked.word))]
    largest = sorted(known, key=lambda item: -item[0])[:_LARGEST]
    if not largest:
        return Advice()
    listed = ", ".join(f"{x.label} {n:_} ({100 * n / actual:.0f} %)" for n, x in largest)
    notes = (f"most of it: {listed}",)
    if operator not in ("<", "<="):
        return Advice(notes=notes)
    excess = actual - bound + (operator == "<")
    found = [
        (saved, text)
        for saved, text in separations(facts, asked.word, asked.value)
        if saved >= excess
    ]
    if not found:
        return Advice(notes=notes)
    saved, text = min(found, key=lambda item: item[0])
    return Advice(notes=notes, help=f"{text}, saves {saved:_}")


def _of(layer: object, fact: str) -> int:
    return number(getattr(layer, fact))


def _on_memory(facts: NetworkFacts) -> Advice:
    live = facts.planned.live_bytes if facts.planned is not None else {}
    largest = sorted(live.items(), key=lambda item: -item[1])[:_LARGEST]
    listed = ", ".join(f"{label} {alive:_}" for label, alive in largest)
    return Advice(notes=(f"most is alive at: {listed}",) if largest else ())


# -------------------------------------------------------------- receptive field


def _on_receptive_field(
    ctx: Context, asked: _Asked, operator: str, actual: Value | None, bound: Value | None
) -> Advice:
    facts = ctx.facts
    assert facts is not None
    assert asked.value is not None
    found = field_of(ctx, asked.word, asked.value, asked.arguments, asked.place.span)
    if found is None or not isinstance(actual, SizeValue):
        return Advice()
    fields, field = found
    wanted = bound.extents if isinstance(bound, SizeValue) else (bound,) * len(actual.extents)
    if not all(isinstance(w, (int, float)) for w in wanted) or len(wanted) != len(field.hull):
        return Advice()
    missing = [
        ceil(w) + (operator == ">") - axis.size  # type: ignore[arg-type]
        for w, axis in zip(wanted, field.hull, strict=True)
    ]
    axis = max(range(len(missing)), key=lambda a: missing[a])
    chain = chain_to(facts.graph, fields, asked.value, axis)
    if not chain:
        return Advice()
    if operator in ("<", "<=") or (operator == "==" and missing[axis] < 0):
        widest = max(chain, key=added)
        return Advice(notes=(f"{widest.label} adds the most to it: {added(widest)} px",))
    if operator not in (">", ">=", "==") or field.whole:
        return Advice()
    last = chain[-1]
    notes = [f"its last window, {last.label}, adds {added(last)} px, at a jump of {last.jump}"]

    def enough(reached: Sequence[AxisField]) -> bool:
        try:
            sizes = SizeValue(tuple(axis.size for axis in reached))
            return bound is not None and compare(ctx, operator, sizes, bound, asked.place.span)
        except UndecidedError:
            return False

    proposal = Wider(facts, fields, asked.value, field.hull, missing, enough)
    changes = [
        change
        for change in (proposal.deeper(), proposal.dilated(chain), proposal.strided(chain, axis))
        if change is not None
    ]
    texts = [text for _, text in sorted(changes, key=lambda change: change[0])]
    if len(texts) > 1:
        notes.append("or " + ", or ".join(texts[1:]))
    return Advice(notes=tuple(notes), help=texts[0] if texts else None)


# ---------------------------------------------------------- alignment, coverage


def _on_alignment(ctx: Context, asked: _Asked) -> Advice:
    facts = ctx.facts
    assert facts is not None
    assert asked.value is not None
    found = field_of(ctx, asked.word, asked.value, asked.arguments, asked.place.span)
    if found is None:
        return Advice()
    merges = facts.misalignments(asked.value, found[0].input)
    first = merges[0]
    offset = "x".join(f"{float(o):g}" for o in first.offset_px)
    centres = ", ".join(
        f"{name} {'x'.join(f'{float(c):g}' for c in axes)}"
        for name, axes in zip(first.operands, first.centres, strict=True)
    )
    more = f" ({len(merges)} merges in all)" if len(merges) > 1 else ""
    related = (Related("these branches merge", first.node.span),) if first.node.span else ()
    return Advice(
        actual=f"at {first.node.label} the branches are {offset} px apart{more}",
        notes=(f"centres of what unit 0 sees: {centres}",),
        related=related,
        help="where a map is sampled up again, sample it down by an even kernel: "
        "`maxpool2x2` or `conv2x2(stride=2)`",
    )


def _on_coverage(ctx: Context, asked: _Asked) -> Advice:
    facts = ctx.facts
    assert facts is not None
    assert asked.value is not None
    found = field_of(ctx, asked.word, asked.value, asked.arguments, asked.place.span)
    if found is None:
        return Advice()
    fields, field = found
    try:
        known = facts.coverage(fields.input)
    except TooLargeError:
        return Advice()
    shares = known.shares[asked.value]
    axis = min(range(len(shares)), key=lambda a: shares[a])
    size = max(field.hull[axis].phase_sizes)
    offender = known.first_offender(facts.graph, asked.value)
    layers = covering_layers(facts.graph, fields, asked.value) or {}
    listed = ", ".join(f"{written_dilation(op)} in {label}" for label, op in layers.items())
    related: tuple[Related, ...] = ()
    if offender is not None and offender.span is not None:
        related = (Related(f"{offender.label} makes the first holes", offender.span),)
    return Advice(
        actual=f"{float(100 * shares[axis]):.3g} % of the {size} positions along axis {axis} "
        "are read",
        related=related,
        help=None if not layers else f"{listed} would cover it",
    )
