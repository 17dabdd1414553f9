"""The layers that take the place of one: a chain, each reading the one before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cnndsl.analysis.cost import Cost, summarize
from cnndsl.factorize.layer import Layer
from cnndsl.ir.graph import Graph, Input, Node, Output, Parameter, Value
from cnndsl.ops.base import Array, Op
from cnndsl.types.tensor import TensorType


@dataclass(frozen=True, slots=True)
class Factor:
    """One layer of the chain; `name` says what it does there, and no other one is called so."""

    name: str
    op: Op


Factors: TypeAlias = tuple[Factor, ...]
"""A chain. The first factor reads what the layer read, the last one gives what it gave.

Sums of chains are chains, too: of t terms pointwise then depthwise, the pointwise kernels are one
kernel of t times the channels, and the depthwise ones a grouped convolution that sums t channels.
"""

Tensors: TypeAlias = tuple[Mapping[str, Array], ...]
"""For each factor its tensors by role: weight, bias; in float64."""


def chain_graph(factors: Factors, input: TensorType) -> Graph:
    """Return a network that is the chain alone: it reads `x`, each value is named by its factor.

    So whatever reads graphs (cost, receptive fields, the reference) reads chains.
    """
    nodes: list[Node] = []
    parameters: list[Parameter] = []
    name, type_ = "x", input
    for factor in factors:
        specs = factor.op.parameters([type_])
        owned = [
            Parameter(Value(f"{factor.name}.{s.role}", TensorType(type_.dtype, s.shape)), s)
            for s in specs
        ]
        parameters += owned
        result = Value(factor.name, factor.op.infer([type_]))
        params = tuple(p.value.name for p in owned)
        nodes.append(Node(factor.op, (name,), params, result, factor.name))
        name, type_ = result.name, result.type
    return Graph(
        name="chain",
        inputs=(Input(Value("x", input)),),
        parameters=tuple(parameters),
        nodes=tuple(nodes),
        outputs=(Output("y", name),),
    )


def chain_weights(factors: Factors, tensors: Tensors) -> dict[str, Array]:
    """Return the tensors by the names they have in `chain_graph`."""
    return {
        f"{factor.name}.{role}": array
        for factor, own in zip(factors, tensors, strict=True)
        for role, array in own.items()
    }


def chain_cost(factors: Factors, layer: Layer) -> Cost:
    """Return what a chain costs in the place of a layer, at the layer's sizes."""
    return summarize(chain_graph(factors, layer.input), dict(layer.sizes))


def layer_cost(layer: Layer) -> Cost:
    """Return what the layer itself costs, at its sizes."""
    return chain_cost((Factor("layer", layer.op),), layer)
