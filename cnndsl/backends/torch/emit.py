"""Write the module: the classes, rendered with the template and the helpers that they use."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cnndsl import resources
from cnndsl.backends.header import Header
from cnndsl.backends.torch.blocks import tree
from cnndsl.backends.torch.classes import BlockClass, LayerCall, classes
from cnndsl.backends.torch.listing import ClassText, Writer, class_names
from cnndsl.backends.torch.lower import lower
from cnndsl.ir.graph import Graph
from cnndsl.types.extents import Extent, linear_form
from cnndsl.types.tensor import TensorType

HELPERS = (
    "draw",
    "he",
    "lecun",
    "glorot",
    "BatchNorm",
    "LayerNorm",
    "LocallyConnected",
    "with_weights_of",
    "same_pads",
    "average_pool",
    "local_response_norm",
    "repeat",
    "space_to_depth",
    "depth_to_space",
)
"""The helpers of the templates in the order in which they stand in a module."""


_IMPORTS = {
    "math": "import math\n",
    "torch": "import torch",
    "nn": "from torch import nn",
    "F": "from torch.nn import functional as F",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A quoted name and the type of what it names."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class ModuleContext:
    """The variables of `module.py.jinja` and the templates it includes."""

    header: str
    title: str
    module_name: str
    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]
    blocks: tuple[ClassText, ...]
    network: ClassText
    helpers: tuple[str, ...]
    imports: tuple[str, ...]


def emit(graph: Graph, name: str, *, header: Header) -> str:
    """Return the text of a module for the graph of a source program, before passes.

    Raises CompileError (CNN702) with every layer that torch has no way to say.
    """
    lowered = lower(graph)
    found = classes(graph, tree(graph), lowered)
    writer = Writer(graph, class_names(found, _words()), _words())
    texts = [writer.write(cls) for cls in found[:-1]]
    network = writer.write(found[-1], [_shape(i.value.type) for i in graph.inputs])
    helpers = {h for cls in found for h in _helpers(cls)}
    context = ModuleContext(
        header=header.comment(),
        title=f"{graph.name}: a convolutional network, to train with PyTorch.",
        module_name=name,
        inputs=tuple(Entry(_quoted(i.value.name), str(i.value.type)) for i in graph.inputs),
        outputs=tuple(Entry(_quoted(o.name), str(graph.types[o.value])) for o in graph.outputs),
        blocks=tuple(texts),
        network=network,
        helpers=tuple(h for h in HELPERS if h in helpers),
        imports=(),
    )
    return _render(context)


def _helpers(cls: BlockClass) -> set[str]:
    return {h for call in cls.calls if isinstance(call, LayerCall) for h in call.helpers}


def _quoted(text: str) -> str:
    return json.dumps(text)


def _shape(type_: TensorType) -> str:
    """Return what `check` compares an input's shape with."""
    extents = [_extent(e) for e in type_.shape]
    return f"({', '.join(extents)}{',' if len(extents) == 1 else ''})"


def _extent(extent: Extent) -> str:
    if isinstance(extent, int):
        return str(extent)
    form = linear_form(extent)
    if form is None:
        return "None"
    symbol, slope, rest = form
    plain = slope == 1 and rest == 0
    return _quoted(symbol) if plain else f"({slope}, {_quoted(symbol)}, {rest})"


def _render(context: ModuleContext) -> str:
    fields = {f: getattr(context, f) for f in ModuleContext.__slots__}
    template = _environment().get_template("module.py.jinja")
    body = template.render(fields)
    used = tuple(line for name, line in _IMPORTS.items() if f"{name}." in body)
    text = template.render({**fields, "imports": used})
    text = re.sub(r"\n{4,}", "\n\n\n", text).rstrip() + "\n"
    ast.parse(text)  # what cannot be parsed must not be written
    return text


@cache
def _environment() -> Environment:
    # The output is Python, where HTML escaping would be wrong; names are quoted by json.
    return Environment(
        loader=FileSystemLoader(resources.templates() / "torch"),
        undefined=StrictUndefined,
        keep_trailing_newline=False,
        autoescape=False,
    )


@cache
def _words() -> frozenset[str]:
    """Return every name that a module may define or import, which no variable may hide."""
    return frozenset(
        {*HELPERS, "F", "check", "fans", "float", "load", "math", "nn", "self", "sizes", "torch"}
    )
