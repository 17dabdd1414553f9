"""A program under construction: bodies of items, each a layer applied to values.

The network and every block have a `Body`, whose items stand in an order in which they can run.
Values are numbers that no two bodies share. Blocks are made by taking equal runs of items out of
bodies (`reroll`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Word:
    """A name that an argument takes: valid, same, causal."""

    text: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as a program writes it; a number and a truth value are never equal."""

    value: int | float | bool | str | Word | tuple[object, ...] | None
    kind: str

    @staticmethod
    def of(value: int | float | bool | str | Word | tuple[object, ...] | None) -> Literal:
        return Literal(value, type(value).__name__)

    @property
    def number(self) -> int | None:
        """The whole number that it is, if it is one."""
        value = self.value
        return value if isinstance(value, int) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True)
class Auto:
    """What the language decides by itself; all are equal. `decided` is what that is here."""

    decided: Literal = field(compare=False)


@dataclass(frozen=True, slots=True)
class Formula:
    """factor * source // divisor, where the source is a parameter of the block, by its index.

    With `channels` it is the number of channels of the input with that index instead.
    """

    index: int
    factor: int = 1
    divisor: int = 1
    channels: bool = False


Argument: TypeAlias = Literal | Auto | Formula


@dataclass(frozen=True, slots=True)
class OpUse:
    """An op with its arguments, in the order of its declaration; `rank` counts spatial axes.

    The channels of one that `narrows` are the rank of a factorization.
    """

    keyword: str
    rank: int
    operands: int
    arguments: tuple[Argument, ...]
    narrows: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """value * scale + shift: the op that has no word. Its numbers decide how it is written."""

    scale: float
    shift: float


@dataclass(frozen=True, slots=True)
class BlockUse:
    """A block by its index, with the values of its parameters."""

    block: int
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class SharedUse:
    """A layer whose weights several uses share, by its index in the program."""

    shared: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """Layers one after another, all of them `times` times."""

    base: tuple[Layer, ...]
    times: Argument


Layer: TypeAlias = OpUse | Scale | BlockUse | SharedUse | Repeat


@dataclass(frozen=True, slots=True)
class Item:
    """A layer applied to values. `labels` are its first and last node's, of those it stands for."""

    layer: Layer
    operands: tuple[int, ...]
    results: tuple[int, ...]
    labels: tuple[str, str]


@dataclass(slots=True)
class Body:
    """Items in an order in which they can run; `results` are values of the body."""

    inputs: tuple[int, ...]
    items: list[Item]
    results: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a block: what it is for (the name of the argument it is passed to)."""

    role: str
    default: Literal | None


@dataclass(slots=True)
class Block:
    """A block: its body and parameters; `hints` are parts of its nodes' labels, to name it by.

    Or it has a `name` already.
    """

    body: Body
    parameters: tuple[Parameter, ...]
    hints: tuple[str, ...] = ()
    name: str = ""


@dataclass(slots=True)
class Draft:
    """A whole program: the network, its blocks and its shared layers.

    `names` are what values of the network are called in the graph, `channels` their numbers of
    channels, where they are known.
    """

    network: Body
    shared: list[OpUse]
    names: dict[int, str] = field(default_factory=dict)
    channels: dict[int, int] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    values: int = 0

    def bodies(self) -> Iterator[Body]:
        yield self.network
        for block in self.blocks:
            yield block.body

    def new_value(self) -> int:
        self.values += 1
        return self.values - 1


def slots(layer: Layer) -> tuple[Argument, ...]:
    """Return all arguments of a layer, in order."""
    match layer:
        case Repeat(base=base, times=times):
            return (*(a for inner in base for a in slots(inner)), times)
        case SharedUse() | Scale():
            return ()
        case _:
            return layer.arguments


def with_slots(layer: Layer, arguments: tuple[Argument, ...]) -> Layer:
    """Return the layer with other arguments."""
    match layer:
        case OpUse():
            return replace(layer, arguments=arguments)
        case BlockUse(block=block):
            return BlockUse(block, arguments)
        case SharedUse() | Scale():
            return layer
        case Repeat(base=base):
            inner: list[Layer] = []
            start = 0
            for one in base:
                count = len(slots(one))
                inner.append(with_slots(one, arguments[start : start + count]))
                start += count
            return Repeat(tuple(inner), arguments[start])
