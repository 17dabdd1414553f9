"""One body for several runs of layers: what differs between them becomes a parameter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cnndsl.importers.writing.arguments import specs
from cnndsl.importers.writing.model import (
    Argument,
    Auto,
    BlockUse,
    Formula,
    Layer,
    Literal,
    OpUse,
    Parameter,
    Repeat,
    slots,
    with_slots,
)

RANK = "rank"
"""The role of the channels of a layer that narrows."""

TIMES = "times"
"""The role of a parameter that counts repetitions."""

_ALIKE = {"out_features": "out_channels", "features": "out_channels", "groups": "out_channels"}
_ALIKE |= {"dilation": "padding"}
"""Roles whose values may be one parameter; others share one with their own kind only."""

_WITHOUT_DEFAULT = {"out_channels", "out_features", "features", "entries", "shape", RANK, TIMES}
_LARGEST_FACTOR = 64

Column = tuple[Argument, ...]
"""What one argument is in each of the runs."""


@dataclass(frozen=True, slots=True)
class General:
    """Layers with formulas of parameters, the parameters, and their values for each run."""

    layers: tuple[Layer, ...]
    parameters: tuple[Parameter, ...]
    arguments: tuple[tuple[Argument, ...], ...]


def generalize(
    runs: Sequence[Sequence[Layer]],
    blocks: Sequence[Sequence[Parameter]],
    channels: Sequence[Sequence[int | None]],
) -> General:
    """Return what runs of layers of equal kinds have in common.

    `blocks` are the parameters of the blocks so far; `channels` the numbers of channels of each
    run's inputs, as far as they are known.
    """
    roles = [role for layer in runs[0] for role in _roles(layer, blocks)]
    columns = [
        _decided(column)
        for column in zip(
            *([a for layer in run for a in slots(layer)] for run in runs), strict=True
        )
    ]
    varying: dict[tuple[str, Column], list[int]] = {}
    for place, (role, column) in enumerate(zip(roles, columns, strict=True)):
        if not is_constant(column):
            varying.setdefault((_ALIKE.get(role, role), column), []).append(place)
    formulas = _derive(list(varying), list(zip(*channels, strict=True)))
    free = [key for key in varying if key not in formulas]
    made = [_parameter(roles[varying[key][0]], key[1]) for key in free]
    # Parameters without a default come first: they are given by place. Ranks end them.
    order = sorted(
        range(len(free)), key=lambda i: (made[i].default is not None, made[i].role == RANK)
    )
    index = {free[i]: place for place, i in enumerate(order)}
    general: list[Argument] = [column[0] for column in columns]
    for key, places in varying.items():
        if key in index:
            formula = Formula(index[key])
        else:
            base, found = formulas[key]
            formula = found if base is None else replace(found, index=index[base])
        for place in places:
            general[place] = formula
    return General(
        tuple(_filled(runs[0], general)),
        tuple(made[i] for i in order),
        tuple(tuple(free[i][1][run] for i in order) for run in range(len(runs))),
    )


def _roles(layer: Layer, blocks: Sequence[Sequence[Parameter]]) -> Iterator[str]:
    """Yield what each argument of a layer is for."""
    match layer:
        case OpUse(keyword=keyword, narrows=narrows):
            for spec in specs(keyword):
                yield RANK if narrows and spec.name == "out_channels" else spec.name
        case BlockUse(block=block):
            yield from (parameter.role for parameter in blocks[block])
        case Repeat(base=base):
            for inner in base:
                yield from _roles(inner, blocks)
            yield TIMES


def _decided(column: Column) -> Column:
    """Return a column in which what is automatic is spelt out, unless all of it is."""
    if all(isinstance(a, Auto) for a in column):
        return column
    return tuple(a.decided if isinstance(a, Auto) else a for a in column)


def is_constant(column: Column) -> bool:
    """Tell whether an argument is the same number or word everywhere.

    A formula speaks of the parameters of the body that it stands in, so it is handed on.
    """
    return not isinstance(column[0], Formula) and all(a == column[0] for a in column)


def _parameter(role: str, column: Column) -> Parameter:
    usual, count = Counter(column).most_common(1)[0]
    has_default = (
        role not in _WITHOUT_DEFAULT and isinstance(usual, Literal) and 2 * count > len(column)
    )
    return Parameter(role, usual if has_default and isinstance(usual, Literal) else None)


Key = tuple[str, Column]


def _derive(
    keys: Sequence[Key], channels: Sequence[Sequence[int | None]]
) -> dict[Key, tuple[Key | None, Formula]]:
    """Return what follows from another column (a key), or from an input's channels (None)."""
    found: dict[Key, tuple[Key | None, Formula]] = {}
    bases: list[Key] = []
    for key in sorted(keys, key=_size):
        role, column = key
        formula = None
        if role == "out_channels":
            for base in bases:
                if base[0] == role and (formula := _multiple(column, base[1])):
                    found[key] = base, formula
                    break
            if not formula and bases and (formula := _of_channels(column, channels)):
                found[key] = None, formula
        elif role == "padding":
            for base in keys:
                if base[0] == "kernel" and base not in found and _halves(column, base[1]):
                    formula = Formula(0, 1, 2)
                    found[key] = base, formula
                    break
        if not formula and role == "out_channels":
            bases.append(key)
    return found


def _size(key: Key) -> tuple[int, int]:
    numbers = [a.number for a in key[1] if isinstance(a, Literal)]
    factors = [a.factor for a in key[1] if isinstance(a, Formula)]
    return sum(n for n in numbers if n is not None), sum(factors)


def _multiple(column: Column, base: Column) -> Formula | None:
    """Return column = factor * base, if one factor fits every run."""
    factors = {_ratio(a, b) for a, b in zip(column, base, strict=True)}
    factor = factors.pop()
    if factors or factor is None or not 1 < factor <= _LARGEST_FACTOR:
        return None
    return Formula(0, factor)


def _ratio(a: Argument, b: Argument) -> int | None:
    if isinstance(a, Literal) and isinstance(b, Literal):
        m, n = a.number, b.number
        return m // n if m and n and m % n == 0 else None
    if isinstance(a, Formula) and isinstance(b, Formula):
        same = (a.index, a.divisor, a.channels) == (b.index, b.divisor, b.channels)
        # With a divisor, rounding comes in between.
        return (
            a.factor // b.factor if same and a.divisor == 1 and a.factor % b.factor == 0 else None
        )
    return None


def _of_channels(column: Column, channels: Sequence[Sequence[int | None]]) -> Formula | None:
    """Return column = factor * channels of an input, if one factor fits every run."""
    for place, known in enumerate(channels):
        if all(n is not None for n in known):
            base = tuple(Literal.of(n) for n in known)
            if column == base:
                return Formula(place, channels=True)
            formula = _multiple(column, base)
            if formula:
                return replace(formula, index=place, channels=True)
    return None


def _halves(column: Column, base: Column) -> bool:
    """Tell whether padding is half of the kernel in every run."""
    pairs = [
        (a.number, b.number)
        for a, b in zip(column, base, strict=True)
        if isinstance(a, Literal) and isinstance(b, Literal)
    ]
    return len(pairs) == len(column) and all(
        m is not None and n is not None and m == n // 2 for m, n in pairs
    )


def _filled(layers: Sequence[Layer], arguments: Sequence[Argument]) -> Iterator[Layer]:
    start = 0
    for layer in layers:
        count = len(slots(layer))
        yield with_slots(layer, tuple(arguments[start : start + count]))
        start += count
