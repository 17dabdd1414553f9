"""The text of arguments' values."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.importers.writing.model import Argument, Auto, Formula, Literal, Word

_GROUPED_FROM = 10_000


def number(value: int | float) -> str:
    """Return a number as a program writes it: 12, 10_000, 0.5, 1e-5, -1."""
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= _GROUPED_FROM else str(value)
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa
    return f"{mantissa}e{int(exponent)}"


def value_text(value: object) -> str:
    """Return the text of a literal's value."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return number(value)
        case Word(text=text):
            return text
        case str():
            return f'"{value}"'
        case tuple() if len(value) == 1:
            return value_text(value[0])
        case tuple():
            return f"({', '.join(map(value_text, value))})"
    raise TypeError(f"a program cannot write {value!r}")


def size(extents: Sequence[object]) -> str:
    """Return the extents of a kernel: 3x3."""
    return "x".join(str(e) for e in extents)


def argument_text(argument: Argument, names: Sequence[str], inputs: Sequence[str]) -> str:
    """Return the text of an argument; `names` and `inputs` are the block's."""
    match argument:
        case Literal(value=tuple() as extents) if is_size(extents):
            return size(extents)
        case Literal(value=value):
            return value_text(value)
        case Formula(index=index, factor=factor, divisor=divisor, channels=channels):
            text = f"{inputs[index]}.channels" if channels else names[index]
            if factor != 1:
                text = f"{factor} * {text}"
            return text if divisor == 1 else f"{text} // {divisor}"
        case Auto(decided=decided):
            return argument_text(decided, names, inputs)


def is_size(extents: tuple[object, ...]) -> bool:
    """Tell whether numbers can be written as one word, 1x7."""
    return len(extents) > 1 and all(isinstance(e, int) and e > 0 for e in extents)
