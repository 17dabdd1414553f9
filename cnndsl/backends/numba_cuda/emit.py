"""Write the generated module: calls, rendered with the templates."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.header import Header
from cnndsl.backends.numba.activations import CLAMP, Activation
from cnndsl.backends.numba.identifiers import Identifiers, quote
from cnndsl.backends.numba.listing import network_lines
from cnndsl.backends.numba.module import fields_of, module_names, render, tables
from cnndsl.backends.numba_cuda.catalog import kernels_needed, layers_needed
from cnndsl.backends.numba_cuda.lower import TARGET, has_pairs, is_winograd, lower, word_of
from cnndsl.backends.numba_cuda.options import DEFAULTS, LEAST_CAPABILITY, Options
from cnndsl.ir.graph import Graph

FOLDER = "numba_cuda"
"""The folder of the target's templates."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A function that kernels apply to results: its constant, meaning and lines."""

    word: str
    doc: str
    lines: tuple[str, ...]

    @property
    def formula(self) -> bool:
        """Say whether it is more than a clamp."""
        return self.word != word_of(CLAMP)


@dataclass(frozen=True, slots=True)
class ModuleContext:
    """The variables of `module.py.jinja` and the templates it includes, beside the tables."""

    batch: str
    network_lines: tuple[str, ...]
    kernels: tuple[str, ...]
    layers: tuple[str, ...]
    activations: tuple[Ending, ...]
    winograd: str
    fuse: str
    precision: str
    least_capability: tuple[int, int]


def emit(graph: Graph, name: str, *, header: Header, options: Options = DEFAULTS) -> str:
    """Return the text of a standalone module for a graph; `name` is the module's name.

    Raises CompileError (CNN702) where the graph holds what the target does not support, before
    anything is rendered.
    """
    calls = lower(graph)
    # Transformed factors spread over more orders of magnitude than rounded ones can hold.
    allowed = options.winograd != "off" and options.precision == "fp32"
    extra = ["winograd"] if allowed and any(is_winograd(call.node.op) for call in calls) else []
    if options.fuse != "off" and options.precision == "fp32" and has_pairs(calls):
        extra.append("pair")
    layers = layers_needed((call.function for call in calls), extra)
    used: tuple[Activation, ...] = (CLAMP, *(c.activation for c in calls if c.activation))
    identifiers = Identifiers(module_names(FOLDER) | {word_of(a) for a in used})
    shared = tables(graph, name, header.comment(), "Numba-CUDA", identifiers, TARGET)
    batch = next(iter(graph.batch_symbols), None)
    context = ModuleContext(
        batch="None" if batch is None else quote(identifiers.give("symbol", batch)),
        network_lines=network_lines(graph, calls, identifiers, blocks=False),
        kernels=kernels_needed(layers, options.precision),
        layers=layers,
        activations=tuple(Ending(word_of(a), a.doc, a.lines) for a in dict.fromkeys(used)),
        winograd=options.winograd,
        fuse=options.fuse,
        precision=options.precision,
        least_capability=LEAST_CAPABILITY[options.precision],
    )
    return render(FOLDER, "module.py.jinja", {**fields_of(shared), **fields_of(context)})
