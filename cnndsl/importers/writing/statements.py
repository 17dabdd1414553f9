"""Write a body as statements: values read once are written where they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

from cnndsl.importers.writing.expressions import (
    ATOM,
    CHAIN,
    MAX_DEPTH,
    MAX_LINKS,
    MAX_LINKS_IN_LINE,
    MAX_LINKS_WITHIN,
    SIGN,
    SUM,
    Expression,
    Text,
    chained,
    listed,
    operation,
    tupled,
)
from cnndsl.importers.writing.layers import Scope, layer_text
from cnndsl.importers.writing.model import Body, Item, Layer, Literal, OpUse, Scale
from cnndsl.importers.writing.numerals import number

_SYMBOLS = {"add": "+", "sub": "-", "mul": "*"}

CONCAT = "concat"


class Writer:
    """Writes one body, once.

    `names` are those of the values that have one. Values that turn out to need another are called
    by numbers, until a second writer knows better: `needed` lists them, in the order in which they
    are made, and `parts` says which of them are parts of what (`main` and `skip` of a sum).
    `pinned` values are named in any case.
    """

    def __init__(
        self, body: Body, scope: Scope, names: Mapping[int, str], pinned: Iterable[int]
    ) -> None:
        self.body = body
        self.scope = scope
        self.parts: dict[int, str] = {}
        self._names = names
        self._expressions: dict[int, Expression] = {}
        self._several: dict[tuple[int, ...], Expression] = {}
        self._uses = Counter(v for item in body.items for v in item.operands)
        self._uses.update(body.results)
        self._pinned = set(pinned)
        self._definitions: list[tuple[tuple[int, ...], Expression]] = []
        for item in body.items:
            self._item(item)
        whole = self._take_all(body.results) if len(body.results) > 1 else None
        self._results = [whole] if whole else [self._take(v) for v in body.results]
        self._definitions = [d for d in self._definitions if self._is_open(d[0])]

    @property
    def needed(self) -> list[int]:
        """Return the values that statements define, in order."""
        return [v for values, _ in self._definitions for v in values]

    def is_read(self, value: int) -> bool:
        return self._uses[value] > 0

    def definitions(self, in_lines: bool) -> list[tuple[tuple[str, ...], str]]:
        """Return what statements must define: names, and the expression of their value.

        Long chains are broken where they come to a block or leave one, if `in_lines`.
        """
        return [
            (tuple(self._name(v) for v in values), self._rendered(expression, in_lines).text)
            for values, expression in self._definitions
        ]

    def results(self) -> list[str]:
        """Return the expressions of the body's results."""
        return [self._rendered(expression).text for expression in self._results]

    def chain(self) -> Text | None:
        """Return the body as a layer, if it is one: of one input, read once, and one result."""
        if len(self.body.inputs) != 1 or len(self.body.results) != 1 or self._definitions:
            return None
        (result,) = self._results
        if result.head != self.body.inputs[0] or not result.links:
            return None
        return chained(result.links) if self._uses[self.body.inputs[0]] == 1 else None

    # ------------------------------------------------------------------ items

    def _item(self, item: Item) -> None:
        expression = self._applied(item)
        if len(item.results) == 1:
            (value,) = item.results
            too_long = expression.depth > MAX_DEPTH or len(expression.links) > MAX_LINKS
            if too_long or not self._uses[value]:
                self._pinned.add(value)
            self._expressions[value] = expression
        else:
            self._several[item.results] = expression
        self._definitions.append((item.results, expression))

    def _applied(self, item: Item) -> Expression:
        layer = item.layer
        before = None if isinstance(layer, OpUse) else self._take_all(item.operands)
        if before:
            return before.then(layer_text(layer, self.scope))
        taken = [self._take(v) for v in item.operands]
        if is_concat(layer):
            if len(taken) == 1:
                return self._linked(taken[0], Text(CONCAT))
            found = self._spread(taken, listed)
            if found:
                return found
            for place, (v, e) in enumerate(zip(item.operands, taken, strict=True)):
                if e.depth and not isinstance(e.head, int):
                    taken[place] = self._named(v, e)
            return Expression(listed([self._rendered(e) for e in taken]), joined=True)
        if isinstance(layer, OpUse) and layer.keyword in _SYMBOLS:
            symbol = _SYMBOLS[layer.keyword]

            def combined(parts: list[Text]) -> Text:
                return operation(symbol, parts[0], parts[1])

            if any(len(e.links) > MAX_LINKS_WITHIN for e in taken):
                taken = self._summands(item.operands, taken)
            found = self._spread(taken, combined)
            return found or Expression(combined([self._rendered(e) for e in taken]))
        if isinstance(layer, Scale):
            return Expression(self._scaled(layer, self._rendered(taken[0])))
        link = layer_text(layer, self.scope)
        if len(taken) == 1:
            return self._linked(taken[0], link, keeps_list=link.text.startswith(CONCAT))
        taken = [self._simple(v, e) for v, e in zip(item.operands, taken, strict=True)]
        return Expression(tupled([self._rendered(e) for e in taken]), (link,))

    def _linked(self, before: Expression, link: Text, keeps_list: bool = True) -> Expression:
        """Return a layer behind an expression; a list must be one tensor for a concatenation."""
        if keeps_list and before.is_open_list:
            before = before.then(Text(CONCAT))
        return before.then(link)

    def _spread(
        self, taken: list[Expression], combined: Callable[[list[Text]], Text]
    ) -> Expression | None:
        """Return x -> [f, g] or x -> (f + g) where all operands are chains behind one value x."""
        head = taken[0].head
        if not isinstance(head, int) or any(e.head != head or not e.links for e in taken):
            return None
        if len(taken) < 2:
            return None
        link = combined([chained(e.links) for e in taken])
        # One arrow reads the value now.
        self._uses[head] -= len(taken) - 1
        return self._take(head).then(link)

    def _scaled(self, layer: Scale, x: Text) -> Text:
        if layer.shift == 0:
            if layer.scale == -1:
                return Text(f"-{x.at(SIGN)}", SIGN, x.depth + 1)
            return operation("*", x, _number(layer.scale))
        if layer.scale == 1:
            return operation("+", x, _number(layer.shift))
        assert layer.scale == -1
        return operation("-", _number(layer.shift), x)

    # ------------------------------------------------------------------ values

    def _take(self, value: int) -> Expression:
        """Return a value where it is read: its expression if nothing else reads it, or its name."""
        if value in self._pinned or self._uses[value] != 1 or value not in self._expressions:
            return Expression(value)
        return self._expressions.pop(value)

    def _take_all(self, values: tuple[int, ...]) -> Expression | None:
        """Return the expression of several values, if they are just what a layer makes."""
        if any(v in self._pinned or self._uses[v] != 1 for v in values):
            return None
        found = self._several.get(values)
        return None if found is None or len(found.links) > MAX_LINKS else self._several.pop(values)

    def _is_open(self, values: tuple[int, ...]) -> bool:
        """Tell whether values that were made are not yet part of another expression."""
        if len(values) > 1:
            return values in self._several
        return values[0] in self._expressions

    def _simple(self, value: int, expression: Expression) -> Expression:
        """Return an expression for a place where a long one would hide what is around it."""
        if expression.depth < 1 and len(expression.links) <= MAX_LINKS_WITHIN:
            return expression
        return self._named(value, expression)

    def _summands(self, values: tuple[int, ...], taken: list[Expression]) -> list[Expression]:
        """Return operands of a sum or product, of which one is long, by name."""
        longest = max(range(len(taken)), key=lambda i: len(taken[i].links))
        for place, (v, e) in enumerate(zip(values, taken, strict=True)):
            if e.links:
                self.parts[v] = "main" if place == longest else "skip"
                taken[place] = self._named(v, e)
        return taken

    def _named(self, value: int, expression: Expression) -> Expression:
        """Put an expression that was taken back: its value gets a name."""
        self._pinned.add(value)
        self._expressions[value] = expression
        return Expression(value)

    def _rendered(self, expression: Expression, in_lines: bool = False) -> Text:
        if expression.is_open_list:
            expression = expression.then(Text(CONCAT))
        head = expression.head
        text = Text(self._name(head)) if isinstance(head, int) else head
        if not expression.links:
            return text
        links = [text, *expression.links]
        written = [text.at(SUM)]
        for before, link in pairwise(links):
            breaks = in_lines and len(links) > MAX_LINKS_IN_LINE
            turns = breaks and before is not text and link.is_block and not before.is_block
            written.append(("\n" if turns else " ") + f"-> {link.at(SUM)}")
        return Text("".join(written), CHAIN, max(t.depth for t in links))

    def _name(self, value: int) -> str:
        return self._names.get(value, f"value_{value}")


def _number(value: float) -> Text:
    return Text(number(value), SIGN if value < 0 else ATOM)


def is_concat(layer: Layer) -> bool:
    """Tell whether a layer joins channels, which a list does without a word."""
    return (
        isinstance(layer, OpUse) and layer.keyword == CONCAT and layer.arguments == (Literal.of(1),)
    )
