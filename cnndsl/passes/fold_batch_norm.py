"""Absorb batch norms into the layers before them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

from cnndsl.ir.graph import Graph, Node, Value
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.folding import FoldedBias, FoldedWeight
from cnndsl.ops.norm import BatchNorm
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.passes.base import Effect, Match, Pass, Refusal, sole_reader_refusal
from cnndsl.types.tensor import TensorType

Foldable: TypeAlias = Conv | DepthwiseConv | ConvTranspose | Dense


@dataclass(frozen=True)
class FoldBatchNorm(Pass):
    """y = bn(f(x; w, b))  ==>  y = f(x; w', b'),  w' = w*s, b' = (b-m)*s + beta, s = g/sqrt(v+eps)

    The new tensors are nodes that read parameters alone, so weights shared with another layer
    stay what they are there.
    """

    effect: ClassVar[Effect] = Effect.ROUNDS

    def match(self, graph: Graph, node: Node) -> Match | Refusal | None:
        norm = node.op
        if not isinstance(norm, BatchNorm):
            return None
        (operand,) = node.inputs
        producer = graph.producers.get(operand)
        if producer is None:
            return Refusal(f"{operand} is an input of the network, not the result of a layer", node)
        op = producer.op
        if not isinstance(op, Foldable):
            return Refusal(f"{operand} comes from {type(op).__name__}, which absorbs no norm", node)
        refusal = sole_reader_refusal(graph, operand, node)
        if refusal is not None:
            return refusal
        weight, bias = _tensors(graph, producer, op, node, norm)
        folded = replace(
            producer,
            op=replace(op, bias=True),
            params=(weight.output.name, bias.output.name),
            output=node.output,
        )
        return Match(
            node=node,
            message=f"{node.label} is absorbed by {producer.label}",
            replaced={operand: (), node.output.name: (weight, bias, folded)},
        )


def _tensors(
    graph: Graph, producer: Node, op: Foldable, node: Node, norm: BatchNorm
) -> tuple[Node, Node]:
    """Return the nodes that compute the folded weight and bias when the weights are loaded."""
    gamma, beta, mean, variance = node.params
    weight, *bias = producer.params
    if isinstance(op, ConvTranspose):
        scaled = FoldedWeight(axis=1, groups=op.groups, epsilon=norm.epsilon)
    else:
        scaled = FoldedWeight(epsilon=norm.epsilon)
    shifted = FoldedBias(epsilon=norm.epsilon, has_bias=bool(bias))

    def load_time(op: FoldedWeight | FoldedBias, operands: tuple[str, ...], role: str) -> Node:
        name = _fresh(graph, f"{node.output.name}.folded_{role}")
        shape = op.infer([graph.types[o] for o in operands]).shape
        value = Value(name, TensorType(graph.types[weight].dtype, shape))
        return Node(op, operands, (), value, name, node.span, node.path)

    return (
        load_time(scaled, (weight, gamma, variance), "weight"),
        load_time(shifted, (*bias, gamma, beta, mean, variance), "bias"),
    )


def _fresh(graph: Graph, name: str) -> str:
    number, candidate = 1, name
    while candidate in graph.types:
        number += 1
        candidate = f"{name}_{number}"
    return candidate
