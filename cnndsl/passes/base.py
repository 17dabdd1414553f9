"""What a pass is: it matches nodes or says why not, and rewrites what it matched."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import ClassVar

from cnndsl.ir.graph import Graph, Node


class Effect(Enum):
    """What a pass may do to results."""

    EXACT = "exact"  # the same operations on the same numbers
    ROUNDS = "rounds"  # equal in exact arithmetic; floats may differ in their last bits
    APPROXIMATES = "approximates"  # close by design, within a bound the pass states
    RETRAIN = "retrain"  # needs training to be useful again


@dataclass(frozen=True, slots=True)
class Refusal:
    """A node that looks like the pattern but is left alone, and why."""

    reason: str
    node: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One rewrite, ready to be made.

    `replaced` maps the output of a node to the nodes that take its place (none: it is removed);
    readers of a key of `renamed` then read its value. A value that vanishes without being renamed
    has no reader left.
    """

    node: Node
    message: str
    replaced: Mapping[str, tuple[Node, ...]] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PassReport:
    """What a pass did, and what it left alone."""

    name: str
    effect: Effect
    rewrites: tuple[Match, ...]
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True)
class Pass(ABC):
    """A rewrite of graphs; its fields are its options."""

    effect: ClassVar[Effect]

    @property
    def name(self) -> str:
        """The name of the class as words: fold_batch_norm."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    @abstractmethod
    def match(self, graph: Graph, node: Node) -> Match | Refusal | None:
        """Return a rewrite that starts at `node`, why there is none, or None for other nodes."""

    def find(self, graph: Graph) -> Iterator[Match | Refusal]:
        """Return the matches and refusals of all nodes, in order."""
        for node in graph.nodes:
            found = self.match(graph, node)
            if found is not None:
                yield found

    def run(self, graph: Graph) -> tuple[Graph, PassReport]:
        """Rewrite until nothing matches."""
        rewrites: list[Match] = []
        while True:
            found = tuple(self.find(graph))
            matches = _disjoint(m for m in found if isinstance(m, Match))
            if not matches:
                refusals = tuple(r for r in found if isinstance(r, Refusal))
                return graph, PassReport(self.name, self.effect, tuple(rewrites), refusals)
            graph = _rewrite(graph, matches)
            rewrites += matches


def sole_reader_refusal(graph: Graph, value: str, node: Node) -> Refusal | None:
    """Return why `value` cannot vanish into `node`, its reader; None if it can."""
    if value in graph.output_values:
        return Refusal(f"{value} is an output of the network", node)
    others = [n.label for n in graph.readers[value] if n is not node]
    if others:
        return Refusal(f"{value} is read by {', '.join(others)} too", node)
    if node.operands.count(value) > 1:
        return Refusal(f"{node.label} reads {value} more than once", node)
    return None


def _disjoint(matches: Iterator[Match]) -> list[Match]:
    """Return matches of which no two replace the same node; the others wait for the next sweep."""
    taken: set[str] = set()
    chosen = []
    for match in matches:
        if taken.isdisjoint(match.replaced):
            taken |= match.replaced.keys()
            chosen.append(match)
    return chosen


def _rewrite(graph: Graph, matches: list[Match]) -> Graph:
    replaced = {name: nodes for m in matches for name, nodes in m.replaced.items()}
    renamed = {old: new for m in matches for old, new in m.renamed.items()}

    def final(name: str) -> str:
        while name in renamed:
            name = renamed[name]
        return name

    nodes = [
        replace(
            node,
            inputs=tuple(final(name) for name in node.inputs),
            params=tuple(final(name) for name in node.params),
        )
        for old in graph.nodes
        for node in replaced.get(old.output.name, (old,))
    ]
    outputs = tuple(replace(o, value=final(o.value)) for o in graph.outputs)
    return replace(graph, nodes=tuple(nodes), outputs=outputs)
