"""Names of extents in a model, as symbols and formulas of the language."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from cnndsl.elaborate.arithmetic import is_formula_too_large
from cnndsl.importers.names import identifier
from cnndsl.types.extents import Dim, Extent, substitute

_AXES = {2: ("N", "C"), 3: ("N", "C", "L"), 4: ("N", "C", "H", "W"), 5: ("N", "C", "D", "H", "W")}
"""What open extents are called that have no name, by rank; the batch is N in any rank."""

_LONGEST = 200


class Symbols:
    """Gives each name of an extent one symbol, and each nameless extent one of its own.

    Symbols that have one of `sizes` are replaced by it.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._sizes = sizes
        self._named: dict[str, str] = {}
        self._taken: set[str] = set()

    @property
    def taken(self) -> frozenset[str]:
        """The symbols given out, those that have a size among them."""
        return frozenset(self._taken)

    def shape(self, declared: Sequence[int | str | None]) -> tuple[Extent, ...]:
        """Return a declared shape in numbers, symbols and formulas."""
        words = _AXES.get(len(declared), ("N",) + ("E",) * len(declared))
        found = (
            e if isinstance(e, int) else self._extent(e, words[i]) for i, e in enumerate(declared)
        )
        return tuple(substitute(e, self._sizes) for e in found)

    def _extent(self, name: str | None, word: str) -> Extent:
        if name is None:
            # Batches of several inputs are the same one, as good as always.
            return Dim.symbol(self._symbol("", word) if word == "N" else self._fresh(word))
        if len(name) <= _LONGEST and not name.isidentifier():
            formula = self._formula(name)
            if formula is not None:
                return formula
        return Dim.symbol(self._symbol(name, word))

    def _symbol(self, name: str, word: str) -> str:
        if name not in self._named:
            self._named[name] = self._fresh(identifier(name, word))
        return self._named[name]

    def _fresh(self, word: str) -> str:
        number, found = 1, word
        while found in self._taken:
            number += 1
            found = f"{word}_{number}"
        self._taken.add(found)
        return found

    def _formula(self, text: str) -> Extent | None:
        """Return what a name like `16*h` says, as cnndsl writes extents; None for other names."""
        try:
            tree = ast.parse(text.strip(), mode="eval").body
            found = self._evaluated(tree)
        except (SyntaxError, ValueError, RecursionError, MemoryError, ZeroDivisionError):
            return None
        return found if isinstance(found, Dim) and not is_formula_too_large(found) else None

    def _evaluated(self, tree: ast.expr) -> Extent:
        match tree:
            case ast.Constant(value=int() as number) if not isinstance(number, bool):
                return number
            case ast.Name(id=name):
                return Dim.symbol(self._symbol(name, name))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._evaluated(operand)
            case ast.BinOp(left=left, op=op, right=right):
                a, b = self._evaluated(left), self._evaluated(right)
                match op:
                    case ast.Add():
                        return a + b
                    case ast.Sub():
                        return a - b
                    case ast.Mult():
                        return a * b
                    case ast.FloorDiv() if isinstance(b, int) and b > 0:
                        return a // b
        raise ValueError("not a formula of extents")
