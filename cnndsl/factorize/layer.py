"""The facts about one layer that a factorization needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.base import Extents, Op
from cnndsl.ops.checks import known_channels
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types.padding import Padding, Valid, window_padding
from cnndsl.types.tensor import TensorType

Weighted: TypeAlias = Conv | DepthwiseConv | Dense
"""The ops that schemes know."""

Pairs: TypeAlias = tuple[tuple[int, int], ...]
"""(before, after) for each spatial axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A convolution or dense layer in its place: the op, what it reads, and the usual sizes.

    `input` is the operand's type as the graph has it, symbols included; `sizes` are the numbers
    that its costs are shown for: the usual ones, one sample where the batch is a symbol. A dense
    layer is a convolution without spatial axes.
    """

    label: str
    op: Weighted
    input: TensorType
    sizes: tuple[tuple[str, int], ...] = ()

    @property
    def is_dense(self) -> bool:
        return isinstance(self.op, Dense)

    @property
    def rank(self) -> int:
        """How many spatial axes."""
        return len(self.kernel)

    @property
    def in_channels(self) -> int:
        return known_channels(self.op.keyword, self.input)

    @property
    def out_channels(self) -> int:
        return known_channels(self.op.keyword, self.output)

    @property
    def groups(self) -> int:
        match self.op:
            case Conv(groups=groups):
                return groups
            case DepthwiseConv():
                return self.in_channels
            case _:
                return 1

    @property
    def kernel(self) -> Extents:
        return () if isinstance(self.op, Dense) else self.op.kernel

    @property
    def stride(self) -> Extents:
        return () if isinstance(self.op, Dense) else self.op.stride

    @property
    def dilation(self) -> Extents:
        return () if isinstance(self.op, Dense) else self.op.dilation

    @property
    def padding(self) -> Padding:
        return Valid() if isinstance(self.op, Dense) else self.op.padding

    @property
    def pads(self) -> Pairs | None:
        """(before, after) for each spatial axis; None where that depends on a symbol."""
        found = []
        for axis, extent in enumerate(self.input.spatial):
            pair = window_padding(
                self.padding,
                axis,
                extent,
                self.kernel[axis],
                self.stride[axis],
                self.dilation[axis],
            )
            if pair is None:
                return None
            found.append(pair)
        return tuple(found)

    @property
    def bias(self) -> bool:
        return self.op.bias is not False

    @property
    def output(self) -> TensorType:
        return self.op.infer([self.input])

    @property
    def taps(self) -> int:
        """How many elements a kernel has for each pair of channels."""
        return prod(self.kernel)

    @property
    def patch(self) -> int:
        """How many inputs one output position of one group sees."""
        return self.in_channels // self.groups * self.taps

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """[out, in / groups, kernel...]."""
        return self.op.parameters([self.input])[0].shape


def layer_of(graph: Graph, node: Node, sizes: Mapping[str, int] | None = None) -> Layer | None:
    """Return the facts about a node; None for ops that no scheme takes (see `refusal_of_op`).

    Costs are for `sizes`, then the program's usual ones, and one sample.
    """
    if not isinstance(node.op, Weighted):
        return None
    known = {
        **dict(graph.usual_sizes),
        **(sizes or {}),
        **dict.fromkeys(graph.batch_symbols, 1),
    }
    return Layer(
        label=node.label,
        op=node.op,
        input=graph.types[node.inputs[0]],
        sizes=tuple(sorted(known.items())),
    )


def refusal_of_op(op: Op) -> str | None:
    """Return why an op that has kernels is no layer of any scheme; None for all others."""
    if isinstance(op, ConvTranspose):
        return (
            "a transposed convolution: its outputs see different kernel elements from one "
            "position to the next, so that no error of the whole kernel tells what an output loses"
        )
    if isinstance(op, LocallyConnected):
        return "a locally connected layer: it has a kernel of its own at each position"
    return None
