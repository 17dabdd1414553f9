"""Changes that would meet a claim that failed; each is tried on the network before it is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, prod
from typing import Any

from cnndsl.analysis.axis_field import AxisField, through
from cnndsl.analysis.changes import changed_fields, with_dilation
from cnndsl.analysis.coverage import TooLargeError, coverage
from cnndsl.analysis.dilation_schedule import WindowLayer
from cnndsl.analysis.receptive_field import ReceptiveFields
from cnndsl.elaborate.network_facts import NetworkFacts
from cnndsl.ir.graph import Node
from cnndsl.ops.base import Op
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.reach import Window
from cnndsl.types.extents import Extent
from cnndsl.types.padding import Explicit, Padding, Same

_TRIES = 4
"""Layers in which a stride is tried."""

# ----------------------------------------------------------------- smaller cost


def separations(facts: NetworkFacts, fact: str, value: str | None) -> Iterator[tuple[int, str]]:
    """Yield what is saved by making a convolution separable, and how that is written."""
    sizes = {**dict(facts.graph.usual_sizes), **dict.fromkeys(facts.graph.batch_symbols, 1)}
    sharing: dict[tuple[str, ...], list[Node]] = {}
    for node in facts.graph.nodes if value is None else facts.ancestors(value):
        if isinstance(node.op, Conv) and node.op.groups == 1 and prod(node.op.kernel) > 1:
            sharing.setdefault(node.params, []).append(node)
    for nodes in sharing.values():
        op = nodes[0].op
        assert isinstance(op, Conv)
        deep = DepthwiseConv(
            kernel=op.kernel,
            stride=op.stride,
            padding=op.padding,
            dilation=op.dilation,
            bias=False,
        )
        ones = (1,) * len(op.kernel)
        point = Conv(
            out_channels=op.out_channels, kernel=ones, stride=ones, dilation=ones, bias=op.bias
        )
        saved = 0
        # Layers that share weights change together; their numbers count once.
        for place, node in enumerate(nodes):
            types = [t.substitute(sizes) for t in facts.graph.operand_types(node)]
            between = [deep.infer(types)]
            saved += number(getattr(facts.costs[node.label], fact))
            if fact == "macs":
                saved -= number(deep.macs(types)) + number(point.macs(between))
            elif place == 0:
                specs = (*deep.parameters(types), *point.parameters(between))
                numbers = sum(prod(s.shape) for s in specs)
                saved -= numbers if fact == "params" else 4 * numbers
        others = f" (and what shares its weights, {len(nodes)} in all)" if len(nodes) > 1 else ""
        yield (
            saved,
            f"making {nodes[0].label}{others} separable, `{_written(deep)} -> {_written(point)}`",
        )


def _written(op: Conv | DepthwiseConv) -> str:
    """Return a convolution as a program writes it."""
    arguments = [str(op.out_channels)] if isinstance(op, Conv) else []
    arguments += [
        f"{name}={_extents(extents)}"
        for name, extents in (("stride", op.stride), ("dilation", op.dilation))
        if set(extents) != {1}
    ]
    if op.padding != Same():
        arguments.append(f"padding={_padding(op.padding)}")
    if op.bias is False:
        arguments.append("bias=false")
    return f"{op.keyword}{'x'.join(map(str, op.kernel))}({', '.join(arguments)})"


def _extents(extents: Sequence[int]) -> str:
    return str(extents[0]) if len(set(extents)) == 1 else f"({', '.join(map(str, extents))})"


def written_dilation(op: Any) -> str:
    """Return the dilation of a layer, and the padding that goes with it, as a program writes it."""
    text = f"dilation={_extents(op.dilation)}"
    return f"{text}, padding={_padding(op.padding)}" if isinstance(op.padding, Explicit) else text


def _padding(padding: Padding) -> str:
    if isinstance(padding, Explicit) and all(low == high for low, high in padding.pairs):
        return _extents([low for low, _ in padding.pairs])
    return str(padding)


def number(extent: Extent) -> int:
    return extent if isinstance(extent, int) else 0


# ------------------------------------------------------------------- wider sight


def added(window: WindowLayer) -> Fraction:
    """Return the input positions that a window adds to the field."""
    return (window.kernel - 1) * window.dilation * window.jump


@dataclass(frozen=True, slots=True)
class Wider:
    """Looks for changes that widen a field enough, each tried on the network itself.

    `missing` is what the field lacks, per axis. Each change is (how much is changed, the text).
    """

    facts: NetworkFacts
    fields: ReceptiveFields
    value: str
    hull: tuple[AxisField, ...]
    missing: list[int]
    enough: Callable[[Sequence[AxisField]], bool]

    def deeper(self) -> tuple[int, str] | None:
        """Propose more convolutions behind the value."""
        type_ = self.fields.sizes.types[self.value]
        if not type_.dtype.is_float or len(type_.spatial) != len(self.hull):
            return None
        if any(n > 0 and not axis.jump for n, axis in self._lacking()):
            return None
        more = max(ceil(n / (2 * axis.jump)) for n, axis in self._lacking() if axis.jump)
        # So many windows of 3 on top of each other are one of 2 more + 1.
        window = Window(kernel=2 * more + 1, before=more)
        reached = tuple(through(axis, window, 0) for axis in self.hull)
        if not self.enough(reached):
            return None
        layers = f"{'one' if more == 1 else more} more conv{'x'.join('3' * len(reached))}"
        return more, f"{layers} behind it would give {_sizes(reached)}"

    def dilated(self, chain: Sequence[WindowLayer]) -> tuple[int, str] | None:
        """Propose a larger dilation in the last convolution."""
        nodes = {n.label: n for n in self.facts.graph.nodes}
        convolutions = (nodes[w.label] for w in reversed(chain))
        node = next((n for n in convolutions if isinstance(n.op, (Conv, DepthwiseConv))), None)
        before = None if node is None else self.fields.of(node.inputs[0])
        if node is None or before is None:
            return None
        assert isinstance(node.op, (Conv, DepthwiseConv))
        dilation = list(node.op.dilation)
        for axis, (n, operand) in enumerate(zip(self.missing, before.hull, strict=True)):
            step = (node.op.kernel[axis] - 1) * operand.jump
            if n > 0 and step:
                dilation[axis] += ceil(n / step)
        op = with_dilation(node.op, dilation)
        if op is None:
            return None
        assert isinstance(op, (Conv, DepthwiseConv))
        reached = self._tried({node.label: op})
        if reached is None:
            return None
        more = max(new - old for new, old in zip(op.dilation, node.op.dilation, strict=True))
        return more + 1, f"{written_dilation(op)} in {node.label} would give {reached}"

    def strided(self, chain: Sequence[WindowLayer], axis: int) -> tuple[int, str] | None:
        """Propose a stride in the last layer where one is enough."""
        nodes = {n.label: n for n in self.facts.graph.nodes}
        behind, tries = Fraction(0), 0
        for window in reversed(chain):
            op: Any = nodes[window.label].op
            step = getattr(op, "step", None) or getattr(op, "stride", ())
            # What comes behind a layer counts twice once that layer takes every second position.
            if behind >= self.missing[axis] and step and set(step) == {1}:
                other = replace(op, stride=tuple(2 for _ in step))
                reached = self._tried({window.label: other})
                if reached is not None:
                    return 2, f"stride=2 in {window.label} would give {reached}"
                tries += 1
                if tries == _TRIES:
                    break
            behind += added(window)
        return None

    def _lacking(self) -> list[tuple[int, AxisField]]:
        return list(zip(self.missing, self.hull, strict=True))

    def _tried(self, ops: Mapping[str, Op]) -> str | None:
        """Return the field with other layers, if it is enough and has no holes that are new."""
        changed = changed_fields(self.facts.graph, self.fields, ops)
        if changed is None:
            return None
        field = changed[1].of(self.value)
        if field is None or not self.enough(field.hull):
            return None
        try:
            before = self.facts.coverage(self.fields.input).covered(self.value)
            if before and not coverage(*changed).covered(self.value):
                return None
        except TooLargeError:
            return None
        return _sizes(field.hull)


def _sizes(axes: Sequence[AxisField]) -> str:
    return "x".join(str(axis.size) for axis in axes)
