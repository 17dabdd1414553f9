"""What the texts of all modules of Numba kernels share: their tables, and how they are rendered."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cnndsl import resources
from cnndsl.backends.numba.identifiers import Identifiers
from cnndsl.backends.numba.interface import (
    bind_lines,
    input_entries,
    interface_lines,
    output_entries,
    parameter_entries,
)
from cnndsl.backends.numba.listing import folded_entries
from cnndsl.ir.graph import Graph

SHARED = "numba"
"""The folder of the templates that the targets share."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a table of the module: a quoted name and what is known of it."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Tables:
    """The variables of a module's templates that depend on the graph alone."""

    header: str
    title: str
    module_name: str
    interface_lines: tuple[str, ...]
    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]
    parameters: tuple[Entry, ...]
    network_signature: str
    bind_lines: tuple[str, ...]
    folded: tuple[Entry, ...]


def tables(
    graph: Graph, name: str, header: str, kernels: str, identifiers: Identifiers, target: str
) -> Tables:
    """Return the tables of a module called `name`, for a target whose kernels are called `kernels`.

    Symbols are the first names that `identifiers` gives. Raises CompileError (CNN702) for a symbol
    that no input's shape tells.
    """
    symbols = tuple(identifiers.give("symbol", s) for s in graph.symbols)
    return Tables(
        header=header,
        title=f"{graph.name}: a convolutional network, compiled to {kernels} kernels.",
        module_name=name,
        interface_lines=interface_lines(graph),
        inputs=tuple(Entry(*e) for e in input_entries(graph)),
        outputs=tuple(Entry(*e) for e in output_entries(graph)),
        parameters=tuple(Entry(*e) for e in parameter_entries(graph)),
        network_signature=", ".join(("plan", *symbols)),
        bind_lines=bind_lines(graph, identifiers, target),
        folded=tuple(Entry(*e) for e in folded_entries(graph)),
    )


def fields_of(context: Any) -> dict[str, object]:
    """Return the variables of a context: the fields of a dataclass, by name."""
    return {f.name: getattr(context, f.name) for f in fields(context)}


def render(folder: str, template: str, variables: Mapping[str, object]) -> str:
    """Return the text of a template of a target's folder."""
    text = _environment(folder).get_template(template).render(variables)
    text = re.sub(r"\n{4,}", "\n\n\n", text).rstrip() + "\n"
    ast.parse(text)  # what cannot be parsed must not be written
    return text


@cache
def _environment(folder: str) -> Environment:
    # The output is Python, where HTML escaping would be wrong; names are quoted by repr.
    return Environment(
        loader=FileSystemLoader([resources.templates() / f for f in (folder, SHARED)]),
        undefined=StrictUndefined,
        keep_trailing_newline=False,
        autoescape=False,
    )


@cache
def module_names(folder: str) -> frozenset[str]:
    """Return every name that some module of a target defines or imports outside of functions.

    With them the locals of `network` and `bind`. Names that templates make up are not among them.
    """
    names = {"plan", "shapes", "expected", "name", "shape"}
    folders = (resources.templates() / f for f in (folder, SHARED))
    for path in (p for f in folders for p in f.rglob("*.jinja")):
        margin = ""  # four more spaces where the module asks before it defines
        for line in path.read_text(encoding="utf-8").splitlines():
            if line[:1].isalpha() or line.startswith("@"):
                asks = re.match(r"(if|elif|else|try|except)\b.*:$", line)
                margin = "(?:    )?" if asks else ""
            if found := re.match(margin + r"(?:def|class)\s+(\w+)", line):
                names.add(found[1])
            elif found := re.match(margin + r"([A-Za-z_]\w*(?:, \w+)*) = ", line):
                names.update(found[1].split(", "))
            elif re.match(margin + r"(import|from) ", line):
                names.update(re.findall(r"\w+", line))
    return frozenset(names)
