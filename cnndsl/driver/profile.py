"""Where a compiled network's time goes, layer by layer, beside what this machine could do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from cnndsl.analysis.cost import op_word
from cnndsl.backends.numba_cpu.options import DEFAULTS, Options
from cnndsl.driver.backends import import_module
from cnndsl.driver.bench import pinned, processor
from cnndsl.driver.cache import store
from cnndsl.driver.compile import numba_cpu_module
from cnndsl.driver.peaks import Peaks, measure_peaks
from cnndsl.driver.prepare import Prepared
from cnndsl.driver.samples import random_inputs, usual_sizes
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.base import Array
from cnndsl.ops.fused import Fused
from cnndsl.types.extents import evaluate_extent
from cnndsl.types.tensor import TensorType

INPUT, OUTPUT = "input", "output"
"""What the steps are called that bring arrays into blocks of channels and back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the plan: the median and the least of its times, what it multiplies and reads."""

    kernel: str
    algorithm: str
    seconds: float
    fastest_s: float
    macs: int
    weight_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one layer does and took: `seconds` is the median of its steps' sum.

    `parts` are the labels of the layers of the program that share its steps, if some do.
    `macs` are those of its definition, `macs_done` those of the algorithm; `map_bytes` its operands
    and its result, `weight_bytes` its weights as packed for the algorithm, each once. The limits
    are the times that the machine's peaks allow.
    """

    label: str
    parts: tuple[str, ...]
    op: str
    shape: tuple[int, ...]
    algorithm: str
    seconds: float
    macs: int
    macs_done: int
    map_bytes: int
    weight_bytes: int
    arithmetic_limit_s: float
    memory_limit_s: float
    steps: tuple[Step, ...]

    @property
    def limit_s(self) -> float:
        return max(self.arithmetic_limit_s, self.memory_limit_s)

    @property
    def bound(self) -> str:
        """What allows no less than the limit; nothing where the layer does nothing."""
        if not self.steps:
            return ""
        return "arithmetic" if self.arithmetic_limit_s >= self.memory_limit_s else "memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The layers of a network in the order in which they run, and the machine's peaks."""

    network: str
    sizes: Mapping[str, int]
    processor: str
    runs: int
    peaks: Peaks
    seconds: float
    layers: tuple[Layer, ...]

    @property
    def limit_s(self) -> float:
        return sum(layer.limit_s for layer in self.layers)


def profile(
    prepared: Prepared,
    *,
    threads: int | None = None,
    runs: int = 20,
    batch: int = 1,
    seed: int = 0,
    options: Options = DEFAULTS,
    notify: Callable[[str], None] = lambda _: None,
) -> Profile:
    """Run a network on random inputs and return what its layers took; raises CompileError."""
    sizes = usual_sizes(prepared.graph, batch)
    inputs = random_inputs(prepared.graph, seed, sizes)
    arrays = [inputs[i.value.name] for i in prepared.graph.inputs]
    with pinned(threads) as count, tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        notify("compiling")
        module, net = loaded(prepared, Path(folder), count, options)
        used = threads_used(net, arrays)
        peaks = measure_peaks(module, used, notify)
        notify(f"timing {runs} runs")
        records = module.profile(net, *arrays, runs=runs)
    return Profile(
        network=prepared.graph.name,
        sizes=sizes,
        processor=processor(),
        runs=runs,
        peaks=peaks,
        seconds=_median_sum(records),
        layers=layers(prepared.optimized.graph, sizes, records, peaks),
    )


def loaded(
    prepared: Prepared, folder: Path, threads: int, options: Options = DEFAULTS
) -> tuple[ModuleType, Any]:
    """Compile a network, and return its module and the network with its weights."""
    name = f"{prepared.graph.name}.py"
    text = numba_cpu_module(prepared, prepared.graph.name, options)
    module: Any = import_module(store(folder, name, text))
    return module, module.load(prepared.weights, threads=threads)


def threads_used(net: Any, arrays: Sequence[Array]) -> int:
    """Run a network once; return on how many threads: a small one is not worth waking others."""
    net(*arrays)
    (plan,) = net._plans.values()
    return int(plan.threads)


def layers(
    graph: Graph, sizes: Mapping[str, int], records: Sequence[Any], peaks: Peaks
) -> tuple[Layer, ...]:
    """Return the layers of an optimised graph from the records of its generated module.

    A layer without a step costs nothing: its result lies where its operand does, or was written in
    place by others. Layers that share a step come as one: what lies between them is not moved.
    Weights were read one call ago, and all the network's bytes since; operands
    just before. So the bandwidth is that of such working sets.
    """
    by_label: dict[str, list[Any]] = {}
    for record in records:
        by_label.setdefault(record.label or INPUT, []).append(record)
    nodes = [n for n in graph.nodes if n.output.name not in graph.load_time]
    shared = {record.label: record.parts for record in records if record.parts}
    joint = _joint(nodes, shared)
    moved = {label: _map_bytes(graph, group, sizes) for label, group in joint.items()}
    moved[INPUT] = 2 * sum(_bytes(i.value.type, sizes) for i in graph.inputs)
    moved[OUTPUT] = 2 * sum(_bytes(graph.types[o.value], sizes) for o in graph.outputs)
    footprint = sum(r.weight_bytes for r in records) + sum(moved.values())
    made = [_edge(INPUT, [i.value.type for i in graph.inputs], sizes)]
    made += [_described(graph, label, group, sizes) for label, group in joint.items()]
    made += [_edge(OUTPUT, [graph.types[o.value] for o in graph.outputs], sizes)]
    found = []
    for label, op, shape, macs, read in made:
        own = by_label.get(label, [])
        weight_bytes = round(read * sum(r.weight_bytes for r in own))
        map_bytes = moved[label] if own else 0
        done = sum(r.macs for r in own) or macs
        memory_limit_s = map_bytes / peaks.bytes_per_s(map_bytes)
        memory_limit_s += weight_bytes / peaks.bytes_per_s(footprint)
        main = max(own, key=lambda r: (r.macs, float(np.median(r.seconds))), default=None)
        found.append(
            Layer(
                label=label,
                parts=shared.get(label, ()),
                op=op,
                shape=shape,
                algorithm="" if main is None else main.algorithm or main.kernel,
                seconds=_median_sum(own),
                macs=macs,
                macs_done=done,
                map_bytes=map_bytes,
                weight_bytes=weight_bytes,
                arithmetic_limit_s=done / peaks.macs_per_s,
                memory_limit_s=memory_limit_s,
                steps=tuple(_step(r) for r in own),
            )
        )
    return tuple(found)


_Described = tuple[str, str, tuple[int, ...], int, float]
"""A layer's label, op, result's shape, multiply-adds and the share of its weights it reads."""


def _joint(nodes: Sequence[Node], shared: Mapping[str, tuple[str, ...]]) -> dict[str, list[Node]]:
    """Return the nodes by the labels of their steps, each where its last one is."""
    of = {part: label for label, parts in shared.items() for part in parts}
    last = {of.get(node.label, node.label): node for node in nodes}
    joint: dict[str, list[Node]] = {
        of.get(n.label, n.label): [] for n in nodes if last[of.get(n.label, n.label)] is n
    }
    for node in nodes:
        joint[of.get(node.label, node.label)].append(node)
    return joint


def _described(
    graph: Graph, label: str, nodes: Sequence[Node], sizes: Mapping[str, int]
) -> _Described:
    there = read = macs = 0
    for node in nodes:
        types = graph.operand_types(node)
        there += sum(prod(spec.shape) for spec in node.op.parameters(types))
        # Of a table, only the entries that are looked up.
        read += evaluate_extent(node.op.weight_elements_read(types), sizes)
        macs += evaluate_extent(graph.macs(node), sizes)
    share = min(1.0, read / there) if there else 1.0
    text = ", ".join(dict.fromkeys(map(_op_text, nodes)))
    return label, text, nodes[-1].output.type.at(sizes), macs, share


def _op_text(node: Node) -> str:
    """Return a node's op in a few words, with what was fused into it."""
    op = node.op
    if not isinstance(op, Fused):
        return op_word(op)
    residual = ["residual"] if op.residual else []
    return " + ".join(
        [op_word(op.base), *residual, *([op_word(op.activation)] if op.activation else [])]
    )


def _edge(label: str, types: Sequence[TensorType], sizes: Mapping[str, int]) -> _Described:
    return label, "", types[0].at(sizes) if len(types) == 1 else (), 0, 1.0


def _map_bytes(graph: Graph, nodes: Sequence[Node], sizes: Mapping[str, int]) -> int:
    """Return the bytes of what nodes read, but for what they make for one another, and make."""
    read = {name for node in nodes for name in node.inputs}
    moved = read - {node.output.name for node in nodes} | {nodes[-1].output.name}
    return sum(_bytes(graph.types[name], sizes) for name in moved)


def _bytes(type_: TensorType, sizes: Mapping[str, int]) -> int:
    return prod(type_.at(sizes)) * type_.dtype.item_bytes


def _step(record: Any) -> Step:
    return Step(
        kernel=record.kernel,
        algorithm=record.algorithm,
        seconds=float(np.median(record.seconds)),
        fastest_s=float(np.min(record.seconds)),
        macs=record.macs,
        weight_bytes=record.weight_bytes,
    )


def _median_sum(records: Iterable[Any]) -> float:
    """Return the median over the runs of the steps' sum."""
    times = [record.seconds for record in records]
    return float(np.median(np.sum(times, axis=0))) if times else 0.0
