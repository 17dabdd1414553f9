"""Find the uses of blocks in a graph again: a tree of statements, and what each use reads.

A layer's label is a path through the blocks (`stage_2.unit.conv3x3`), and the layers of one use of
a block stand together. Where a statement of a use reads something, it is named relative to the
use, so that uses of one block that do the same have equal descriptions:

- `Local(path)`: the value made by a statement; the path goes on inside of a block's use
- `Outer(number)`: what the use is given from outside
- `Layer(path)`: the module of a layer whose weights are shared, somewhere inside of the use
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from cnndsl.ir.graph import Graph, Node

Path: TypeAlias = tuple[int, ...]
"""Numbers of statements, from a use of a block inwards."""


@dataclass(frozen=True, slots=True)
class Local:
    path: Path


@dataclass(frozen=True, slots=True)
class Outer:
    number: int


@dataclass(frozen=True, slots=True)
class Layer:
    names: tuple[str, ...]


Reference: TypeAlias = Local | Outer | Layer


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the graph, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Shared:
    """The module of a layer, by its label."""

    label: str


Thing: TypeAlias = Value | Shared


@dataclass(slots=True, eq=False)
class Leaf:
    """A layer. `owner` is the label of the layer whose weights it has: its own, or another's."""

    name: str
    node: Node
    owner: str | None


@dataclass(slots=True, eq=False)
class Use:
    """One use of a block; the outermost is the network. `label` has no dot at its end."""

    name: str
    block: str
    label: str
    path: Path
    statements: list[Leaf | Use] = field(default_factory=list)
    given: list[Thing] = field(default_factory=list)
    """What it reads from outside, in order of first use."""
    reads: list[tuple[Reference, ...]] = field(default_factory=list)
    """What each statement reads: a layer its operands, then its module if that is not its own."""
    exports: set[Path] = field(default_factory=set)
    """Paths of the values inside that are read outside."""


def tree(graph: Graph) -> Use:
    """Return the network as uses of blocks within each other.

    Raises ValueError for a graph that no program makes: one in which the layers of a use do not
    stand together, or tensors are not named after the layer that has them first.
    """
    root = Use("", graph.name, "", ())
    owners = _owners(graph)
    open_uses = [root]
    closed: set[str] = set()
    for node in graph.nodes:
        *blocks, name = node.label.split(".")
        depth = _common(open_uses, blocks)
        closed |= {use.label for use in open_uses[depth + 1 :]}
        del open_uses[depth + 1 :]
        for level in range(depth, len(blocks)):
            parent = open_uses[-1]
            label = ".".join(blocks[: level + 1])
            if label in closed:
                raise ValueError(f"the layers of {label} do not stand together")
            word = node.path[level][0] if len(node.path) == len(blocks) else _word(blocks[level])
            use = Use(blocks[level], word, label, (*parent.path, len(parent.statements)))
            parent.statements.append(use)
            open_uses.append(use)
        owner = owners[node.params[0]] if node.params else None
        open_uses[-1].statements.append(Leaf(name, node, owner))
    _Linker(graph, root).link()
    return root


def _word(name: str) -> str:
    return re.sub(r"_\d+$", "", name)


def _common(open_uses: list[Use], blocks: list[str]) -> int:
    """Return how many of the blocks are open."""
    depth = 0
    while depth < len(blocks) and depth + 1 < len(open_uses):
        if open_uses[depth + 1].name != blocks[depth]:
            break
        depth += 1
    return depth


def _owners(graph: Graph) -> dict[str, str]:
    """Return the label of the layer that has each parameter, which is the first to read it."""
    owners: dict[str, str] = {}
    for node in graph.nodes:
        for name in node.params:
            owners.setdefault(name, node.label)
    for parameter in graph.parameters:
        name = parameter.value.name
        if name in owners and name != f"{owners[name]}.{parameter.spec.role}":
            raise ValueError(f"{name} is first read by {owners[name]}")
    return owners


class _Linker:
    """Says for every statement what it reads, relative to the use that it stands in."""

    def __init__(self, graph: Graph, root: Use) -> None:
        self._graph = graph
        self._root = root
        self._places: dict[str, Path] = {}
        for path, leaf in leaves(root):
            self._places[leaf.node.output.name] = path

    def link(self) -> None:
        for output in self._graph.outputs:
            self._export(output.value, ())
        for path, leaf in leaves(self._root):
            for name in leaf.node.inputs:
                self._export(name, path)
        self._root.given = [Value(i.value.name) for i in self._graph.inputs]
        self._link(self._root)

    def _export(self, value: str, reader: Path) -> None:
        """Let all uses that a value leaves on its way to a reader export it."""
        place = self._places.get(value)
        if place is None:
            return  # an input of the network
        use = self._root
        for depth, number in enumerate(place[:-1], 1):
            inner = use.statements[number]
            assert isinstance(inner, Use)
            use = inner
            if reader[:depth] != place[:depth]:
                use.exports.add(place[depth:])

    def _link(self, use: Use) -> None:
        for statement in use.statements:
            if isinstance(statement, Use):
                self._link(statement)
                things = list(statement.given)
            else:
                things = [Value(name) for name in statement.node.inputs]
                if statement.owner is not None and statement.owner != statement.node.label:
                    things.append(Shared(statement.owner))
            use.reads.append(tuple(self._reference(use, thing) for thing in things))

    def _reference(self, use: Use, thing: Thing) -> Reference:
        if isinstance(thing, Shared):
            names = tuple(thing.label.split("."))
            around = tuple(use.label.split(".")) if use.label else ()
            if names[: len(around)] == around:
                return Layer(names[len(around) :])
        else:
            place = self._places.get(thing.name)
            if place is not None and place[: len(use.path)] == use.path:
                return Local(place[len(use.path) :])
        if thing not in use.given:
            use.given.append(thing)
        return Outer(use.given.index(thing))


def leaves(use: Use) -> Iterator[tuple[Path, Leaf]]:
    """Yield all layers within a use in order, with their paths."""
    for number, statement in enumerate(use.statements):
        if isinstance(statement, Use):
            yield from leaves(statement)
        else:
            yield (*use.path, number), statement
