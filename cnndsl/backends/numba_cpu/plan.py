"""The memory and arithmetic that a generated module plans for, read off its own plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from cnndsl.analysis.sizes import required_sizes
from cnndsl.backends.numba.listing import Work
from cnndsl.backends.numba_cpu.emit import emit_plan
from cnndsl.backends.numba_cpu.options import DEFAULTS, Options
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimize

LANES = 16
"""Channels of a block in memory: those of AVX-512, so that figures are equal on every machine."""

TILE_PIXELS = 14
"""What goes with these vectors; work is shared out by it."""


@dataclass(frozen=True, slots=True)
class PlannedMemory:
    """The arena of activations for one set of sizes and one thread, in bytes.

    Each further thread needs scratch memory of its own where Winograd's algorithm is used.
    `arena_bytes` holds every map at its place; beyond `live_bytes`, its largest, it is what the
    places of maps leave between them. `live_bytes` has, for each layer by its label, what is alive
    at most while it runs: maps that it reads and writes, and those that wait for a later reader
    ("input" and "output" are the steps that bring arrays in and out). The result of a
    concatenation is alive from the first of the parts that are written there.
    A layer that was fused into another has no figure of its own, nor has a concatenation that
    copies nothing; what layers that run side by side hold is alive for all of them. The weights and
    the arrays of the caller are not in the arena.
    """

    arena_bytes: int
    live_bytes: Mapping[str, int]


class _Weights:
    """Stands for a network with weights: a plan asks for them, and does not look into them."""

    threads = 1

    def pack(self, key: object, make: object) -> None:
        """Return nothing, make nothing: a plan keeps what it is given for the steps to run."""

    def tensor(self, name: str) -> None:
        """Fail: only what `pack` would make reads tensors."""
        raise AssertionError(f"the plan looks into {name}")


def peak_memory_bytes(graph: Graph, sizes: Mapping[str, int] | None = None) -> int:
    """Return the bytes of the arena that a call takes with one thread, for one sample.

    Raises CompileError as `planned_memory` does.
    """
    return planned_memory(graph, sizes).arena_bytes


def planned_memory(graph: Graph, sizes: Mapping[str, int] | None = None) -> PlannedMemory:
    """Return the memory planned for a source program's graph, optimised as `compile` does.

    Symbols take their size from `sizes`, then from the program's usual sizes; the batch is one
    sample unless `sizes` says more. Raises CompileError: CNN207 for a symbol without a size,
    CNN204 for sizes at which a map is empty, CNN702 for what the target does not support.
    """
    one_sample = dict.fromkeys(graph.batch_symbols, 1)
    known = {**dict(graph.usual_sizes), **one_sample, **(sizes or {})}
    known = required_sizes(graph, known, "plan memory")
    try:
        plan, alignment = _planned(optimize(graph).graph, known, DEFAULTS)
    except ValueError as error:
        at = ", ".join(f"{symbol} = {n}" for symbol, n in known.items())
        raise CompileError(
            Diagnostic(code="CNN204", message=f"at {at}: {error}", help="give larger sizes")
        ) from None
    return PlannedMemory(plan.arena_bytes, _live_bytes(plan, alignment))


def planned_work(optimized: Graph, options: Options = DEFAULTS) -> dict[str, Work]:
    """Return how an optimised graph's layers are computed at the usual sizes, for one sample.

    Nothing where a size is not known or too small. Raises CompileError as `emit` does.
    """
    known = {**dict(optimized.usual_sizes), **dict.fromkeys(optimized.batch_symbols, 1)}
    if set(optimized.symbols) - known.keys():
        return {}
    try:
        plan, _ = _planned(optimized, known, options)
    except ValueError:
        return {}
    work: dict[str, Work] = {}
    for step in plan.steps:
        for part in step.parts or (step,):
            if part.macs:
                before = work.get(part.label, Work("", 0))
                algorithm = before.algorithm or _algorithm(step, part)
                work[part.label] = Work(algorithm, before.macs + part.macs)
    return work


def _algorithm(step: Any, part: Any) -> str:
    """Return how a step's part is computed, and with what it shares the step."""
    others = [p.label for p in step.parts if p is not part]
    if not others:
        return str(part.algorithm)
    named = others if len(others) < 4 else [others[0], "...", others[-1]]
    return f"{part.algorithm}, fused with {', '.join(named)}"


def _planned(graph: Graph, known: Mapping[str, int], options: Options) -> tuple[Any, int]:
    """Return the plan that a graph's module makes, and how its buffers are aligned."""
    text = emit_plan(graph, lanes=LANES, tile_pixels=TILE_PIXELS, options=options)
    names: dict[str, Any] = {"__name__": "cnndsl_plan"}
    # The text is ours, from templates; what a program can put into it is quoted (`identifiers`).
    exec(compile(text, "<plan>", "exec", dont_inherit=True), names)
    shapes = {i.value.name: i.value.type.at(known) for i in graph.inputs}
    return names["Plan"](_Weights(), names["bind"](shapes)), names["ALIGNMENT"]


def _live_bytes(plan: Any, alignment: int) -> dict[str, int]:
    """Return the largest sum of the buffers alive at any step of each layer."""
    change = [0] * (len(plan.steps) + 1)
    for b in plan.buffers:
        size = -(-b.bytes // alignment) * alignment
        change[b.first] += size
        change[b.last + 1] -= size
    largest: dict[str, int] = {}
    for step, alive in zip(plan.steps, accumulate(change), strict=False):
        for part in step.parts or (step,):
            label = part.label or "input"
            largest[label] = max(largest.get(label, 0), alive)
    return largest
