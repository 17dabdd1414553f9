"""Write the generated module, or its plan alone: calls, rendered with the templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from cnndsl import resources
from cnndsl.backends.header import Header
from cnndsl.backends.numba.activations import Activation
from cnndsl.backends.numba.identifiers import Identifiers
from cnndsl.backends.numba.listing import Work, network_lines
from cnndsl.backends.numba.module import fields_of, module_names, render, tables
from cnndsl.backends.numba_cpu.catalog import (
    WITHOUT_TEMPLATE,
    functions_needed,
    kernels_needed,
    layers_needed,
    tools_needed,
)
from cnndsl.backends.numba_cpu.layers import group_width
from cnndsl.backends.numba_cpu.lower import lower, shared, with_algorithms
from cnndsl.backends.numba_cpu.options import DEFAULTS, Options
from cnndsl.backends.numba_cpu.winograd import Tile, kernels_of
from cnndsl.ir.graph import Graph
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.fused import Fused

FOLDER = "numba_cpu"
"""The folder of the target's templates."""

MOST_SIDE = 7
"""Taps along a row that a depthwise kernel does at once: their weights stay in registers."""


@dataclass(frozen=True, slots=True)
class KernelSignature:
    """A kernel's name, and how many integers and floats it takes after the `fixed` first ones.

    Those are the chunk and, for kernels with scratch memory, the number of the thread.
    """

    name: str
    fixed: int
    integers: int
    floats: int


@dataclass(frozen=True, slots=True)
class ModuleContext:
    """The variables of `module.py.jinja` and the templates it includes, beside the tables."""

    network_lines: tuple[str, ...]
    kernels: tuple[str, ...]
    functions: tuple[str, ...]
    tools: tuple[str, ...]
    winograd_tiles: Mapping[tuple[int, int], tuple[Tile, ...]]
    fills: tuple[Tile, ...]
    drains: tuple[Tile, ...]
    activations: tuple[Activation, ...]
    group_tiles: tuple[tuple[int, int, int], ...]
    most_side: int
    dispatch: tuple[KernelSignature, ...]
    layers: tuple[str, ...]
    layer_templates: tuple[str, ...]
    winograd: str
    strassen: str
    fuse: str


def emit(
    graph: Graph,
    name: str,
    *,
    header: Header,
    options: Options = DEFAULTS,
    work: Mapping[str, Work] | None = None,
) -> str:
    """Return the text of a standalone module for a graph.

    `name` is the module's name, and `work` how layers are computed (`plan.planned_work`), used in
    its comments only. Raises CompileError (CNN702) where the graph holds what the target does not
    support, before anything is rendered.
    """
    return render(FOLDER, "module.py.jinja", _fields(graph, name, header.comment(), options, work))


def emit_plan(graph: Graph, *, lanes: int, tile_pixels: int, options: Options = DEFAULTS) -> str:
    """Return the text of what the module plans with: `Plan`, `bind` and the layers, no kernels.

    It needs numpy alone. The machine's vectors are given. Raises CompileError as `emit` does.
    """
    fields = _fields(graph, graph.name, "", options, None)
    machine = {"lanes": lanes, "tile_pixels": tile_pixels}
    return render(FOLDER, "plan.py.jinja", {**fields, **machine})


def _fields(
    graph: Graph, name: str, header: str, options: Options, work: Mapping[str, Work] | None
) -> dict[str, object]:
    calls = with_algorithms(lower(graph), options.algorithms)
    used = {layer for call in calls for layer in call.layers}
    layers = layers_needed(used | shared(calls, {o.value for o in graph.outputs}))
    kernels = kernels_needed(layers)
    winograd_tiles = kernels_of(calls)
    tiles = [t for ts in winograd_tiles.values() for t in ts]
    fills, drains = {t.fill: t for t in tiles}, {t.drain: t for t in tiles}
    tools = (*tools_needed(kernels), *fills, *drains)
    activations = tuple(dict.fromkeys(c.activation for c in calls if c.activation is not None))
    identifiers = Identifiers(module_names(FOLDER) | {a.kernel for a in activations} | {*tools})
    shared_tables = tables(graph, name, header, "Numba", identifiers, "numba-cpu")
    context = ModuleContext(
        network_lines=network_lines(graph, calls, identifiers, work),
        kernels=kernels,
        functions=functions_needed(kernels, activations),
        tools=tools,
        winograd_tiles=winograd_tiles,
        fills=tuple(fills.values()),
        drains=tuple(drains.values()),
        activations=activations,
        group_tiles=_group_tiles(graph),
        most_side=MOST_SIDE,
        dispatch=_dispatch(kernels, activations),
        layers=layers,
        layer_templates=tuple(x for x in layers if x not in WITHOUT_TEMPLATE),
        winograd=options.winograd,
        strassen=options.strassen,
        fuse=options.fuse,
    )
    return {**fields_of(shared_tables), **fields_of(context)}


def _group_tiles(graph: Graph) -> tuple[tuple[int, int, int], ...]:
    """Return (channels, stride along a row, taps side by side) of groups narrower than a block."""
    found = set()
    for node in graph.nodes:
        op = node.op.base if isinstance(node.op, Fused) else node.op
        if isinstance(op, Conv | DepthwiseConv):
            width = group_width(op, graph.types[node.inputs[0]])
            row = (width, op.dilation[-1]) == (1, 1) and op.kernel[-1] <= MOST_SIDE
            side = op.kernel[-1] if row else 1
            found |= {(width, op.stride[-1], side)} if width else set()
    return tuple(sorted(found))


@cache
def _signatures(kernel: str) -> tuple[KernelSignature, ...]:
    """Read the signatures of a kernel file off its template (activations share one)."""
    text = (resources.templates() / FOLDER / "kernels" / f"{kernel}.py.jinja").read_text(
        encoding="utf-8"
    )
    found = []
    for name, arguments in re.findall(r"@kernel\ndef (\{\{.*?\}\}|\w+)\((.*?)\):", text, re.S):
        words = [a.strip() for a in arguments.replace("\n", " ").split(",") if a.strip()]
        floats = sum(": float" in w for w in words)
        fixed = 2 if words[1] == "thread" else 1
        found.append(KernelSignature(name, fixed, len(words) - fixed - floats, floats))
    return tuple(found)


def _dispatch(
    kernels: tuple[str, ...], activations: tuple[Activation, ...]
) -> tuple[KernelSignature, ...]:
    result: list[KernelSignature] = []
    for kernel in (*kernels, "edges"):
        for signature in _signatures(kernel):
            if kernel == "activation":
                result += [replace(signature, name=a.kernel) for a in activations]
            else:
                result.append(signature)
    return tuple(result)
