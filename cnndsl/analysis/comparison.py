"""What differs between two networks, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, fields
from difflib import SequenceMatcher
from typing import Any

from cnndsl.analysis.cost import LayerCost, summarize
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.base import Op


@dataclass(frozen=True, slots=True)
class Difference:
    """What a layer has otherwise: an argument of its op, its shape, its params or MACs."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.what} {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A layer that is only in one network (the other side is None), or has differences."""

    before: LayerCost | None
    after: LayerCost | None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """The changes from one network to another, in order, and how many layers are the same."""

    changes: tuple[LayerChange, ...]
    same: int


@dataclass(frozen=True, slots=True)
class _Layer:
    node: Node
    cost: LayerCost

    @property
    def blocks(self) -> tuple[str, ...]:
        return tuple(block for block, _ in self.node.path)


_KEYS: tuple[Callable[[_Layer], Hashable], ...] = (
    lambda x: (x.blocks, x.node.op, x.cost.output_shape),
    lambda x: (x.blocks, x.node.op),
    lambda x: (x.blocks, type(x.node.op)),
    lambda x: type(x.node.op),
)
"""What two layers must share to be matched; what one leaves unmatched goes to the next.

Labels are not among them: their numbers shift where a layer is put in.
"""


def compare(before: Graph, after: Graph) -> Comparison:
    """Match the layers of two networks in order, and say what changed."""
    changes: list[LayerChange] = []
    same = 0
    for old, new in _match(_layers(before), _layers(after)):
        if old is None or new is None:
            before_cost = None if old is None else old.cost
            after_cost = None if new is None else new.cost
            changes.append(LayerChange(before_cost, after_cost))
            continue
        found = tuple(_differences(old, new))
        if found:
            changes.append(LayerChange(old.cost, new.cost, found))
        else:
            same += 1
    return Comparison(tuple(changes), same)


def _layers(graph: Graph) -> list[_Layer]:
    costs = summarize(graph).layers
    return [_Layer(node, cost) for node, cost in zip(graph.nodes, costs, strict=True)]


def _match(
    old: Sequence[_Layer], new: Sequence[_Layer], level: int = 0
) -> Iterator[tuple[_Layer | None, _Layer | None]]:
    """Yield pairs in order; None stands where a layer has no partner."""
    if level == len(_KEYS) or not old or not new:
        yield from ((x, None) for x in old)
        yield from ((None, x) for x in new)
        return
    key = _KEYS[level]
    matcher = SequenceMatcher(None, [key(x) for x in old], [key(x) for x in new], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            yield from zip(old[a:b], new[c:d], strict=True)
        else:
            yield from _match(old[a:b], new[c:d], level + 1)


def _differences(old: _Layer, new: _Layer) -> Iterator[Difference]:
    before, after = old.node.op, new.node.op
    for name, was, is_ in _arguments(before, after):
        yield Difference(name, was, is_)
    for what, was, is_ in (
        ("shape", _shape(old.cost), _shape(new.cost)),
        ("params", _count(old.cost.params), _count(new.cost.params)),
        ("MACs", _count(old.cost.macs), _count(new.cost.macs)),
    ):
        if was != is_:
            yield Difference(what, was, is_)


def _arguments(before: Op, after: Op) -> Iterator[tuple[str, str, str]]:
    for f in fields(before):
        was, is_ = getattr(before, f.name), getattr(after, f.name)
        if was != is_:
            yield f.name, _shown(was), _shown(is_)


def _shown(value: Any) -> str:
    """Write an argument as a program does: one number where all axes have the same."""
    if isinstance(value, tuple) and value:
        return str(value[0]) if len(set(value)) == 1 else "x".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shape(cost: LayerCost) -> str:
    return f"[{', '.join(map(str, cost.output_shape))}]"


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
