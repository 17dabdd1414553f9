"""Pieces of the text of a module, in which what may differ between uses of a block stands apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from cnndsl.types.tensor import TensorType

Number: TypeAlias = int | float | bool


@dataclass(frozen=True, slots=True)
class Arg:
    """A number that may differ between uses of a block: it becomes an argument of its class.

    `role` is what it is to its layer (`out_channels`, `stride`), which names that argument. With
    a `lead` (", stride=") the whole is left out where the number is always `default`.
    """

    value: Number
    role: str
    lead: str = ""
    default: Number | None = None


@dataclass(frozen=True, slots=True)
class Operand:
    """The variable that holds an operand."""

    number: int


@dataclass(frozen=True, slots=True)
class Own:
    """The module that holds the layer's weights: `self.conv3x3`."""


Part: TypeAlias = str | Arg | Operand | Own
Parts: TypeAlias = tuple[Part, ...]

X = Operand(0)
OWN = Own()


@dataclass(frozen=True, slots=True)
class Lowered:
    """How torch says an op.

    `run` is the expression of its result. `make` is the expression of its module, for ops that
    own weights; with `drawn` these are random at first. `helpers` are the functions and classes
    of the templates that the two use.
    """

    run: Parts
    make: Parts | None = None
    drawn: bool = False
    helpers: tuple[str, ...] = ()


Rule: TypeAlias = Callable[[Any, Sequence[TensorType], TensorType], Lowered]
"""From an op, the types of its operands and that of its result to the text."""


def per_axis(values: Sequence[int], role: str, lead: str = "", default: int | None = None) -> Parts:
    """Return one number for all axes if they are equal, else a tuple."""
    if len(set(values)) == 1:
        return (Arg(values[0], role, lead, default),)
    return (lead, *in_parentheses(Arg(v, role) for v in values))


def every_axis(values: Iterable[int], role: str, lead: str = "") -> Parts:
    """Return a tuple of numbers, one for each axis."""
    return (lead, *in_parentheses(Arg(v, role) for v in values))


def in_parentheses(items: Iterable[Part]) -> Parts:
    """Return a tuple of items."""
    found = list(items)
    parts: list[Part] = ["("]
    for number, item in enumerate(found):
        parts += [", ", item] if number else [item]
    return (*parts, ",)" if len(found) == 1 else ")")


def literal(value: Number) -> str:
    """Return a number as Python writes it."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f'float("{value}")'
    return repr(value)
