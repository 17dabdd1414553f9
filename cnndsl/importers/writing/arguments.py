"""An op's fields as a program writes them, and what it may leave out."""

from __future__ import annotations

from functools import cache

from cnndsl.importers.writing.model import Argument, Auto, Literal, OpUse, Word
from cnndsl.ops.base import Op
from cnndsl.ops.registry import ArgumentSpec, Kind, arguments, op_by_keyword
from cnndsl.types.padding import Causal, Explicit, Same, Valid


def use_of(op: Op, rank: int, operands: int, automatic_bias: bool | None) -> OpUse:
    """Return an op of the language as a program writes it for operands of `rank` spatial axes.

    `automatic_bias` is what the language decides about a bias that nobody asks for.
    """
    values = tuple(
        _argument(op, spec, automatic_bias if spec.name == "bias" else None)
        for spec in arguments(type(op))
    )
    return OpUse(op.keyword, rank, operands, values)


def _argument(op: Op, spec: ArgumentSpec, automatic: bool | None) -> Argument:
    value = getattr(op, spec.name)
    literal = _literal(spec, value)
    if automatic is not None and value == automatic and spec.optional:
        return Auto(literal)
    # A window that is told no stride does not overlap.
    if spec.name == "stride" and spec.optional and value == getattr(op, "kernel", None):
        return Auto(literal)
    return literal


def _literal(spec: ArgumentSpec, value: object) -> Literal:
    match value:
        case Valid():
            return Literal.of(Word("valid"))
        case Same():
            return Literal.of(Word("same"))
        case Causal():
            return Literal.of(Word("causal"))
        case Explicit(pairs=pairs):
            return Literal.of(_pads(pairs))
        case tuple() if not spec.variadic and len(set(value)) == 1:
            return Literal.of(value[0])
        case bool() | int() | float() | str() | tuple() | None:
            if spec.kind is Kind.FLOAT and isinstance(value, int):
                value = float(value)
            return Literal.of(value)
    raise TypeError(f"an argument cannot be {value!r}")


def _pads(pairs: tuple[tuple[int, int], ...]) -> int | tuple[object, ...]:
    """Return padding in the shortest form that means the same for as many axes."""
    if len({extent for pair in pairs for extent in pair}) == 1:
        return pairs[0][0]
    if len(pairs) == 1:
        return pairs[0]
    if all(low == high for low, high in pairs):
        return tuple(low for low, _ in pairs)
    return pairs


@cache
def specs(keyword: str) -> tuple[ArgumentSpec, ...]:
    """Return the arguments that a word of the language takes, the kernel last."""
    cls = op_by_keyword(keyword)
    assert cls is not None
    return arguments(cls)


@cache
def has_kernel_suffix(keyword: str) -> bool:
    cls = op_by_keyword(keyword)
    return cls is not None and cls.kernel_suffix


@cache
def default(keyword: str, place: int) -> Literal | None:
    """Return what an argument is if it is left out; None if it must be given or is automatic."""
    spec = specs(keyword)[place]
    if spec.required or (spec.default is None and spec.kind in (Kind.BOOLEAN, Kind.EXTENTS)):
        return None
    return _literal(spec, spec.default)
