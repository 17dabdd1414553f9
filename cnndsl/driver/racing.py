"""How long chains of layers take beside the layer that they replace: by the plan, by the clock.

All that is to be timed goes into one network, each layer with an input of its own that its chains
read, too; so it is compiled once, and every run times all of it in turn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.backends.numba_cpu.plan import planned_work
from cnndsl.diagnostics import Source
from cnndsl.driver.bench import pinned
from cnndsl.driver.load import Loaded
from cnndsl.driver.prepare import Prepared
from cnndsl.driver.profile import loaded
from cnndsl.driver.samples import random_inputs, usual_sizes
from cnndsl.factorize.factors import Factor, Factors
from cnndsl.factorize.layer import Layer
from cnndsl.ir.graph import Graph, Input, Node, Output, Parameter, Value
from cnndsl.ops.base import Array
from cnndsl.passes.pipeline import optimize
from cnndsl.types.extents import evaluate_extent
from cnndsl.types.tensor import DType, TensorType
from cnndsl.weights.initialize import initialize

GAIN = 1.05
"""How much faster than the layer a chain must be measured to take its place: times vary."""

_MACS_PER_CYCLE = 25.6
"""Of one core with AVX-512: two vectors of 16, at 0.8 of what it could do at most."""
_BYTES_PER_CYCLE = 8.0
_CYCLES_PER_STEP = 2500.0
_CYCLES_PER_SECOND = 2.5e9

_TRANSFORMED = ("winograd", "strassen")
_FUSED = ", fused with "
"""What a plan says of a layer's algorithm, and of the other layer that shares its step."""


@dataclass(frozen=True, slots=True)
class Race:
    """A layer, and the chains to time beside it."""

    layer: Layer
    chains: tuple[Factors, ...]

    @property
    def runners(self) -> tuple[Factors, ...]:
        """The layer itself, as a chain of one, and the chains."""
        return ((Factor("layer", self.layer.op),), *self.chains)

    @property
    def input(self) -> TensorType:
        """What all of them read, every size a number."""
        return self.layer.input.substitute(dict(self.layer.sizes))


def predicted_s(races: Sequence[Race]) -> list[tuple[float, ...]]:
    """Return the seconds of each layer and its chains on one core, as the plan has it.

    For each step: what its algorithm multiplies, at the rate of a core of 2.5 GHz with AVX-512, and
    what it reads and writes, from caches; the larger of both. What lies between two layers that
    share a step is not moved. So they depend on nothing but the layers, and compare, but tell no
    time on this machine.
    """
    seconds = step_seconds(optimize(_network(races)).graph, {})
    return [
        tuple(sum(seconds.get(label, 0.0) for label in labels) for labels in runners)
        for runners in _labels(races)
    ]


def step_seconds(graph: Graph, sizes: Mapping[str, int]) -> dict[str, float]:
    """Return the seconds of each node of an optimised graph on one core, as its plan has it.

    What is made of weights alone (a batch norm folded into them) is made once, and left out.
    Raises CompileError for what numba-cpu does not support.
    """
    work = planned_work(graph)
    makers = {node.output.name: node.label for node in graph.nodes}
    seen = {i.value.name for i in graph.inputs}
    seconds: dict[str, float] = {}
    for node in graph.nodes:
        if not seen.intersection(node.inputs):
            continue
        seen.add(node.output.name)
        done = work.get(node.label)
        algorithm, _, others = ("" if done is None else done.algorithm).partition(_FUSED)
        partners = set(others.split(", ")) if others else set()
        operands = zip(node.inputs, graph.operand_types(node), strict=True)
        maps = [type_ for name, type_ in operands if makers.get(name) not in partners]
        if not any(r.label in partners for r in graph.readers[node.output.name]):
            maps.append(node.output.type)
        moved = 4 * sum(prod(type_.at(sizes)) for type_ in maps)
        if algorithm.startswith(_TRANSFORMED):
            # Tiles overlap, and are written and read once more.
            moved *= 3
        weights = 4 * sum(prod(s.shape) for s in node.op.parameters(graph.operand_types(node)))
        macs = done.macs if done is not None else evaluate_extent(graph.macs(node), sizes)
        busy = max(macs / _MACS_PER_CYCLE, (moved + weights) / _BYTES_PER_CYCLE)
        call = _CYCLES_PER_STEP / (1 + len(partners))
        seconds[node.label] = (busy + call) / _CYCLES_PER_SECOND
    return seconds


def measured_s(
    races: Sequence[Race],
    *,
    threads: int | None = None,
    runs: int = 30,
    notify: Callable[[str], None] = lambda _: None,
) -> list[tuple[float, ...]]:
    """Return the median seconds of each layer and its chains, compiled and timed on this machine.

    Raises CompileError for what numba-cpu does not support.
    """
    if not races:
        return []
    graph = _network(races)
    prepared = Prepared(
        Loaded(graph, (), Source("race", "")), optimize(graph), initialize(graph, 0)
    )
    inputs = random_inputs(graph, 0, usual_sizes(graph))
    arrays = [inputs[i.value.name] for i in graph.inputs]
    with pinned(threads) as count, tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        notify("compiling what is to be timed")
        module, net = loaded(prepared, Path(folder), count)
        notify(f"timing {sum(len(r.runners) for r in races)} chains, {runs} runs")
        records = module.profile(net, *arrays, runs=runs)
    return [
        tuple(float(np.median(_seconds(records, labels))) for labels in runners)
        for runners in _labels(races)
    ]


def _seconds(records: Sequence[Any], labels: Sequence[str]) -> Array:
    """Return the seconds of some layers together, in each run; layers may share a step.

    Those of two runners never do, for none reads what the other makes.
    """
    own = [r.seconds for r in records if {*(r.parts or (r.label,))} & {*labels}]
    assert own, f"nothing was timed for {labels}"
    total: Array = np.sum(own, axis=0)
    return total


def _network(races: Sequence[Race]) -> Graph:
    """Return a network with an input for each race, and an output for each of its runners."""
    inputs: list[Input] = []
    parameters: list[Parameter] = []
    nodes: list[Node] = []
    outputs: list[Output] = []
    for place, race in enumerate(races):
        start = Value(f"x{place}", race.input)
        inputs.append(Input(start))
        for number, factors in enumerate(race.runners):
            value = start
            for position, factor in enumerate(factors):
                label = _label(place, number, position)
                owned = [
                    Parameter(Value(f"{label}.{s.role}", TensorType(DType.FLOAT32, s.shape)), s)
                    for s in factor.op.parameters([value.type])
                ]
                result = Value(label, factor.op.infer([value.type]))
                names = tuple(p.value.name for p in owned)
                nodes.append(Node(factor.op, (value.name,), names, result, label))
                parameters += owned
                value = result
            outputs.append(Output(f"y{place}_{number}", value.name))
    return Graph("race", tuple(inputs), tuple(parameters), tuple(nodes), tuple(outputs))


def _labels(races: Sequence[Race]) -> Iterator[list[list[str]]]:
    """Yield, for each race, the labels of the nodes of each of its runners."""
    for place, race in enumerate(races):
        yield [
            [_label(place, number, position) for position in range(len(factors))]
            for number, factors in enumerate(race.runners)
        ]


def _label(race: int, runner: int, position: int) -> str:
    return f"race{race}.runner{runner}.step{position}"
