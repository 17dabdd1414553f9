"""Expressions of a program: chains, lists and sums, with parentheses where they are needed."""

from __future__ import annotations

from dataclasses import dataclass

MAX_DEPTH = 12
"""Expressions that nest deeper get names for their parts; the language ends at 100."""

MAX_LINKS = 60
"""A chain of more layers gets a name, and the next begins there."""

MAX_LINKS_IN_LINE = 6
"""A longer chain of the network is written in lines, by stages."""

MAX_LINKS_WITHIN = 3
"""So long a chain may stand among the operands of a layer or sum without a name."""

# How tightly a text binds, loosest first.
CHAIN, SUM, PRODUCT, SIGN, POWER, ATOM = range(6)


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of an expression. `depth` counts the brackets within each other.

    `is_block` marks a layer that is a block, alone or repeated.
    """

    text: str
    tightness: int = ATOM
    depth: int = 0
    is_block: bool = False

    def at(self, tightness: int) -> str:
        """Return the text for a place that needs it to bind at least so tightly."""
        return self.text if self.tightness >= tightness else f"({self.text})"


@dataclass(frozen=True, slots=True)
class Expression:
    """A value's expression: a chain of links behind its head, which is a value or a text.

    A `joined` head is a list that the next layer gets concatenated.
    """

    head: int | Text
    links: tuple[Text, ...] = ()
    joined: bool = False

    @property
    def depth(self) -> int:
        inner = max((link.depth for link in self.links), default=0)
        return inner if isinstance(self.head, int) else max(inner, self.head.depth)

    def then(self, *links: Text) -> Expression:
        return Expression(self.head, self.links + links, self.joined)

    @property
    def is_open_list(self) -> bool:
        """Whether it is a list whose items are not concatenated yet."""
        return self.joined and not self.links


def chained(links: tuple[Text, ...]) -> Text:
    """Return layers one after another as one layer."""
    if len(links) == 1:
        return links[0]
    depth = max(link.depth for link in links)
    return Text(" -> ".join(link.at(SUM) for link in links), CHAIN, depth)


def operation(symbol: str, left: Text, right: Text) -> Text:
    """Return left + right, left - right or left * right."""
    tightness = PRODUCT if symbol == "*" else SUM
    text = f"{left.at(tightness)} {symbol} {right.at(tightness + 1)}"
    return Text(text, tightness, max(left.depth, right.depth) + 1)


def listed(items: list[Text]) -> Text:
    depth = max(item.depth for item in items) + 1
    return Text(f"[{', '.join(item.text for item in items)}]", ATOM, depth)


def tupled(items: list[Text]) -> Text:
    depth = max(item.depth for item in items) + 1
    return Text(f"({', '.join(item.text for item in items)})", ATOM, depth)
