"""One class for all uses of a block that do the same, but for numbers: its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from cnndsl.backends.torch.blocks import (
    Leaf,
    Local,
    Outer,
    Path,
    Reference,
    Use,
    Value,
)
from cnndsl.backends.torch.lower import rule_of
from cnndsl.backends.torch.reserved import RESERVED
from cnndsl.backends.torch.text import OWN, Arg, Lowered, Number, Part, Parts
from cnndsl.ir.graph import Graph

Column: TypeAlias = tuple[tuple[type, Number], ...]
"""What a number is at each use of a class; with its type, since True equals 1."""


@dataclass(frozen=True, slots=True)
class Times:
    """A number of a class: an argument, or that many times one."""

    argument: str
    factor: int = 1


Meaning: TypeAlias = Number | Times


@dataclass(slots=True, eq=False)
class LayerCall:
    """A layer in a class: how to make its module (None if it has none of its own), and run it."""

    name: str
    make: Parts | None
    run: Parts
    reads: tuple[Reference, ...]
    helpers: tuple[str, ...]


@dataclass(slots=True, eq=False)
class BlockCall:
    """A use of another class in a class."""

    name: str
    cls: BlockClass
    reads: tuple[Reference, ...]


Call: TypeAlias = LayerCall | BlockCall


@dataclass(slots=True, eq=False)
class Argument:
    """An argument of a class: its name, its role, and its number at each use."""

    name: str
    role: str
    column: Column


@dataclass(slots=True, eq=False)
class BlockClass:
    """A class of the module. `exports` are the values made in it that its forward returns."""

    block: str
    calls: list[Call]
    uses: list[Use] = field(default_factory=list)
    numbers: list[list[list[Number]]] = field(default_factory=list)
    """For each use and call: the numbers of a layer's texts, `make` first; empty for blocks."""
    inner: list[list[int]] = field(default_factory=list)
    """For each use and call: which use of its own class a block's use is; -1 for layers."""
    exports: list[Path] = field(default_factory=list)
    returns: list[Local | Outer] = field(default_factory=list)
    """The same; for the network its outputs, in their order."""
    live: list[bool] = field(default_factory=list)
    """Which calls are needed for the exports."""
    inputs: list[int] = field(default_factory=list)
    """Which of the things given to its uses are needed."""
    arguments: list[Argument] = field(default_factory=list)
    meanings: dict[tuple[int, int], Meaning] = field(default_factory=dict)
    """By call and place among its numbers: a layer's texts', or the arguments of a block."""


def classes(graph: Graph, root: Use, lowered: Mapping[str, Lowered]) -> list[BlockClass]:
    """Return the classes, each after those that it uses; the last is the network."""
    found = _Classes(graph, lowered)
    found.add(root)
    ordered = list(found.by_key.values())
    for cls in ordered:
        cls.exports = sorted(set().union(*(use.exports for use in cls.uses)))
        cls.returns = [Local(path) for path in cls.exports]
    network = ordered[-1]
    network.returns = [_output(root, found.places, o.value) for o in graph.outputs]
    network.exports = sorted({r.path for r in network.returns if isinstance(r, Local)})
    for cls in ordered:
        _find_live(cls)
        _find_arguments(cls)
    network.inputs = list(range(len(graph.inputs)))
    return ordered


def _output(root: Use, places: Mapping[str, Path], value: str) -> Local | Outer:
    return Local(places[value]) if value in places else Outer(root.given.index(Value(value)))


class _Classes:
    """Sorts uses into classes by what they do."""

    def __init__(self, graph: Graph, lowered: Mapping[str, Lowered]) -> None:
        self._lowered = lowered
        self._graph = graph
        self._nodes = {node.label: node for node in graph.nodes}
        self.by_key: dict[object, BlockClass] = {}
        self.places: dict[str, Path] = {}

    def add(self, use: Use) -> tuple[BlockClass, int]:
        """Return the class of a use, and its number among the uses."""
        calls: list[Call] = []
        key: list[object] = []
        numbers: list[list[Number]] = []
        inner: list[int] = []
        for position, (statement, reads) in enumerate(zip(use.statements, use.reads, strict=True)):
            if isinstance(statement, Use):
                cls, number = self.add(statement)
                calls.append(BlockCall(statement.name, cls, reads))
                key.append((statement.name, id(cls), reads))
                numbers.append([])
                inner.append(number)
            else:
                call = self._layer(statement, reads)
                calls.append(call)
                texts = (*(call.make or ()), *call.run)
                key.append((call.name, _skeleton(call.make), _skeleton(call.run), reads))
                numbers.append([part.value for part in texts if isinstance(part, Arg)])
                inner.append(-1)
                self.places[statement.node.output.name] = (*use.path, position)
        kind = (use.block, use.path == (), tuple(key))
        cls = self.by_key.setdefault(kind, BlockClass(use.block, calls))
        cls.uses.append(use)
        cls.numbers.append(numbers)
        cls.inner.append(inner)
        return cls, len(cls.uses) - 1

    def _layer(self, leaf: Leaf, reads: tuple[Reference, ...]) -> LayerCall:
        node = leaf.node
        lowered = self._lowered[node.output.name]
        if leaf.owner is None or leaf.owner == node.label:
            return LayerCall(leaf.name, lowered.make, lowered.run, reads, lowered.helpers)
        # Weights of another layer: its module does, unless it has another stride or the like.
        first = self._nodes[leaf.owner]
        mine, its = (
            rule_of(n.op, self._graph.operand_types(n), n.output.type) for n in (node, first)
        )
        helpers = mine.helpers
        run = mine.run
        if mine.make != its.make:
            assert mine.make is not None
            borrowed: Parts = ("with_weights_of(", OWN, ", lambda: ", *mine.make, ")")
            run = tuple(p for part in run for p in (borrowed if part == OWN else (part,)))
            helpers = (*helpers, "with_weights_of")
        return LayerCall(leaf.name, None, run, reads, helpers)


def _skeleton(parts: Parts | None) -> object:
    """Return a text without its numbers."""
    if parts is None:
        return None
    return tuple(
        (part.role, part.lead, part.default) if isinstance(part, Arg) else part for part in parts
    )


def _find_live(cls: BlockClass) -> None:
    """Find the calls whose results are used, and what they read from outside."""
    needed: set[Path] = set(cls.exports)
    inputs: set[int] = set()
    live = [False] * len(cls.calls)
    for position in reversed(range(len(cls.calls))):
        call = cls.calls[position]
        if not any(path[0] == position for path in needed):
            continue
        live[position] = True
        for reference in needed_reads(call):
            if isinstance(reference, Local):
                needed.add(reference.path)
            elif isinstance(reference, Outer):
                inputs.add(reference.number)
    cls.live = live
    cls.inputs = sorted(inputs)


def needed_reads(call: Call) -> tuple[Reference, ...]:
    """Return what a call reads when it runs."""
    if isinstance(call, LayerCall):
        return call.reads
    return tuple(call.reads[number] for number in call.cls.inputs)


# --------------------------------------------------------------------- arguments

_CHANNELS = ("in_channels", "out_channels", "in_features", "out_features")


def _find_arguments(cls: BlockClass) -> None:
    """Give a class an argument for every number that differs between its uses."""
    columns: dict[tuple[int, int], tuple[str, str, Column]] = {}
    for position, call in enumerate(cls.calls):
        for place, (role, column) in enumerate(_columns(cls, position, call)):
            columns[position, place] = role, call.name, column
    roles: dict[str, set[Column]] = {}
    for role, _, column in columns.values():
        if len(set(column)) > 1:
            roles.setdefault(role, set()).add(column)
    taken = {c.name for c in cls.calls if isinstance(c, BlockCall) or c.make is not None}
    for slot, (role, layer, column) in columns.items():
        if len(set(column)) == 1:
            cls.meanings[slot] = column[0][1]
            continue
        found = _expressed(cls.arguments, column)
        if found is None:
            first = not any(a.role == role for a in cls.arguments)
            name = _argument_name(cls, role, layer, first, taken)
            taken.add(name)
            cls.arguments.append(Argument(name, role, column))
            found = Times(name)
        cls.meanings[slot] = found


def _columns(cls: BlockClass, position: int, call: Call) -> list[tuple[str, Column]]:
    """Return role and numbers at every use, for each number of a call."""
    uses = range(len(cls.uses))
    if isinstance(call, BlockCall):
        inner = [cls.inner[use][position] for use in uses]
        return [(a.role, tuple(a.column[number] for number in inner)) for a in call.cls.arguments]
    texts: list[Part] = [*(call.make or ()), *call.run]
    roles = [part.role for part in texts if isinstance(part, Arg)]
    return [
        (role, tuple(_typed(cls.numbers[use][position][place]) for use in uses))
        for place, role in enumerate(roles)
    ]


def _typed(number: Number) -> tuple[type, Number]:
    return type(number), number


def _expressed(arguments: list[Argument], column: Column) -> Times | None:
    """Return a column as an argument, or as a whole multiple of one; None if it is neither."""
    for argument in arguments:
        if argument.column == column:
            return Times(argument.name)
    if any(kind is not int for kind, _ in column):
        return None
    for argument in arguments:
        if argument.role.startswith("in_") or argument.column[0][0] is not int:
            continue
        factor = int(column[0][1]) // max(int(argument.column[0][1]), 1)
        if factor > 1 and all(
            int(mine) == factor * int(its)
            for (_, mine), (_, its) in zip(column, argument.column, strict=True)
        ):
            return Times(argument.name, factor)
    return None


def _argument_name(cls: BlockClass, role: str, layer: str, first: bool, taken: set[str]) -> str:
    """Name an argument after its role, and after its layer if another has that name."""
    plain = {"out_channels": "channels", "out_features": "features"}.get(role, role)
    name = plain if first else f"{layer}_{plain}"
    number = 2
    unique = name
    while unique in taken or unique in RESERVED:
        unique = f"{name}_{number}"
        number += 1
    return unique
