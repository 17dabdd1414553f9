"""Find the sizes that symbols have from the shapes of actual arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cnndsl.types.extents import Dim, evaluate_extent, linear_form, substitute, symbols_of
from cnndsl.types.tensor import TensorType


class BindingError(ValueError):
    """Shapes do not fit the types; `name` is the tensor that does not."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


def bind_symbols(
    types: Mapping[str, TensorType], shapes: Mapping[str, Sequence[int]]
) -> dict[str, int]:
    """Return the size of every symbol in `types`, given a shape for each of them.

    Extents that are a symbol, or linear in one unknown symbol (`16*h`), decide it; all others are
    checked once their symbols are known. Raises BindingError naming the tensor.
    """
    sizes: dict[str, int] = {}
    pending: list[tuple[str, int, Dim, int]] = []
    for name, type_ in types.items():
        shape = tuple(shapes[name])
        if len(shape) != type_.rank:
            raise BindingError(
                name, f"{name} is {type_}, of {type_.rank} axes, but the given shape is {shape}"
            )
        for axis, (extent, actual) in enumerate(zip(type_.shape, shape, strict=True)):
            if isinstance(extent, Dim):
                pending.append((name, axis, extent, actual))
            elif extent != actual:
                raise BindingError(
                    name,
                    f"axis {axis} of {name} is {extent} in {type_}, but the given shape is {shape}",
                )
    while pending:
        waiting = []
        for name, axis, extent, actual in pending:
            found = _solve(extent, actual, sizes)
            if found is None:
                waiting.append((name, axis, extent, actual))
                continue
            symbol, size = found
            if symbol is None:
                continue
            if size < 1 or evaluate_extent(extent, {**sizes, symbol: size}) != actual:
                raise BindingError(
                    name,
                    f"axis {axis} of {name} is {extent} in {types[name]}, "
                    f"and no whole {symbol} >= 1 makes that {actual}",
                )
            sizes[symbol] = size
        if len(waiting) == len(pending):
            name, axis, extent, _ = waiting[0]
            raise BindingError(
                name,
                f"axis {axis} of {name} is {extent}: the shapes do not determine "
                f"{', '.join(sorted(symbols_of(extent) - sizes.keys()))}",
            )
        pending = waiting
    for name, type_ in types.items():
        for axis, (extent, actual) in enumerate(zip(type_.shape, shapes[name], strict=True)):
            expected = evaluate_extent(extent, sizes)
            if expected != actual:
                known = ", ".join(f"{s} = {sizes[s]}" for s in sorted(symbols_of(extent)))
                raise BindingError(
                    name,
                    f"axis {axis} of {name} is {extent} in {type_}, which is {expected} "
                    f"for {known}, but the given shape is {tuple(shapes[name])}",
                )
    return sizes


def _solve(extent: Dim, actual: int, sizes: Mapping[str, int]) -> tuple[str | None, int] | None:
    """Return (symbol, size); (None, 0) when every symbol is known; None when undetermined yet."""
    rest = substitute(extent, sizes)
    if not symbols_of(rest):
        return None, 0
    form = linear_form(rest)
    if form is None:
        return None
    symbol, slope, constant = form
    return symbol, (actual - constant) // slope
