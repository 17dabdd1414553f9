"""The table of ops, by keyword, and what the language knows about their arguments."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar

from cnndsl.ops.base import Extents, Op
from cnndsl.types.padding import Causal, Explicit, Padding, Same, Valid

_BY_KEYWORD: dict[str, type[Op]] = {}
_BY_NAME: dict[str, type[Op]] = {}

T = TypeVar("T", bound=type[Op])


class Kind(Enum):
    """What a program may write for an argument."""

    INTEGER = "whole number"
    FLOAT = "number"
    BOOLEAN = "true or false"
    WORD = "word"
    EXTENTS = "whole number, or one per spatial axis"
    PADDING = "valid, same, causal, a number, or numbers per axis"


@dataclass(frozen=True, slots=True)
class ArgumentSpec:
    """An argument of an op, as a program sees it. `optional` arguments take None from the op.

    A `variadic` one of kind EXTENTS takes any number of numbers; others one per spatial axis.
    """

    name: str
    kind: Kind
    doc: str
    default: Any
    minimum: int | None
    choices: tuple[str, ...]
    aliases: tuple[str, ...]
    optional: bool
    variadic: bool

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING


def register(cls: T) -> T:
    """Enter an op into the table (class decorator)."""
    if cls.keyword:
        if cls.keyword in _BY_KEYWORD:
            raise ValueError(f"op keyword {cls.keyword} is declared twice")
        _BY_KEYWORD[cls.keyword] = cls
    if cls.__name__ in _BY_NAME:
        raise ValueError(f"op {cls.__name__} is declared twice")
    _BY_NAME[cls.__name__] = cls
    return cls


def op_by_keyword(keyword: str) -> type[Op] | None:
    """Return the op of a word of the language, without kernel suffix."""
    return _BY_KEYWORD.get(keyword)


def op_by_name(name: str) -> type[Op] | None:
    """Return the op of a class name, as the text form of a graph writes it."""
    return _BY_NAME.get(name)


def keywords() -> tuple[str, ...]:
    """Return the words of all ops of the language, sorted."""
    return tuple(sorted(_BY_KEYWORD))


def all_ops() -> tuple[type[Op], ...]:
    """Return every op, those that only passes create too, in order of declaration."""
    return tuple(_BY_NAME.values())


@cache
def arguments(cls: type[Op]) -> tuple[ArgumentSpec, ...]:
    """Return the arguments of an op in positional order, the kernel last."""
    hints = typing.get_type_hints(cls)
    specs = []
    for f in dataclasses.fields(cls):
        if "doc" not in f.metadata:
            continue
        hint = hints[f.name]
        members = typing.get_args(hint) if isinstance(hint, UnionType) else ()
        optional = NoneType in members
        specs.append(
            ArgumentSpec(
                name=f.name,
                kind=_kind(hint),
                doc=f.metadata["doc"],
                default=f.default,
                minimum=f.metadata["minimum"],
                choices=f.metadata["choices"],
                aliases=f.metadata["aliases"],
                optional=optional,
                variadic=f.metadata["variadic"],
            )
        )
    return tuple(specs)


def _kind(hint: Any) -> Kind:
    members = set(typing.get_args(hint)) - {NoneType} if isinstance(hint, UnionType) else {hint}
    if members == {Valid, Same, Causal, Explicit} or hint is Padding:
        return Kind.PADDING
    (member,) = members
    plain = {int: Kind.INTEGER, float: Kind.FLOAT, bool: Kind.BOOLEAN, str: Kind.WORD}
    if member in plain:
        return plain[member]
    if member == Extents:
        return Kind.EXTENTS
    raise TypeError(f"an argument cannot have the type {hint}")
