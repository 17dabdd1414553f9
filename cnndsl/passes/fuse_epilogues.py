"""Fuse activations and residual additions into the kernels that produce their operand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.activation import Dropout, Elementwise, Identity
from cnndsl.ops.base import Op
from cnndsl.ops.conv import Conv, DepthwiseConv
from cnndsl.ops.dense import Dense
from cnndsl.ops.elementwise import Add
from cnndsl.ops.fused import Fused
from cnndsl.ops.local import LocallyConnected
from cnndsl.ops.norm import BatchNorm, LayerNorm
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.passes.base import Effect, Match, Pass, Refusal, sole_reader_refusal

ACCEPTS_RESIDUAL: Mapping[type[Op], bool] = {
    Conv: True,
    DepthwiseConv: True,
    ConvTranspose: True,
    Dense: True,
    LocallyConnected: True,
    Add: False,
    BatchNorm: False,
    LayerNorm: False,
}
"""The ops that take an activation in their kernel, and whether they take a residual too."""


def is_activation(op: Op) -> bool:
    """Return whether an op can be the activation of a fused kernel."""
    return isinstance(op, Elementwise) and not isinstance(op, Identity | Dropout)


@dataclass(frozen=True)
class FuseEpilogues(Pass):
    """y = activation(f(x) + r)  ==>  y = fused(x, r), one kernel that writes its result once.

    The fused node stands where the last of its parts stood, so all it reads is computed by then.
    """

    effect: ClassVar[Effect] = Effect.EXACT

    def match(self, graph: Graph, node: Node) -> Match | Refusal | None:
        if isinstance(node.op, Add):
            return _match_residual(graph, node)
        if is_activation(node.op):
            return _match_activation(graph, node)
        return None


def _match_activation(graph: Graph, node: Node) -> Match | Refusal:
    (operand,) = node.inputs
    producer = _producer(graph, operand, node)
    if isinstance(producer, Refusal):
        return producer
    fused = _as_fused(producer.op)
    if fused.activation is not None:
        word = type(fused.activation).__name__
        return Refusal(f"{operand} already ends in an activation, {word}", node)
    return _fusion(producer, node, replace(fused, activation=node.op), producer.inputs)


def _match_residual(graph: Graph, node: Node) -> Match | Refusal:
    refusals: list[Refusal] = []
    candidates: list[tuple[Node, str]] = []
    for operand, residual in (node.inputs, node.inputs[::-1]):
        producer = _residual_producer(graph, operand, residual, node)
        if isinstance(producer, Refusal):
            refusals.append(producer)
        else:
            candidates.append((producer, residual))
    if not candidates:
        return Refusal("; ".join(dict.fromkeys(r.reason for r in refusals)), node)
    # The later producer: its residual is finished by the time it runs.
    order = {n.output.name: i for i, n in enumerate(graph.nodes)} if len(candidates) > 1 else {}
    producer, residual = max(candidates, key=lambda c: order.get(c[0].output.name, 0))
    fused = replace(_as_fused(producer.op), residual=True)
    return _fusion(producer, node, fused, (*producer.inputs, residual))


def _residual_producer(graph: Graph, operand: str, residual: str, node: Node) -> Node | Refusal:
    producer = _producer(graph, operand, node)
    if isinstance(producer, Refusal):
        return producer
    fused = _as_fused(producer.op)
    word = type(fused.base).__name__
    if not ACCEPTS_RESIDUAL[type(fused.base)]:
        return Refusal(f"{operand} comes from {word}, whose kernel adds no residual", node)
    if fused.residual:
        return Refusal(f"the kernel of {operand} already adds a residual", node)
    if fused.activation is not None:
        return Refusal(f"{operand} ends in an activation, so the addition comes after it", node)
    if graph.types[operand] != graph.types[residual]:
        return Refusal(
            f"{operand} is {graph.types[operand]} and {residual} is {graph.types[residual]}", node
        )
    return producer


def _producer(graph: Graph, operand: str, node: Node) -> Node | Refusal:
    producer = graph.producers.get(operand)
    if producer is None:
        return Refusal(f"{operand} is an input of the network, not the result of a kernel", node)
    base = _as_fused(producer.op).base
    if type(base) not in ACCEPTS_RESIDUAL:
        return Refusal(f"{operand} comes from {type(base).__name__}, which fuses nothing", node)
    return sole_reader_refusal(graph, operand, node) or producer


def _as_fused(op: Op) -> Fused:
    return op if isinstance(op, Fused) else Fused(base=op)


def _fusion(producer: Node, node: Node, op: Fused, inputs: tuple[str, ...]) -> Match:
    return Match(
        node=node,
        message=f"{node.label} is done in the kernel of {producer.label}",
        replaced={
            producer.output.name: (),
            node.output.name: (replace(producer, op=op, inputs=inputs, output=node.output),),
        },
    )
