"""Names of variables in the forward of a class: as in the program where it names a value."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping

from cnndsl.backends.torch.blocks import Leaf, Local, Outer, Path, Shared, Use
from cnndsl.backends.torch.classes import BlockClass, LayerCall, needed_reads
from cnndsl.ir.graph import Graph

_USUAL = ("x", "y", "z")
"""Names of what has none, the first ones first."""

Key = Path | int
"""A value made in the class, or what it is given: its number."""


class Variables:
    """Gives every value of a class a name that no other value has while it is needed."""

    def __init__(self, graph: Graph, cls: BlockClass, taken: frozenset[str]) -> None:
        self._graph = graph
        self._cls = cls
        self._taken = taken
        self._use = cls.uses[0]
        self._last: dict[Key, int] = {}
        self._readers: dict[Key, list[int]] = {}
        for position, call in enumerate(cls.calls):
            if cls.live[position]:
                for reference in needed_reads(call):
                    self._read(reference, position)
        for reference in cls.returns:
            self._read(reference, len(cls.calls))
        self._holders: dict[str, Key] = {}
        self.names: dict[Key, str] = {}
        self._plain = {_last_word(name) for name in self._inner_names()}

    def _read(self, reference: object, position: int) -> None:
        if isinstance(reference, Local | Outer):
            key = reference.path if isinstance(reference, Local) else reference.number
            self._last[key] = position
            self._readers.setdefault(key, []).append(position)

    def _inner_names(self) -> list[str]:
        graph, prefix = self._graph, self._prefix
        names = [n.output.name for n in graph.nodes]
        return [n[len(prefix) :] for n in names if n.startswith(prefix)]

    @property
    def _prefix(self) -> str:
        return f"{self._use.label}." if self._use.label else ""

    def give(self, number: int, wanted: str) -> str:
        """Name something that the class is given."""
        return self._settle(number, [wanted], -1)

    def make(self, path: Path, position: int) -> str:
        """Name a value that a call makes; values needed no more free their names."""
        if path not in self._last:
            return "_"
        return self._settle(path, self._wanted(path), position)

    def _settle(self, key: Key, wanted: list[str], position: int) -> str:
        candidates = [*wanted]
        number = 2
        while True:
            for name in candidates:
                holder = self._holders.get(name)
                free = holder is None or self._last.get(holder, -1) <= position
                if position < 0:
                    free = holder is None
                if free and name not in self._taken:
                    self._holders[name] = key
                    self.names[key] = name
                    return name
            candidates = [f"{name}_{number}" for name in wanted]
            number += 1

    def _wanted(self, path: Path) -> list[str]:
        """Return names for a value, the best first."""
        named = self._source_name(path)
        if named is not None:
            shorter = re.sub(r"_\d+$", "", named)
            return [shorter, named] if shorter in self._plain else [named]
        chain = self._chain(path)
        before = self._name_before(path)
        own = _identifier(self._cls.calls[path[0]].name)
        return [name for name in (chain, before, *_USUAL, own) if name is not None]

    def _name_before(self, path: Path) -> str | None:
        """Return the name of what a value is made from, if that has none in the program."""
        for reference in needed_reads(self._cls.calls[path[0]])[:1]:
            if isinstance(reference, Local) and self._source_name(reference.path) is None:
                return self.names.get(reference.path)
        return None

    def _chain(self, path: Path) -> str | None:
        """Return the name of what a chain of layers ends in, if it goes on from here alone."""
        for _ in self._cls.calls:
            readers = self._readers.get(path, [])
            if len(readers) != 1 or readers[0] == len(self._cls.calls):
                return None
            (position,) = readers
            call = self._cls.calls[position]
            reads = needed_reads(call)
            if not isinstance(call, LayerCall) and len(self.results(position)) != 1:
                return None
            if not reads or reads[0] != Local(path):
                return None
            (path,) = [(position,)] if isinstance(call, LayerCall) else self.results(position)
            named = self._source_name(path)
            if named is not None:
                return named
        return None

    def results(self, position: int) -> list[Path]:
        """Return the paths of what a call makes, in order."""
        call = self._cls.calls[position]
        if isinstance(call, LayerCall):
            return [(position,)]
        return [(position, *path) for path in call.cls.exports]

    def _source_name(self, path: Path) -> str | None:
        """Return what the program calls a value, within this block; None if nothing."""
        statement: Leaf | Use = self._use
        for number in path:
            assert isinstance(statement, Use)
            statement = statement.statements[number]
        assert isinstance(statement, Leaf)
        name, prefix = statement.node.output.name, self._prefix
        if not name.startswith(prefix) or name == statement.node.label:
            return None
        inner = name[len(prefix) :]
        return None if "." in inner else _identifier(inner)


def names_of_given(graph: Graph, cls: BlockClass) -> Mapping[int, str]:
    """Return what to call the things that a class is given: x where there is but one."""
    use = cls.uses[0]
    found = {}
    values = [n for n in cls.inputs if not isinstance(use.given[n], Shared)]
    for number in cls.inputs:
        thing = use.given[number]
        if isinstance(thing, Shared):
            found[number] = _identifier(_last_word(thing.label))
        elif not use.label:
            found[number] = _identifier(thing.name)
        else:
            found[number] = "x" if len(values) == 1 else f"x{values.index(number) + 1}"
    return found


def _last_word(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _identifier(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) or name.startswith("__") else name
