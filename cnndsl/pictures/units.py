"""Units of a diagram: layers that share a box, and the block uses around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import PurePath

from cnndsl.analysis.cost import LayerCost
from cnndsl.diagnostics import Span
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.reach import identity_reach
from cnndsl.pictures.diagram import Cost
from cnndsl.pictures.text import printable, shortened

LONGEST = 44
"""Characters of a name or of arguments that are shown."""


@dataclass(frozen=True, slots=True)
class Use:
    """A use of a block: the last part of its label, and what the source says, if there is one."""

    label: str
    where: str
    block: str = ""
    span: Span | None = None

    @property
    def arguments(self) -> str:
        """The arguments in brackets, as the source writes them."""
        lines = [] if self.span is None else self.span.text.splitlines()
        text = printable(" ".join(" ".join(line.partition("#")[0].split()) for line in lines))
        if not text.startswith(self.block + "("):
            return ""
        return shortened(text.removeprefix(self.block), LONGEST)

    @property
    def details(self) -> str:
        if self.span is None:
            return self.where
        return f"{self.where}: block {self.block}, used in {line_of(self.span)}"


@dataclass(frozen=True, slots=True)
class Unit:
    """A node and the pointwise ones after it that alone read what is before them.

    `path` are the block uses that it came from, outermost first.
    """

    nodes: tuple[Node, ...]
    costs: tuple[LayerCost, ...]
    path: tuple[Use, ...]

    def label(self, level: int) -> str:
        """Return the label of its block use at a level of nesting; nothing if it has none."""
        return self.path[level].label if len(self.path) > level else ""

    @property
    def cost(self) -> Cost:
        total = Cost()
        for layer in self.costs:
            total += Cost(layer.params, layer.macs, 1)
        return total


def units_of(graph: Graph, costs: Sequence[LayerCost]) -> list[Unit]:
    """Return the units of a graph in an order in which they can run; `costs` are its nodes'."""
    heads: dict[str, int] = {}
    """The unit that a value ends, by the value's name."""
    members: list[list[int]] = []
    for place, node in enumerate(graph.nodes):
        if (unit := _followed(graph, node, heads)) is not None:
            members[unit].append(place)
        else:
            unit = len(members)
            members.append([place])
        heads[node.output.name] = unit
    units = [
        Unit(
            tuple(graph.nodes[p] for p in places),
            tuple(costs[p] for p in places),
            _path(graph.nodes[places[0]]),
        )
        for places in members
    ]
    return _without_wrappers(units, 0)


def _path(node: Node) -> tuple[Use, ...]:
    *labels, _ = node.label.split(".")
    uses = []
    for level, label in enumerate(labels):
        block, span = node.path[level] if level < len(node.path) else ("", None)
        uses.append(Use(label, ".".join(labels[: level + 1]), block, span))
    return tuple(uses)


def _without_wrappers(units: Sequence[Unit], level: int) -> list[Unit]:
    """Leave out block uses that are all there is in the use around them."""
    found: list[Unit] = []
    for label, run in groupby(units, lambda u: u.label(level)):
        members = list(run)
        inner = {u.label(level + 1) for u in members}
        while label and len(inner) == 1 and inner != {""}:
            members = [
                replace(u, path=(*u.path[: level + 1], *u.path[level + 2 :])) for u in members
            ]
            inner = {u.label(level + 1) for u in members}
        found += _without_wrappers(members, level + 1) if label else members
    return found


def _followed(graph: Graph, node: Node, heads: Mapping[str, int]) -> int | None:
    """Return the unit that a node belongs to: that of its operand, if it only touches that up."""
    if len(node.inputs) != 1:
        return None
    (operand,) = node.inputs
    before = graph.producers.get(operand)
    if before is None or operand in graph.output_values or len(graph.readers[operand]) > 1:
        return None
    type_ = graph.types[operand]
    if type_.shape != node.output.type.shape or graph.macs(node) != 0:
        return None
    if node.op.reach((type_,)) != identity_reach(len(type_.spatial)):
        return None
    same_block = before.label.rpartition(".")[0] == node.label.rpartition(".")[0]
    return heads[operand] if same_block else None


def line_of(span: Span) -> str:
    """Return a place without folders: equal programs give equal pictures, wherever they lie."""
    return f"{printable(PurePath(span.source.name).name)}, line {span.line}"
