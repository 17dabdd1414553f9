"""The text of a draft: a head, the blocks, and the network's statements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cnndsl.importers.writing.layers import Scope, layer_text
from cnndsl.importers.writing.model import (
    Block,
    BlockUse,
    Body,
    Draft,
    Formula,
    Layer,
    OpUse,
    Repeat,
    slots,
)
from cnndsl.importers.writing.names import Names, is_speaking, parameter_names
from cnndsl.importers.writing.numerals import argument_text, number
from cnndsl.importers.writing.statements import Writer
from cnndsl.importers.writing.titles import title
from cnndsl.ir.graph import Graph
from cnndsl.types.extents import Extent, evaluate_extent, is_linear, symbols_of

INPUT = "x"

_CLASSIFIERS = frozenset(("global_avgpool", "global_maxpool", "flatten"))
_LEAST_BEFORE_FEATURES = 5


def program_text(graph: Graph, draft: Draft) -> str:
    """Return the text of a legal graph's program, not yet in canonical form."""
    return _Program(graph, draft).text()


class _Program:
    def __init__(self, graph: Graph, draft: Draft) -> None:
        self.graph = graph
        self.draft = draft
        fixed = [i.value.name for i in graph.inputs] + [o.name for o in graph.outputs]
        self.names = Names([*fixed, *graph.symbols])
        self.order = _callees_first(draft)
        self.blocks = [""] * len(draft.blocks)
        for index in self.order:
            self.blocks[index] = self.names.take(title(draft.blocks[index], draft.blocks))
        self.shared = [self.names.take(f"shared_{use.keyword}") for use in draft.shared]
        known = [*self.blocks, *self.shared, INPUT]
        self.parameters = [
            parameter_names(block.parameters, [*known, *_inputs(block.body)])
            for block in draft.blocks
        ]

    def text(self) -> str:
        parts = [self._head()]
        parts += ["\n".join(self._block(index) for index in self.order)]
        parts += ["\n".join(self._network())]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _head(self) -> str:
        usual = dict(self.graph.usual_sizes)
        lines = [f"network {self.graph.name}"]
        for i in self.graph.inputs:
            kind = i.value.type
            extents = ", ".join(_extent(e, usual) for e in kind.shape)
            lines.append(f"input {i.value.name}: {kind.dtype}[{extents}]")
        return "\n".join(lines)

    def _scope(self, parameters: list[str], inputs: list[str]) -> Scope:
        called = [
            list(zip(block.parameters, names, strict=True))
            for block, names in zip(self.draft.blocks, self.parameters, strict=True)
        ]
        return Scope(parameters, inputs, self.blocks, called, self.shared)

    def _block(self, index: int) -> str:
        block, parameters = self.draft.blocks[index], self.parameters[index]
        declared = [
            name if p.default is None else f"{name} = {argument_text(p.default, (), ())}"
            for p, name in zip(block.parameters, parameters, strict=True)
        ]
        body = block.body
        inputs = _inputs(body)
        scope = self._scope(parameters, inputs)
        names = dict(zip(body.inputs, inputs, strict=True))
        writer = Writer(body, scope, names, ())
        head = f"block {self.blocks[index]}"
        chain = None if _asks_channels(body) else writer.chain()
        if chain is not None:
            given = f"({', '.join(declared)})" if declared else ""
            return f"{head}{given} = {chain.text}"
        local = Names([*parameters, *self.blocks, *self.shared, INPUT, *inputs])
        for value in writer.needed:
            wanted = writer.parts.get(value, "h")
            names[value] = local.take(wanted if writer.is_read(value) else f"_{wanted}")
        writer = Writer(body, scope, names, ())
        lines = [f"{head}({', '.join([INPUT, *declared])}) {{"]
        if len(inputs) > 1:
            lines.append(f"{', '.join(inputs)} = {INPUT}")
        lines += [f"{', '.join(n)} = {text}" for n, text in writer.definitions(in_lines=False)]
        lines += [f"return {', '.join(writer.results())}", "}"]
        return "\n".join(lines)

    def _network(self) -> Iterator[str]:
        body, graph = self.draft.network, self.graph
        scope = self._scope([], [])
        for name, use in zip(self.shared, self.draft.shared, strict=True):
            yield f"{name} = share({layer_text(use, scope).text})"
        names = {value: i.value.name for value, i in zip(body.inputs, graph.inputs, strict=True)}
        for value, o in zip(body.results, graph.outputs, strict=True):
            names.setdefault(value, o.name)
        features = _features(body)
        pinned = {*body.results, *features}
        writer = Writer(body, scope, names, pinned)
        for value in writer.needed:
            if value not in names:
                names[value] = self._value_name(value, writer, value in features)
        outputs = {o.name for o in graph.outputs}
        definitions = Writer(body, scope, names, pinned).definitions(in_lines=True)
        declared = [n for defined, _ in definitions for n in defined if n in outputs]
        # Outputs that come about in another order than they are listed in are listed at the end.
        at_end = declared != [o.name for o in graph.outputs][: len(declared)]
        shown = set()
        for defined, text in definitions:
            is_output = len(defined) == 1 and defined[0] in outputs and not at_end
            shown |= set(defined) if is_output else set()
            yield f"{'output ' if is_output else ''}{', '.join(defined)} = {text}"
        for value, o in zip(body.results, graph.outputs, strict=True):
            if o.name not in shown:
                yield f"output {o.name}" + ("" if names[value] == o.name else f" = {names[value]}")

    def _value_name(self, value: int, writer: Writer, is_features: bool) -> str:
        wanted = self.draft.names.get(value, "")
        if not is_speaking(wanted):
            wanted = "features" if is_features else writer.parts.get(value, "maps")
        return self.names.take(wanted if writer.is_read(value) else f"_{wanted}")


def _features(body: Body) -> set[int]:
    """Return what a classifier begins with, if much leads to it: what is pooled or flattened."""
    reads = Counter(v for item in body.items for v in item.operands)
    for place, item in enumerate(body.items):
        ends = isinstance(item.layer, OpUse) and item.layer.keyword in _CLASSIFIERS
        if ends and place >= _LEAST_BEFORE_FEATURES and reads[item.operands[0]] == 1:
            return {item.operands[0]}
    return set()


def _inputs(body: Body) -> list[str]:
    """Return the names of a block's inputs."""
    if len(body.inputs) == 1:
        return [INPUT]
    return [f"{INPUT}{place}" for place in range(1, len(body.inputs) + 1)]


def _asks_channels(body: Body) -> bool:
    return any(
        isinstance(a, Formula) and a.channels for item in body.items for a in slots(item.layer)
    )


def _used_blocks(layer: Layer) -> Iterator[int]:
    match layer:
        case BlockUse(block=block):
            yield block
        case Repeat(base=base):
            for inner in base:
                yield from _used_blocks(inner)


def _callees_first(draft: Draft) -> list[int]:
    """Return the blocks, each behind those that it uses."""
    found: dict[int, None] = {}

    def visit(block: Block, index: int) -> None:
        for item in block.body.items:
            for used in _used_blocks(item.layer):
                if used not in found:
                    visit(draft.blocks[used], used)
        found[index] = None

    for item in draft.network.items:
        for used in _used_blocks(item.layer):
            if used not in found:
                visit(draft.blocks[used], used)
    return list(found)


def _extent(extent: Extent, usual: dict[str, int]) -> str:
    """Return an extent of an input, with its usual size if its one symbol has one."""
    if isinstance(extent, int):
        return number(extent)
    symbols = symbols_of(extent)
    text = str(extent)
    if len(symbols) != 1 or not symbols <= usual.keys() or not is_linear(extent):
        return text
    return f"{text} = {number(evaluate_extent(extent, usual))}"
