"""Gather all that is known of a network's receptive fields in one value, to be shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from cnndsl.analysis.alignment import Misalignment, misalignments
from cnndsl.analysis.axis_field import Interval
from cnndsl.analysis.borders import (
    CleanUnits,
    UnusedPadding,
    clean_units,
    padding_inside,
    unused_padding,
)
from cnndsl.analysis.coverage import Coverage, TooLargeError, coverage
from cnndsl.analysis.dilation_schedule import (
    WindowLayer,
    chain_to,
    covering_schedule,
    hybrid_dilated_convolution,
)
from cnndsl.analysis.effective_field import EffectiveField, EffectiveFields, effective_fields
from cnndsl.analysis.receptive_field import (
    Irregular,
    ReceptiveFields,
    ValueField,
    map_extents,
    placed_by_size,
    receptive_fields,
)
from cnndsl.analysis.resolution import (
    ResolutionRange,
    Sighting,
    resolution_range,
    sight,
    unproductive,
    widening,
)
from cnndsl.analysis.sizes import NoSizeError
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.ir.graph import Graph, Node


@dataclass(frozen=True, slots=True)
class View:
    """What the units of one value see.

    `placed` says whether starts, centres and borders are known; they are not where padding depends
    on a size that is not. `coverage` is the share of positions read, per axis; None where the field
    has too many.
    """

    value: str
    layer: str
    map_extents: tuple[int, ...]
    field: ValueField
    placed: bool
    coverage: tuple[float, ...] | None
    clean: CleanUnits | None
    effective: tuple[EffectiveField, ...] | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What one unit of a value sees: first and last input position, per axis; borders ignored."""

    view: View
    unit: tuple[int, ...]
    intervals: tuple[Interval | None, ...]


@dataclass(frozen=True, slots=True)
class Holes:
    """A value that leaves positions of its field unread, along one axis.

    `smaller` are dilations, by layer, that would leave none (None if no schedule does). `hdc` is
    what the heuristic of Wang et al. says; None where it does not apply.
    """

    value: str
    layer: str
    axis: int
    coverage: float
    first_offender: str | None
    smaller: Mapping[str, int] | None
    hdc: bool | None


@dataclass(frozen=True)
class FieldReport:
    """The receptive fields of a network in one of its inputs."""

    graph: Graph
    fields: ReceptiveFields

    @cached_property
    def effective(self) -> EffectiveFields:
        return effective_fields(self.graph, self.fields.sizes.values, self.fields.input)

    @cached_property
    def coverage(self) -> Coverage | None:
        try:
            return coverage(self.graph, self.fields)
        except TooLargeError:
            return None

    @cached_property
    def misalignments(self) -> tuple[Misalignment, ...]:
        return misalignments(self.graph, self.fields) if self.placed else ()

    @cached_property
    def unused_padding(self) -> tuple[UnusedPadding, ...]:
        return unused_padding(self.graph, self.fields) if not self.fields.assumed else ()

    @cached_property
    def resolution(self) -> ResolutionRange | None:
        return resolution_range(self.graph, self.fields)

    @cached_property
    def unproductive(self) -> tuple[Node, ...]:
        return unproductive(self.graph, self.fields) if not self.fields.assumed else ()

    @cached_property
    def irregular(self) -> Mapping[str, str]:
        """Values without a regular field, and why."""
        values = self.fields.values
        return {n: f.reason for n, f in values.items() if isinstance(f, Irregular)}

    @cached_property
    def placed(self) -> bool:
        """Whether the place of every field is known: no padding depends on an unknown size."""
        return not self.fields.assumed or not placed_by_size(self.graph, self.graph.nodes)

    def sight(self, object_px: Sequence[int]) -> Sighting:
        """Return which layers see an object whole; raises CompileError if the axes do not fit."""
        if len(object_px) != len(self.fields.extents):
            raise CompileError(
                Diagnostic(
                    code="CNN306",
                    message=f"the object has {len(object_px)} extents, "
                    f"the input {self.fields.input} has {len(self.fields.extents)} spatial axes",
                    help="give one extent per axis, as in --object "
                    + "x".join(["80"] * len(self.fields.extents)),
                )
            )
        return sight(self.graph, self.fields, object_px)

    def view(self, value: str) -> View:
        """Return what the units of a value see; its field is regular."""
        field = self.fields.fields[value]
        producer = self.graph.producers.get(value)
        shares = self.coverage.shares[value] if self.coverage is not None else None
        placed = self.placed and (not self.fields.assumed or not field.whole)
        return View(
            value=value,
            layer=value if producer is None else producer.label,
            map_extents=map_extents(self.fields.sizes.types[value]),
            field=field,
            placed=placed,
            coverage=None if shares is None else tuple(map(float, shares)),
            clean=self._clean(value),
            effective=self.effective.of(value),
        )

    def intervals(self, value: str, unit: Sequence[int]) -> tuple[Interval | None, ...]:
        """Return what one unit of a value sees along each axis of the input.

        Raises CompileError (CNN207, CNN306, CNN318) where places are not known or the value has no
        such unit.
        """
        view = self.view(value)
        axes = len(view.field.hull)
        extents = view.map_extents if len(view.map_extents) == axes else (1,) * axes
        shown = ",".join(map(str, unit))
        if self.fields.assumed:
            symbol = self.fields.assumed[0]
            raise CompileError(
                Diagnostic(
                    code="CNN207",
                    message=f"what unit {shown} of {view.layer} sees depends on the size {symbol}",
                    help=f"give it with --set {symbol}=224",
                )
            )
        if len(unit) != axes:
            raise CompileError(
                Diagnostic(
                    code="CNN306",
                    message=f"unit {shown} has {len(unit)} numbers, {view.layer} has {axes} axes",
                    help="give one number per axis, as in --unit " + ",".join(["0"] * axes),
                )
            )
        if any(u >= n for u, n in zip(unit, extents, strict=True)):
            raise CompileError(
                Diagnostic(
                    code="CNN318",
                    message=f"{view.layer} has {'x'.join(map(str, extents))} units, and no {shown}",
                    help="the last is " + ",".join(str(n - 1) for n in extents),
                )
            )
        return tuple(a.interval(u) for a, u in zip(view.field.hull, unit, strict=True))

    def _clean(self, value: str) -> CleanUnits | None:
        known = not self.fields.assumed and value not in self._padding_inside
        return clean_units(self.fields, value) if known else None

    @cached_property
    def _padding_inside(self) -> frozenset[str]:
        return padding_inside(self.graph, self.fields)

    def end_points(self) -> tuple[str, ...]:
        """Return the values worth a look: the widest field at each jump in turn, and the outputs.

        The last window before the units move further apart or closer together ends a stage.
        """
        found: list[str] = []
        stage: tuple[object, str] | None = None
        for node, _ in widening(self.graph, self.fields):
            name = node.output.name
            jump = self.fields.fields[name].jump_px
            if stage is not None and stage[0] != jump:
                found.append(stage[1])
            stage = (jump, name)
        if stage is not None:
            found.append(stage[1])
        outputs = [o.value for o in self.graph.outputs if self.fields.of(o.value) is not None]
        # An output that sees what an end point sees stands for it.
        told = {self._seen(value) for value in outputs}
        return (*(v for v in found if self._seen(v) not in told), *dict.fromkeys(outputs))

    def _seen(self, value: str) -> tuple[object, ...]:
        axes = self.fields.fields[value].hull
        return axes, map_extents(self.fields.sizes.types[value])

    def all_values(self) -> tuple[str, ...]:
        """Return every value with a regular field, in order."""
        return tuple(self.fields.fields)

    def holes(self, values: Sequence[str]) -> Iterator[Holes]:
        """Yield, for each of the values and axes, what it leaves unread."""
        if self.coverage is None:
            return
        for value in values:
            for axis, share in enumerate(self.coverage.shares[value]):
                if share == 1:
                    continue
                chain = chain_to(self.graph, self.fields, value, axis)
                offender = self.coverage.first_offender(self.graph, value)
                yield Holes(
                    value,
                    self.view(value).layer,
                    axis,
                    float(share),
                    None if offender is None else offender.label,
                    covering_schedule(self.graph, self.fields, value, axis),
                    _hdc(chain),
                )


def _hdc(chain: Sequence[WindowLayer]) -> bool | None:
    if len({(w.kernel, w.jump) for w in chain}) != 1:
        return None
    return hybrid_dilated_convolution(chain[0].kernel, [w.dilation for w in chain])


def report_fields(graph: Graph, input: str | None = None) -> FieldReport:
    """Return the report on a network's receptive fields in one input (the first with a map).

    Raises CompileError if the network has no such input, or a map is empty.
    """
    mapped = {i.value.name: bool(map_extents(i.value.type)) for i in graph.inputs}
    if input is not None and input not in mapped:
        raise CompileError(unknown_name("input", input, list(mapped)))
    chosen = next((name for name in mapped if mapped[name] and input in (None, name)), None)
    if chosen is None:
        raise CompileError(
            Diagnostic(
                code="CNN502",
                message=f"there are no receptive fields in {input or ' and '.join(mapped)}: "
                "a vector has no map",
            )
        )
    try:
        return FieldReport(graph, receptive_fields(graph, input=chosen))
    except NoSizeError as error:
        raise CompileError(
            Diagnostic(code="CNN204", message=str(error), help="give larger sizes with --set")
        ) from None


def find_value(report: FieldReport, name: str) -> str:
    """Return the value that a user calls by its name, its layer's label or an output's name.

    Raises CompileError (CNN301, CNN502) for an unknown name and for a value without a field.
    """
    graph = report.graph
    by_name = {n.label: n.output.name for n in graph.nodes}
    by_name |= {value: value for value in (*(i.value.name for i in graph.inputs), *graph.producers)}
    by_name |= {o.name: o.value for o in graph.outputs}
    if name not in by_name:
        raise CompileError(unknown_name("value or layer", name, list(by_name)))
    value = by_name[name]
    field = report.fields.values.get(value)
    if isinstance(field, ValueField):
        return value
    reason = (
        f"it sees nothing of the input {report.fields.input}" if field is None else field.reason
    )
    raise CompileError(
        Diagnostic(
            code="CNN502",
            message=f"{name} has no regular receptive field: {reason}",
            help="choose a value before it with --at",
        )
    )


def unknown_name(kind: str, name: str, known: list[str]) -> Diagnostic:
    """Return the diagnostic for a name that the network does not have."""
    close = get_close_matches(name, known, n=1)
    return Diagnostic(
        code="CNN301",
        message=f"the network has no {kind} called {name}",
        help=f"did you mean {close[0]}?" if close else f"for example {', '.join(known[:5])}",
    )
