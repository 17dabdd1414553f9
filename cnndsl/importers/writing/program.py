"""The text of a draft: a head, the blocks, and the network's statements, in canonical form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cnndsl.diagnostics import Source
from cnndsl.importers.writing.layers import Scope, layer_text
from cnndsl.importers.writing.model import Block, BlockUse, Body, Draft, Layer, Repeat
from cnndsl.importers.writing.names import Names, legal_name, parameter_names
from cnndsl.importers.writing.numerals import number
from cnndsl.importers.writing.statements import Writer
from cnndsl.ir.graph import Graph
from cnndsl.syntax.formatter import format_program
from cnndsl.syntax.parser import parse
from cnndsl.types.extents import Dim, Extent, evaluate_extent, symbols_of

INPUT = "x"


def program_text(graph: Graph, draft: Draft, wanted: Mapping[int, str]) -> str:
    """Return the program of a legal graph in canonical form.

    `wanted` has names for values of the network that say something. Raises CompileError if the
    program is larger than the language allows.
    """
    return format_program(parse(Source(f"{graph.name}.cnn", _Program(graph, draft, wanted).text())))


class _Program:
    def __init__(self, graph: Graph, draft: Draft, wanted: Mapping[int, str]) -> None:
        self.graph = graph
        self.draft = draft
        self.wanted = wanted
        fixed = [i.value.name for i in graph.inputs] + [o.name for o in graph.outputs]
        self.names = Names([*fixed, *graph.symbols])
        self.order = _callees_first(draft)
        blocks = [""] * len(draft.blocks)
        for index in self.order:
            blocks[index] = self.names.take(block_name(draft, index))
        self.blocks = blocks
        self.shared = [self.names.take(f"shared_{use.keyword}") for use in draft.shared]
        self.parameters = [
            parameter_names(block.parameters, [*blocks, *self.shared, INPUT, *_inputs(block.body)])
            for block in draft.blocks
        ]

    def text(self) -> str:
        parts = [self._head()]
        parts += ["\n".join(self._block(index) for index in self.order)]
        parts += ["\n".join(self._network())]
        return "\n\n".join(part for part in parts if part) + "\n"

    # -------------------------------------------------------------------- head

    def _head(self) -> str:
        usual = dict(self.graph.usual_sizes)
        lines = [f"network {self.graph.name}"]
        for i in self.graph.inputs:
            kind = i.value.type
            extents = ", ".join(_extent(e, usual) for e in kind.shape)
            lines.append(f"input {i.value.name}: {kind.dtype}[{extents}]")
        return "\n".join(lines)

    # ------------------------------------------------------------------ bodies

    def _scope(self, parameters: list[str], inputs: list[str]) -> Scope:
        called = [
            list(zip(block.parameters, names, strict=True))
            for block, names in zip(self.draft.blocks, self.parameters, strict=True)
        ]
        return Scope(parameters, inputs, self.blocks, called, self.shared)

    def _block(self, index: int) -> str:
        block, parameters = self.draft.blocks[index], self.parameters[index]
        declared = [
            name if p.default is None else f"{name} = {_default(p.default)}"
            for p, name in zip(block.parameters, parameters, strict=True)
        ]
        body = block.body
        inputs = _inputs(body)
        local = Names([*parameters, *self.blocks, *self.shared, INPUT, *inputs])
        writer = Writer(
            body,
            self._scope(parameters, inputs),
            dict(zip(body.inputs, inputs, strict=True)),
            lambda _, read: local.take("h" if read else "_h"),
        )
        head = f"block {self.blocks[index]}"
        chain = None if _asks_channels(body) else writer.chain()
        if chain is not None:
            return (
                f"{head}({', '.join(declared)}) = {chain.text}"
                if declared
                else (f"{head} = {chain.text}")
            )
        lines = [f"{head}({', '.join([INPUT, *declared])}) {{"]
        if len(inputs) > 1:
            lines.append(f"{', '.join(inputs)} = {INPUT}")
        lines += [f"{', '.join(names)} = {text}" for names, text in writer.definitions()]
        lines += [f"return {', '.join(writer.results())}", "}"]
        return "\n".join(lines)

    def _network(self) -> Iterator[str]:
        body, graph = self.draft.network, self.graph
        named = {value: i.value.name for value, i in zip(body.inputs, graph.inputs, strict=True)}
        scope = self._scope([], [])
        for name, use in zip(self.shared, self.draft.shared, strict=True):
            yield f"{name} = share({layer_text(use, scope).text})"
        for value, o in zip(body.results, graph.outputs, strict=True):
            named.setdefault(value, o.name)

        def name_of(value: int, read: bool) -> str:
            wanted = legal_name(self.wanted.get(value, "h"), "h")
            return self.names.take(wanted if read else "_" + wanted.lstrip("_"))

        outputs = {o.name for o in graph.outputs}
        definitions = Writer(body, scope, named, name_of).definitions()
        declared = [n for names, _ in definitions for n in names if n in outputs]
        # Outputs that come about in another order than they are listed in are listed at the end.
        at_end = declared != [o.name for o in graph.outputs][: len(declared)]
        for names, text in definitions:
            is_output = len(names) == 1 and names[0] in outputs and not at_end
            yield f"{'output ' if is_output else ''}{', '.join(names)} = {text}"
        shown = [] if at_end else [n for names, _ in definitions if len(names) == 1 for n in names]
        for value, o in zip(body.results, graph.outputs, strict=True):
            if o.name not in shown:
                yield f"output {o.name}" + ("" if named[value] == o.name else f" = {named[value]}")


def block_name(draft: Draft, index: int) -> str:
    return "unit"


def _inputs(body: Body) -> list[str]:
    """Return the names of a block's inputs."""
    if len(body.inputs) == 1:
        return [INPUT]
    return [f"{INPUT}{place}" for place in range(1, len(body.inputs) + 1)]


def _default(value: object) -> str:
    from cnndsl.importers.writing.numerals import argument_text

    return argument_text(value, (), ())  # type: ignore[arg-type]


def _asks_channels(body: Body) -> bool:
    from cnndsl.importers.writing.model import Formula, slots

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
    if len(symbols) != 1 or not symbols <= usual.keys() or not _is_linear(extent):
        return text
    return f"{text} = {number(evaluate_extent(extent, usual))}"


def _is_linear(extent: Dim) -> bool:
    return all(len(m) <= 1 and all(isinstance(a, str) for a in m) for m, _ in extent.terms)
