"""Write the classes: constructor and forward of each, as lines."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cnndsl.backends.torch.blocks import Layer, Local, Reference, Use
from cnndsl.backends.torch.classes import (
    Argument,
    BlockClass,
    LayerCall,
    Meaning,
    Times,
    needed_reads,
)
from cnndsl.backends.torch.lines import INDENT, WIDTH, fit
from cnndsl.backends.torch.reserved import RESERVED
from cnndsl.backends.torch.text import Arg, Operand, Own, Parts, literal
from cnndsl.backends.torch.variables import Variables, names_of_given
from cnndsl.ir.graph import Graph

NETWORK = "Network"


@dataclass(frozen=True, slots=True)
class ClassText:
    """A class as text: its name, documentation and its methods, `init` with its first line."""

    name: str
    doc: str
    init: tuple[str, ...]
    forward: tuple[str, ...]


def class_names(found: Sequence[BlockClass], taken: frozenset[str]) -> dict[int, str]:
    """Return a name for every class, by its identity."""
    names: dict[int, str] = {}
    used = {*taken, NETWORK}
    for cls in found[:-1]:
        base = "".join(w[:1].upper() + w[1:] for w in cls.block.split("_") if w) or "Block"
        base = base if base.isidentifier() and not keyword.iskeyword(base) else f"Block{base}"
        name, number = base, 2
        while name in used:
            name, number = f"{base}{number}", number + 1
        used.add(name)
        names[id(cls)] = name
    return {**names, id(found[-1]): NETWORK}


class Writer:
    """Writes classes of one graph."""

    def __init__(self, graph: Graph, names: Mapping[int, str], taken: frozenset[str]) -> None:
        self._graph = graph
        self._names = names
        self._taken = taken | set(names.values())

    def write(self, cls: BlockClass, shapes: Sequence[str] = ()) -> ClassText:
        """Return a class as text; the network's forward checks its inputs' shapes first."""
        stored: set[str] = set()
        forward, inputs = self._forward(cls, stored)
        checks = ["sizes = {}"] if shapes else []
        for i, variable, shape in zip(self._graph.inputs, inputs, shapes):
            checks += fit(f"check(sizes, {json.dumps(i.value.name)}, {variable}, {shape})", 8)
        init = [
            f"self.{name} = {name}" for name in (a.name for a in cls.arguments) if name in stored
        ]
        for position, call in enumerate(cls.calls):
            if isinstance(call, LayerCall):
                if call.make is None:
                    continue
                text = _render(call.make, self._meanings(cls, position), [], "", _plain)
            else:
                text = self._constructor(cls, position)
            init += fit(f"{attribute(call.name)} = {text}", 8)
        return ClassText(
            self._names[id(cls)],
            self._doc(cls),
            _method("__init__", [a.name for a in _ordered(cls)], ["super().__init__()", *init])
            if init
            else (),
            _method("forward", inputs, [*checks, *forward]),
        )

    def _doc(self, cls: BlockClass) -> str:
        labels = [use.label for use in cls.uses]
        shown = ", ".join(labels[:3])
        more = len(labels) - 3
        where = f"{shown} and {more} more" if more > 0 else shown
        line = f"The block {cls.block}: {where}."
        return line if len(line) < WIDTH - 10 else f"The block {cls.block}."

    def _meanings(self, cls: BlockClass, position: int) -> list[Meaning]:
        slots = sorted(slot for slot in cls.meanings if slot[0] == position)
        return [cls.meanings[slot] for slot in slots]

    def _constructor(self, cls: BlockClass, position: int) -> str:
        call = cls.calls[position]
        assert not isinstance(call, LayerCall)
        meanings = dict(zip((a.name for a in call.cls.arguments), self._meanings(cls, position)))
        items = []
        for argument in _ordered(call.cls):
            text = _plain(meanings[argument.name])
            items.append(text if _is_positional(argument.role) else f"{argument.name}={text}")
        return f"{self._names[id(call.cls)]}({', '.join(items)})"

    def _forward(self, cls: BlockClass, stored: set[str]) -> tuple[list[str], list[str]]:
        variables = Variables(self._graph, cls, self._taken)
        inputs = [variables.give(n, name) for n, name in names_of_given(self._graph, cls).items()]
        lines: list[str] = []
        last: tuple[str, str] | None = None
        shown = ""

        def stored_value(meaning: Meaning) -> str:
            if isinstance(meaning, Times):
                stored.add(meaning.argument)
                return _times(f"self.{meaning.argument}", meaning.factor)
            return literal(meaning)

        for position, call in enumerate(cls.calls):
            if not cls.live[position]:
                continue
            operands = [self._reference(r, variables) for r in needed_reads(call)]
            if isinstance(call, LayerCall):
                own = attribute(call.name)
                if call.make is None and len(operands) > 1 and _names_module(call):
                    own = operands.pop()
                meanings = self._meanings(cls, position)
                made = sum(isinstance(part, Arg) for part in call.make or ())
                text = _render(call.run, meanings[made:], operands, own, stored_value)
            else:
                text = f"{attribute(call.name)}({', '.join(operands)})"
            results = ", ".join(variables.make(p, position) for p in variables.results(position))
            last = results, text
            if results != text:
                shape = self._shape(cls, position)
                line = f"{results} = {text}"
                if shape and shape != shown and len(line) + len(shape) + 12 <= WIDTH:
                    line, shown = f"{line}  # {shape}", shape
                lines += fit(line, 8)
        lines += self._return(cls, variables, lines, last)
        return lines, inputs

    def _return(
        self,
        cls: BlockClass,
        variables: Variables,
        lines: list[str],
        last: tuple[str, str] | None,
    ) -> list[str]:
        """Return the last line, which takes the place of the last assignment where it can."""
        names = [self._reference(r, variables) for r in cls.returns]
        if self._names[id(cls)] == NETWORK and len(names) > 1:
            items = (f"{json.dumps(o.name)}: {n}" for o, n in zip(self._graph.outputs, names))
            return fit("return {" + ", ".join(items) + "}", 8)
        returned = ", ".join(names)
        if last is not None and last[0] == returned and last[0] != last[1]:
            start = max(at for at, line in enumerate(lines) if line.startswith(f"{returned} = "))
            assigned = lines[start:]
            del lines[start:]
            return [f"return {assigned[0].removeprefix(f'{returned} = ')}", *assigned[1:]]
        return [f"return {returned}"]

    def _shape(self, cls: BlockClass, position: int) -> str:
        """Return the shape of a layer's result, if it is the same at all uses of the class."""
        shapes = set()
        for use in cls.uses:
            statement = use.statements[position]
            if isinstance(statement, Use):
                return ""
            shapes.add(statement.node.output.type.shape)
        return f"[{', '.join(map(str, shapes.pop()))}]" if len(shapes) == 1 else ""

    def _reference(self, reference: Reference, variables: Variables) -> str:
        if isinstance(reference, Layer):
            text = "self"
            for name in reference.names:
                text = attribute(name, text)
            return text
        key = reference.path if isinstance(reference, Local) else reference.number
        return variables.names[key]


def _method(name: str, arguments: Sequence[str], body: Iterable[str]) -> tuple[str, ...]:
    head = fit(f"def {name}({', '.join(('self', *arguments))}):", INDENT)
    return (*head, *(" " * INDENT + line for line in body))


def _names_module(call: LayerCall) -> bool:
    return any(isinstance(part, Own) for part in call.run)


def _is_positional(role: str) -> bool:
    return role.endswith(("channels", "features"))


def _ordered(cls: BlockClass) -> list[Argument]:
    """Return a class's arguments as its constructor takes them: channels first."""
    return sorted(cls.arguments, key=lambda a: not _is_positional(a.role))


def _times(name: str, factor: int) -> str:
    return name if factor == 1 else f"{factor} * {name}"


def _plain(meaning: Meaning) -> str:
    if isinstance(meaning, Times):
        return _times(meaning.argument, meaning.factor)
    return literal(meaning)


def _render(
    parts: Parts,
    meanings: Iterable[Meaning],
    operands: Sequence[str],
    own: str,
    show: Callable[[Meaning], str],
) -> str:
    """Return the text of parts; the meanings are those of its numbers, in order."""
    left = iter(meanings)
    text = ""
    for part in parts:
        match part:
            case str():
                text += part
            case Operand(number):
                text += operands[number]
            case Own():
                text += own
            case Arg(lead=lead, default=default):
                meaning = next(left)
                if default is None or type(meaning) is not type(default) or meaning != default:
                    text += lead + show(meaning)
    return _SLICE.sub(_spaced, text)


_SLICE = re.compile(r"(?<=[\[ ])[^,\[\]()]*self\.[^,\[\]()]*(?=[,\]])")


def _spaced(found: re.Match[str]) -> str:
    """Return a slice with spaces around its colons, as between what is more than a number."""
    return " : ".join(part.strip() for part in found[0].split(":")).strip()


_SAFE = re.compile(r"(?!_)[A-Za-z_0-9]+")


def attribute(name: str, owner: str = "self") -> str:
    """Return the text of a submodule: some names are words of Python, or of every module."""
    if _SAFE.fullmatch(name) and name not in RESERVED and not keyword.iskeyword(name):
        return f"{owner}.{name}"
    return f"{owner}._modules[{json.dumps(name)}]"
