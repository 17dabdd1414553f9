"""What a finished network answers to the questions of claims: its cost, and what its units see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from cnndsl.analysis.alignment import Misalignment, misalignments
from cnndsl.analysis.cost import LayerCost, Summary, summarize
from cnndsl.analysis.coverage import Coverage, ancestors, coverage
from cnndsl.analysis.receptive_field import ReceptiveFields, placed_by_size, receptive_fields
from cnndsl.elaborate.values import Tensor
from cnndsl.ir.graph import Graph, Node
from cnndsl.types.extents import Extent

NETWORK_FACTS = ("params", "macs", "weight_bytes", "peak_memory")
"""Numbers of the whole network that a claim may speak of."""

COSTS = ("params", "macs", "weight_bytes")
"""Those that may also be asked of a value: what it takes to compute it."""

VIEWS = ("receptive_field", "jump", "aligned", "covered")
"""What may be asked of a value alone."""

QUESTIONS = (*COSTS, *VIEWS)
"""Functions of a value."""


@dataclass(frozen=True, slots=True)
class PlannedMemory:
    """Bytes of buffers that a target plans for, in all and alive while each layer runs."""

    peak_bytes: int
    live_bytes: Mapping[str, int]


class NetworkFacts:
    """Answers questions about a finished graph; each analysis runs once, when first needed.

    `names` are the names of the values in the graph, by the index of their tensor.
    `plan` returns what a target plans for a batch of one, at the usual sizes.
    """

    def __init__(
        self,
        graph: Graph,
        names: list[str],
        plan: Callable[[Graph], PlannedMemory] | None,
    ) -> None:
        self.graph = graph
        self._names = names
        self._plan = plan
        self._fields: dict[str, ReceptiveFields] = {}
        self._coverage: dict[str, Coverage] = {}
        self._misaligned: dict[str, frozenset[str]] = {}

    def value(self, tensor: Tensor) -> str:
        return self._names[tensor.index]

    @cached_property
    def summary(self) -> Summary:
        return summarize(self.graph)

    @cached_property
    def costs(self) -> Mapping[str, LayerCost]:
        """The cost of each layer, by its label."""
        return {layer.label: layer for layer in self.summary.layers}

    @cached_property
    def planned(self) -> PlannedMemory | None:
        """What a target plans; None where none does."""
        return None if self._plan is None else self._plan(self.graph)

    @cached_property
    def unsized(self) -> tuple[str, ...]:
        """The symbols, that of the batch apart, for which no size is known."""
        known = {*self.graph.batch_symbols, *dict(self.graph.usual_sizes)}
        return tuple(symbol for symbol in self.graph.symbols if symbol not in known)

    def layers(self, value: str | None) -> tuple[LayerCost, ...]:
        """Return the layers of the network, or those that it takes to compute a value."""
        if value is None:
            return self.summary.layers
        return tuple(self.costs[node.label] for node in self.ancestors(value))

    def cost(self, fact: str, value: str | None) -> Extent:
        """Return `params`, `macs` or `weight_bytes` of the network or of computing a value."""
        total: Extent = 0
        for layer in self.layers(value):
            total = total + getattr(layer, fact)
        return total

    def ancestors(self, value: str) -> tuple[Node, ...]:
        """Return the nodes that a value depends on, its own among them, in order."""
        return ancestors(self.graph, value)

    def fields(self, input: str) -> ReceptiveFields:
        """Return the receptive fields in one input."""
        if input not in self._fields:
            self._fields[input] = receptive_fields(self.graph, input=input)
        return self._fields[input]

    def inputs_of(self, value: str) -> tuple[str, ...]:
        """Return the inputs of the network that a value depends on."""
        names = (i.value.name for i in self.graph.inputs)
        return tuple(name for name in names if value in self._behind_inputs[name])

    @cached_property
    def _behind_inputs(self) -> Mapping[str, frozenset[str]]:
        return {i.value.name: self._behind([i.value.name]) for i in self.graph.inputs}

    def _behind(self, values: Iterable[str]) -> frozenset[str]:
        """Return these values and all that depend on them."""
        found = set(values)
        for node in self.graph.nodes:
            if not found.isdisjoint(node.inputs):
                found.add(node.output.name)
        return frozenset(found)

    def coverage(self, input: str) -> Coverage:
        """Return how much of their fields the values read; raises TooLargeError."""
        if input not in self._coverage:
            self._coverage[input] = coverage(self.graph, self.fields(input))
        return self._coverage[input]

    def misalignments(self, value: str, input: str) -> tuple[Misalignment, ...]:
        """Return the misaligned merges on the way to a value."""
        return misalignments(self.graph, self.fields(input), self.ancestors(value))

    def aligned(self, value: str, input: str) -> bool:
        """Tell whether no merge on the way to a value is misaligned."""
        if input not in self._misaligned:
            merges = misalignments(self.graph, self.fields(input))
            self._misaligned[input] = self._behind(m.node.output.name for m in merges)
        return value not in self._misaligned[input]

    def depends_on_size(self, value: str) -> bool:
        """Tell whether what a value sees depends on a size that is not known.

        Padding that depends on it moves the field, and branches that merge against each other.
        """
        return bool(self.unsized) and value in self._merged and value in self._placed_by_size

    @cached_property
    def _merged(self) -> frozenset[str]:
        """The values behind a merge."""
        return self._behind(n.output.name for n in self.graph.nodes if len(n.inputs) > 1)

    @cached_property
    def _placed_by_size(self) -> frozenset[str]:
        """The values behind padding that depends on a size that is not known."""
        nodes = self.graph.nodes
        return self._behind(n.output.name for n in nodes if placed_by_size(self.graph, [n]))
