"""Look at what a network's layers see on a user's data, before and after it is made cheaper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import sqrt

import numpy as np

from cnndsl.driver.calibration import Inputs
from cnndsl.driver.optimizing.enough import MOST_SAMPLES, positions, rows_needed, samples_needed
from cnndsl.driver.optimizing.kept import NONE_KEPT, Kept
from cnndsl.driver.optimizing.samples import count, fitted_to, held_out
from cnndsl.factorize.candidates import Candidate, Place
from cnndsl.factorize.channels import ChannelMoments
from cnndsl.factorize.collect import Collector, refusal_to_collect
from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.factors import Factors, Tensors
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.reconstruct import reconstruct
from cnndsl.factorize.rectifier import Rectifier
from cnndsl.factorize.rewrite import Key
from cnndsl.factorize.scheme import Decomposition
from cnndsl.factorize.statistics import Statistics
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.activation import Relu
from cnndsl.ops.base import Array
from cnndsl.ops.norm import BatchNorm


@dataclass(frozen=True, slots=True)
class Followed:
    """A network that was made cheaper layer by layer, each fitted to what it then sees.

    `norms` has new tensors of batch norms. `errors` has, for each output, ||y - y~|| / ||y|| over
    the samples that were held out. `unfitted` says why layers were not fitted, of those that are
    not.
    """

    decompositions: Mapping[Key, Decomposition]
    norms: Mapping[str, Array]
    errors: Mapping[str, float]
    unfitted: Mapping[Key, str]


def observe(
    graph: Graph,
    weights: Mapping[str, Array],
    data: Sequence[Inputs],
    places: Sequence[Place],
    notify: Callable[[str], None] = lambda _: None,
) -> tuple[dict[Key, Statistics], dict[Key, str]]:
    """Return what each layer sees in the network as it is, and why some see too little."""
    reasons = {place.key: refusal_to_collect(place.uses[0]) for place in places}
    unfitted = {key: reason for key, reason in reasons.items() if reason is not None}
    collectors = {
        place.key: Collector(place.uses[0], positions=positions(count(data)))
        for place in places
        if place.key not in unfitted
    }
    for number, inputs in enumerate(data, start=1):
        notify(f"watching batch {number} of {len(data)}")
        for node, read, made in _run(graph, weights, inputs):
            if node.params in collectors:
                collectors[node.params].add(read[0], made)
    found: dict[Key, Statistics] = {}
    for place in places:
        if place.key in collectors:
            seen = _enough(collectors.pop(place.key), place.uses[0])
            if isinstance(seen, str):
                unfitted[place.key] = seen
            else:
                found[place.key] = seen
    return found, unfitted


def _enough(collector: Collector, layer: Layer) -> Statistics | str:
    """Return what was gathered, or that it is too little to fit a layer to."""
    found = collector.statistics()
    needed = rows_needed(layer)
    if found.count >= needed:
        return found
    samples = samples_needed(layer, {})
    most = f", and {MOST_SAMPLES:,} are read at most" if (samples or 0) > MOST_SAMPLES else ""
    return (
        f"an output sees {layer.patch:,} inputs, so that {needed:,} outputs must be seen, and only "
        f"{found.count:,} were; that takes {samples:,} samples of the usual size{most}"
    )


def follow(
    graph: Graph,
    weights: Mapping[str, Array],
    data: Sequence[Inputs],
    picked: Mapping[Key, tuple[Place, Candidate]],
    thorough: bool,
    kept: Kept = NONE_KEPT,
    notify: Callable[[str], None] = lambda _: None,
) -> Followed:
    """Take the chosen layers apart in the order in which they run, and return what comes out.

    Both networks run side by side. A layer is fitted to give what it gave in the original from
    what it now gets (asymmetric reconstruction, Zhang et al. 2016), so that it makes up for those
    before it. A batch norm behind changed layers has its mean shifted, and its variance scaled, as
    those of what it gets did. If `thorough`, factors are improved together, and fitted to what a
    ReLU behind them lets through, which takes longer.
    """
    walk = _Walk(graph, weights, data, picked, thorough, kept, notify)
    for node in graph.nodes:
        walk.step(node)
    return Followed(walk.decompositions, walk.norms, walk.errors(), walk.unfitted)


class _Walk:
    """Two networks at the same node: all values that are still read, for all batches."""

    def __init__(
        self,
        graph: Graph,
        weights: Mapping[str, Array],
        data: Sequence[Inputs],
        picked: Mapping[Key, tuple[Place, Candidate]],
        thorough: bool,
        kept: Kept,
        notify: Callable[[str], None],
    ) -> None:
        self._graph = graph
        self._weights = weights
        self._picked = picked
        self._thorough = thorough
        self._kept = kept
        self._notify = notify
        self._last = {name: node for node in graph.nodes for name in node.inputs}
        fitted, held = fitted_to(graph, data), held_out(graph, data)
        self._fitted = len(fitted)
        self._positions = positions(count(fitted))
        self._exact: list[dict[str, Array]] = [dict(inputs) for inputs in (*fitted, *held)]
        # The values that differ; all others are those of the original.
        self._changed: list[dict[str, Array]] = [{} for _ in self._exact]
        self.decompositions: dict[Key, Decomposition] = {}
        self.norms: dict[str, Array] = {}
        self.unfitted: dict[Key, str] = {}

    def step(self, node: Node) -> None:
        params = [self._weights[name] for name in node.params]
        made = [_evaluated(node, [v[i] for i in node.inputs], params) for v in self._exact]
        touched = any(i in self._changed[0] for i in node.inputs)
        if node.params in self._picked:
            self._replaced(node, made)
        elif touched:
            if isinstance(node.op, BatchNorm):
                params = self._norm(node, params)
            for place, values in enumerate(self._changed):
                read = [self._seen(place, i) for i in node.inputs]
                values[node.output.name] = _evaluated(node, read, params)
        for values, result in zip(self._exact, made, strict=True):
            values[node.output.name] = result
        for name in node.inputs:
            if self._last[name] is node and name not in self._graph.output_values:
                for values in (*self._exact, *self._changed):
                    values.pop(name, None)

    def errors(self) -> dict[str, float]:
        """Return the relative error of each output."""
        found = {}
        for o in self._graph.outputs:
            lost = whole = 0.0
            for place, values in list(enumerate(self._exact))[self._fitted :]:
                exact = values[o.value].astype(np.float64)
                lost += float(((self._seen(place, o.value) - exact) ** 2).sum())
                whole += float((exact**2).sum())
            found[o.name] = sqrt(lost / whole) if whole else sqrt(lost)
        return found

    def _seen(self, place: int, name: str) -> Array:
        return self._changed[place].get(name, self._exact[place].get(name))  # type: ignore[return-value]

    def _replaced(self, node: Node, made: Sequence[Array]) -> None:
        place, candidate = self._picked[node.params]
        (name,) = node.inputs
        if node.params not in self.decompositions:
            self._notify(f"fitting {place.label}")
            scheme = candidate.scheme
            assert isinstance(scheme, WeightScheme)
            layer = place.uses[0]
            weight, *bias = (self._weights[n] for n in node.params)
            own = layer, weight, bias[0] if bias else None, candidate.ranks
            seen = self._statistics(layer, name, made)
            statistics = None if isinstance(seen, str) else seen
            if isinstance(seen, str):
                self.unfitted[node.params] = seen
            if statistics is None or not self._thorough:
                rectifier, make = None, partial(scheme.decompose, *own, statistics)
            else:
                rectifier = self._rectifier(node, layer)
                make = partial(reconstruct, scheme, *own, statistics, rectifier)
            given = (*own[1:3], statistics, rectifier, self._thorough)
            self.decompositions[node.params] = self._kept.decomposition(
                scheme, layer, candidate.ranks, given, make
            )
        found = self.decompositions[node.params]
        for batch, values in enumerate(self._changed):
            values[node.output.name] = _chained(
                found.factors, found.tensors, self._seen(batch, name)
            )

    def _statistics(self, layer: Layer, name: str, made: Sequence[Array]) -> Statistics | str:
        """Return what a layer now reads, and what it should make; or why it is not fitted to it."""
        reason = refusal_to_collect(layer)
        if reason is not None:
            return reason
        collector = Collector(layer, positions=self._positions)
        for batch, wanted in enumerate(made[: self._fitted]):
            collector.add(self._seen(batch, name), wanted)
        return _enough(collector, layer)

    def _rectifier(self, node: Node, layer: Layer) -> Rectifier | None:
        """Return the ReLU that is all that reads a layer, perhaps behind a batch norm."""
        reader = self._reader(node)
        if reader is None or not isinstance(reader.op, BatchNorm):
            plain = reader is not None and isinstance(reader.op, Relu)
            return Rectifier.plain(layer.out_channels) if plain else None
        behind = self._reader(reader)
        if behind is None or not isinstance(behind.op, Relu):
            return None
        gamma, beta, mean, variance = (self._weights[n].astype(np.float64) for n in reader.params)
        scale = gamma / np.sqrt(variance + reader.op.epsilon)
        return Rectifier(scale, beta - mean * scale) if scale.all() else None

    def _reader(self, node: Node) -> Node | None:
        """Return the node that reads a result, if there is one only."""
        name = node.output.name
        readers = self._graph.readers[name]
        return readers[0] if len(readers) == 1 and name not in self._graph.output_values else None

    def _norm(self, node: Node, params: Sequence[Array]) -> list[Array]:
        """Return a batch norm's tensors for what it now gets."""
        gamma, beta, mean, variance = params
        (name,) = node.inputs
        if node.params[2] not in self.norms:
            before, after = ChannelMoments(len(mean)), ChannelMoments(len(mean))
            for batch in range(self._fitted):
                before.add(self._exact[batch][name])
                after.add(self._seen(batch, name))
            spread = before.variance > 0
            scale = np.where(spread, after.variance / np.where(spread, before.variance, 1), 1.0)
            self.norms[node.params[2]] = (mean + after.mean - before.mean).astype(np.float32)
            self.norms[node.params[3]] = (variance * scale).astype(np.float32)
        return [gamma, beta, self.norms[node.params[2]], self.norms[node.params[3]]]


def _chained(factors: Factors, tensors: Tensors, x: Array) -> Array:
    for factor, own in zip(factors, tensors, strict=True):
        x = factor.op.evaluate([x], [np.asarray(a, np.float32) for a in own.values()])
    return x


def _evaluated(node: Node, inputs: Sequence[Array], params: Sequence[Array]) -> Array:
    with np.errstate(all="ignore"):
        return node.op.evaluate(inputs, params)


def _run(
    graph: Graph, weights: Mapping[str, Array], inputs: Inputs
) -> Iterator[tuple[Node, list[Array], Array]]:
    """Yield each node of a network with what it reads and makes."""
    values: dict[str, Array] = dict(inputs)
    last = {name: node for node in graph.nodes for name in node.inputs}
    for node in graph.nodes:
        read = [values[name] for name in node.inputs]
        made = _evaluated(node, read, [weights[name] for name in node.params])
        yield node, read, made
        values[node.output.name] = made
        for name in node.inputs:
            if last[name] is node:
                values.pop(name, None)
