"""Make a diagram of a graph: join what belongs together, nest it as blocks, fold what is deep."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from cnndsl.analysis.cost import Summary, summarize
from cnndsl.ir.graph import Graph, Node
from cnndsl.pictures.diagram import Box, Cost, Diagram, Edge, Kind
from cnndsl.pictures.text import shortened
from cnndsl.pictures.units import LONGEST, Unit, line_of, units_of
from cnndsl.types.extents import Extent, symbols_of
from cnndsl.types.tensor import TensorType

MOST_BOXES = 48
"""Unless a depth is given, blocks are folded until there are at most so many boxes."""

_LONGEST_SHAPE = 36


def build(graph: Graph, depth: int | None = None) -> Diagram:
    """Return the diagram of a graph with `depth` levels of blocks open.

    Without a depth as many are open as leave at most MOST_BOXES boxes. Equal block uses that are
    not open and follow each other are one box.
    """
    summary = summarize(graph)
    units = units_of(graph, summary.layers)
    deepest = max((len(u.path) for u in units), default=0)
    if depth is not None:
        return _Builder(graph, summary, min(depth, deepest)).diagram(units)
    for tried in range(deepest, -1, -1):
        found = _Builder(graph, summary, tried).diagram(units)
        if sum(1 for _ in found.leaves) <= MOST_BOXES:
            break
    return found


class _Builder:
    """Makes boxes of units, and keeps which box makes each value and which read it."""

    def __init__(self, graph: Graph, summary: Summary, depth: int) -> None:
        self._graph = graph
        self._summary = summary
        self._depth = depth
        self._sizes = dict(summary.sizes)
        self._homes: dict[str, str] = {}
        self._reads: list[tuple[str, str]] = []
        self._made = 0

    def diagram(self, units: Sequence[Unit]) -> Diagram:
        boxes = [self._input(i.value.name) for i in self._graph.inputs]
        boxes += self._boxes(units, 0)
        for output in self._graph.outputs:
            key = self._key()
            type_ = self._type(output.value)
            boxes.append(
                Box(
                    key,
                    Kind.OUTPUT,
                    output.name,
                    shape=self._shape(type_),
                    details=(f"output {output.name}: {type_}",),
                )
            )
            self._reads.append((output.value, key))
        total = Cost(self._summary.params, self._summary.macs, len(self._graph.nodes))
        return Diagram(
            network=self._graph.name,
            boxes=tuple(boxes),
            edges=self._edges(),
            total=total,
            sizes=self._summary.sizes,
            batch_text=self._summary.batch_text,
            missing_sizes=tuple(sorted(symbols_of(total.macs))),
            depth=self._depth,
        )

    def _key(self) -> str:
        self._made += 1
        return f"b{self._made}"

    def _type(self, value: str) -> TensorType:
        return self._graph.types[value].substitute(self._sizes)

    def _shape(self, type_: TensorType) -> str:
        """Return a shape for one sample: its extents after the first."""
        return shortened(" × ".join(str(e) for e in type_.shape[1:]), _LONGEST_SHAPE)

    def _input(self, name: str) -> Box:
        key = self._key()
        self._homes[name] = key
        type_ = self._type(name)
        return Box(
            key,
            Kind.INPUT,
            name,
            shape=self._shape(type_),
            details=(f"input {name}: {type_}",),
        )

    def _boxes(self, units: Sequence[Unit], level: int) -> list[Box]:
        """Return the boxes of one level: a block use is a run of units with the same label there.

        In a run nothing else is made between its units, so boxes never wait for each other.
        """
        found: list[Box] = []
        folded: list[list[Unit]] = []
        """Equal block uses in a row, not yet made a box."""
        for label, run in groupby(units, lambda u: u.label(level)):
            members = list(run)
            fold = label != "" and len(members) > 1 and level >= self._depth
            if folded and not (fold and self._continues(folded[-1], members, level)):
                found.append(self._folded(folded, level))
                folded = []
            if fold:
                folded.append(members)
            elif not label or len(members) == 1:
                found += [self._layer(u) for u in members]
            else:
                key = self._key()
                children = self._boxes(members, level + 1)
                if len(children) == 1:
                    found += children
                else:
                    found.append(self._block(key, members, level, tuple(children)))
        if folded:
            found.append(self._folded(folded, level))
        return found

    def _continues(self, before: Sequence[Unit], after: Sequence[Unit], level: int) -> bool:
        """Return whether a block use does again what the one before did, with its result alone."""
        if [_equal_part(u, level) for u in before] != [_equal_part(u, level) for u in after]:
            return False
        made = {node.output.name for unit in before for node in unit.nodes}
        own = {node.output.name for unit in after for node in unit.nodes}
        read = {v for u in after for n in u.nodes for v in n.inputs} - own
        if {v for v in read if v in self._graph.producers} - made or len(read) != 1:
            return False
        (value,) = read
        return all(self._read_only_by(v, made | own) for v in made) and value in made

    def _layer(self, unit: Unit) -> Box:
        key = self._key()
        first, last = unit.nodes[0], unit.nodes[-1]
        self._settle(unit.nodes, key)
        operands = [v for v in dict.fromkeys(first.inputs) if v in self._homes]
        details = [
            f"{node.label}: {cost.op}" + (f", {line_of(node.span)}" if node.span else "")
            for node, cost in zip(unit.nodes, unit.costs, strict=True)
        ]
        return Box(
            key,
            Kind.JOIN if len(operands) > 1 and not unit.cost.params else Kind.LAYER,
            shortened(" ".join([unit.costs[0].op, *_manner(first)]), LONGEST),
            note=shortened("".join(f" · {cost.op}" for cost in unit.costs[1:]), LONGEST),
            shape=self._shape(self._type(last.output.name)),
            cost=unit.cost,
            details=(*details, *self._figures(unit.cost, last.output.name)),
        )

    def _folded(self, uses: Sequence[Sequence[Unit]], level: int) -> Box:
        key = self._key()
        first, last = uses[0], uses[-1]
        nodes = [node for use in uses for unit in use for node in unit.nodes]
        self._settle(nodes, key)
        cost, results = _total([u for use in uses for u in use]), self._results(nodes)
        shapes = dict.fromkeys(self._shape(self._type(value)) for value in results)
        times = f" × {len(uses)}" if len(uses) > 1 else ""
        places = dict.fromkeys(use[0].path[level].details for use in (first, last))
        return Box(
            key,
            Kind.FOLDED,
            shortened(first[0].label(level), LONGEST),
            note=first[0].path[level].arguments + times,
            shape=shortened(", ".join(shapes), _LONGEST_SHAPE),
            cost=cost,
            details=(*places, *self._figures(cost, *results)),
        )

    def _block(self, key: str, units: Sequence[Unit], level: int, children: tuple[Box, ...]) -> Box:
        cost = _total(units)
        results = self._results([node for unit in units for node in unit.nodes])
        return Box(
            key,
            Kind.BLOCK,
            shortened(units[0].label(level), LONGEST),
            note=units[0].path[level].arguments,
            cost=cost,
            details=(units[0].path[level].details, *self._figures(cost, *results)),
            children=children,
        )

    def _results(self, nodes: Sequence[Node]) -> list[str]:
        """Return the values of these nodes that something else reads, or nothing does."""
        within = {node.output.name for node in nodes}
        inner = {name for name in within if self._read_only_by(name, within)}
        return [node.output.name for node in nodes if node.output.name not in inner]

    def _read_only_by(self, value: str, within: set[str]) -> bool:
        readers = self._graph.readers[value]
        return (
            bool(readers)
            and value not in self._graph.output_values
            and all(reader.output.name in within for reader in readers)
        )

    def _settle(self, nodes: Sequence[Node], key: str) -> None:
        made = {node.output.name for node in nodes}
        for node in nodes:
            self._reads += [(v, key) for v in node.inputs if v not in made]
            self._homes[node.output.name] = key

    def _edges(self) -> tuple[Edge, ...]:
        return tuple(
            Edge(self._homes[value], target, value, str(self._type(value)))
            for value, target in dict.fromkeys(self._reads)
            if value in self._homes  # a weight is part of its layer
        )

    def _figures(self, cost: Cost, *results: str) -> list[str]:
        lines = [f"result {name}: {self._type(name)}" for name in results]
        lines.append(f"{cost.params:,} parameters, {_exactly(cost.macs)} MACs")
        if isinstance(self._summary.macs, int) and isinstance(cost.macs, int):
            whole = self._summary.macs
            lines[-1] += f" ({100 * cost.macs / whole:.2f} % of all)" if whole else ""
        return lines


def _total(units: Sequence[Unit]) -> Cost:
    total = Cost()
    for unit in units:
        total += unit.cost
    return total


def _equal_part(unit: Unit, level: int) -> tuple[object, ...]:
    """Return what two units must have in common to be drawn as one."""
    return (
        unit.path[level].arguments,
        [use.label for use in unit.path[level + 1 :]],
        [use.block for use in unit.path],
        [(node.op, node.output.type) for node in unit.nodes],
        unit.cost,
    )


def _exactly(extent: Extent) -> str:
    return f"{extent:,}" if isinstance(extent, int) else str(extent)


def _manner(node: Node) -> list[str]:
    """Return what changes the sampling or the sight of a window, as is usual: /2, dilation 4."""
    words = []
    for field, before in (("stride", "/"), ("dilation", "dilation "), ("groups", "groups ")):
        given = getattr(node.op, field, None)
        values = given if isinstance(given, tuple) else (given,)
        if all(v is None or v == 1 for v in values):
            continue
        same = len(set(values)) == 1
        words.append(before + (str(values[0]) if same else "x".join(str(v) for v in values)))
    return words
