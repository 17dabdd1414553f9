"""Alignment: whether branches that merge look at the same place.

Units at the same place of two branches should see intervals with the same centre (Araujo et al.,
Distill 2019, "Alignment"). Where they do not, the merged map mixes places: a down-sampling path
that was padded unevenly and sampled up again is off by a fraction of its coarsest pixel. Along an
axis on which all branches end at the same position (causal networks) they are aligned too: all
look back from the same moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from cnndsl.analysis.axis_field import AxisField
from cnndsl.analysis.receptive_field import ReceptiveFields, carried
from cnndsl.ir.graph import Graph, Node


@dataclass(frozen=True, slots=True)
class Misalignment:
    """A merge whose operands' fields have different centres.

    `centres` are, per operand, the centres of what unit 0 sees, in input positions per axis (after
    up-sampling the mean over the phases).
    """

    node: Node
    operands: tuple[str, ...]
    centres: tuple[tuple[Fraction, ...], ...]
    causal: tuple[bool, ...]
    """Per axis, whether all operands end at the same position."""

    @property
    def offset_px(self) -> tuple[Fraction, ...]:
        """The largest distance between two operands' centres, per axis; 0 where causal."""
        return tuple(
            Fraction(0) if causal else max(axis) - min(axis)
            for axis, causal in zip(zip(*self.centres, strict=True), self.causal, strict=True)
        )


def misalignments(
    graph: Graph, fields: ReceptiveFields, nodes: Iterable[Node] | None = None
) -> tuple[Misalignment, ...]:
    """Return every merge (among `nodes`, if given) of branches with unequal centres.

    Operands that see the whole map (gates) are at no place and count for none.
    """
    found = []
    for node in graph.nodes if nodes is None else nodes:
        if len(node.inputs) < 2 or fields.of(node.output.name) is None:
            continue
        placed = [(name, axes) for name, axes in carried(node, fields) if _placed(axes)]
        centres = tuple(tuple(a.centre or Fraction(0) for a in axes) for _, axes in placed)
        if len(set(centres)) < 2:
            continue
        causal = tuple(
            len({_lasts(a) for a in axis}) == 1
            for axis in zip(*(axes for _, axes in placed), strict=True)
        )
        merge = Misalignment(node, tuple(name for name, _ in placed), centres, causal)
        if any(merge.offset_px):
            found.append(merge)
    return tuple(found)


def _placed(axes: Sequence[AxisField]) -> bool:
    return not any(a.whole or a.centre is None for a in axes)


def _lasts(axis: AxisField) -> tuple[Fraction, ...]:
    """Return the last position seen, relative to the unit's place; over a period, if it varies."""
    ends = [
        seen[1] - Fraction(phase * axis.shift, axis.period)
        for phase, seen in enumerate(axis.phases)
        if seen is not None
    ]
    return (max(ends),) if len(set(ends)) == 1 else tuple(ends)
