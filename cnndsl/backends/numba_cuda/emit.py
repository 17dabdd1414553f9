"""Write the generated module: calls, rendered with the templates."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cnndsl import resources
from cnndsl.backends.header import Header
from cnndsl.backends.numba.activations import CLAMP, Activation
from cnndsl.backends.numba.identifiers import Identifiers, quote
from cnndsl.backends.numba.interface import (
    Entry,
    bind_lines,
    input_entries,
    interface_lines,
    output_entries,
    parameter_entries,
)
from cnndsl.backends.numba.listing import folded_entries, network_lines
from cnndsl.backends.numba_cuda.catalog import kernels_needed, layers_needed
from cnndsl.backends.numba_cuda.lower import TARGET, has_pairs, is_winograd, lower, word_of
from cnndsl.backends.numba_cuda.options import DEFAULTS, LEAST_CAPABILITY, Options
from cnndsl.ir.graph import Graph


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
    """The variables of `module.py.jinja` and the templates it includes."""

    header: str
    title: str
    module_name: str
    interface_lines: tuple[str, ...]
    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]
    parameters: tuple[Entry, ...]
    batch: str
    network_signature: str
    network_lines: tuple[str, ...]
    bind_lines: tuple[str, ...]
    folded: tuple[Entry, ...]
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
    identifiers = Identifiers(_module_names() | {word_of(a) for a in used})
    symbols = tuple(identifiers.give("symbol", s) for s in graph.symbols)
    batch = next(iter(graph.batch_symbols), None)
    context = ModuleContext(
        header=header.comment(),
        title=f"{graph.name}: a convolutional network, compiled to Numba-CUDA kernels.",
        module_name=name,
        interface_lines=interface_lines(graph),
        inputs=tuple(Entry(*e) for e in input_entries(graph)),
        outputs=tuple(Entry(*e) for e in output_entries(graph)),
        parameters=tuple(Entry(*e) for e in parameter_entries(graph)),
        batch="None" if batch is None else quote(identifiers.give("symbol", batch)),
        network_signature=", ".join(("plan", *symbols)),
        network_lines=network_lines(graph, calls, identifiers, blocks=False),
        bind_lines=bind_lines(graph, identifiers, TARGET),
        folded=tuple(Entry(*e) for e in folded_entries(graph)),
        kernels=kernels_needed(layers, options.precision),
        layers=layers,
        activations=tuple(Ending(word_of(a), a.doc, a.lines) for a in dict.fromkeys(used)),
        winograd=options.winograd,
        fuse=options.fuse,
        precision=options.precision,
        least_capability=LEAST_CAPABILITY[options.precision],
    )
    fields = {f: getattr(context, f) for f in ModuleContext.__slots__}
    text = _environment().get_template("module.py.jinja").render(fields)
    text = re.sub(r"\n{4,}", "\n\n\n", text).rstrip() + "\n"
    ast.parse(text)  # what cannot be parsed must not be written
    return text


@cache
def _environment() -> Environment:
    # The output is Python, where HTML escaping would be wrong; names are quoted by repr.
    return Environment(
        loader=FileSystemLoader([resources.templates() / f for f in ("numba_cuda", "numba")]),
        undefined=StrictUndefined,
        keep_trailing_newline=False,
        autoescape=False,
    )


@cache
def _module_names() -> frozenset[str]:
    """Return every name that some generated module defines or imports at its top level.

    With them the locals of `network` and `bind`.
    """
    names = {"plan", "shapes", "expected", "name", "shape"}
    folders = (resources.templates() / f for f in ("numba_cuda", "numba"))
    for path in (p for folder in folders for p in folder.rglob("*.jinja")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if found := re.match(r" *(?:def|class)\s+(\w+)", line):
                names.add(found[1])
            elif found := re.match(r" *([A-Za-z_]\w*(?:, \w+)*) = ", line):
                names.update(found[1].split(", "))
            elif re.match(r" *(import|from) ", line):
                names.update(re.findall(r"\w+", line))
    return frozenset(names)
