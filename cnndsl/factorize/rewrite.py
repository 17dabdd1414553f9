"""Put chains in the place of layers: the same network, its values called as before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from cnndsl.factorize.factors import Factors, Tensors
from cnndsl.ir.graph import Graph, Node, Parameter, Value
from cnndsl.ir.verifier import verify
from cnndsl.ops.base import Array
from cnndsl.types.tensor import DType, TensorType

Key: TypeAlias = tuple[str, ...]
"""The tensors of a layer: nodes that share them are one layer, used several times."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """The chain that takes a layer's place, and its tensors where they are known."""

    factors: Factors
    tensors: Tensors | None = None


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A network with chains in it; `made` has the labels of the chain's nodes by that of the old.

    `weights` are all that is known of its tensors, in float32: those of the network that nothing
    replaced, and those of the chains.
    """

    graph: Graph
    weights: Mapping[str, Array]
    made: Mapping[str, tuple[str, ...]]


def rewrite(
    graph: Graph, weights: Mapping[str, Array], chosen: Mapping[Key, Replacement]
) -> Rewritten:
    """Return the network in which every use of each chosen layer is a chain.

    The nodes of a chain are called like the layer and the factor: `conv2.vertical`; so are their
    tensors, `conv2.vertical.weight`. The last one makes the value that the layer made. A chain's
    tensors are shared where the layer's were.
    """
    names = _Names(graph)
    nodes: list[Node] = []
    owned: dict[Key, list[Parameter]] = {}
    known = dict(weights)
    made: dict[str, tuple[str, ...]] = {}
    for node in graph.nodes:
        replacement = chosen.get(node.params)
        if replacement is None:
            nodes.append(node)
            continue
        chain = list(_chain(graph, node, replacement.factors, names))
        nodes += [n for n, _ in chain]
        made[node.label] = tuple(n.label for n, _ in chain)
        owned[node.params] = [p for _, parameters in chain for p in parameters]
        for (_, parameters), tensors in zip(chain, replacement.tensors or (), strict=False):
            for p in parameters:
                known[p.value.name] = np.asarray(tensors[p.spec.role], np.float32)
    result = replace(graph, nodes=tuple(nodes), parameters=tuple(_parameters(graph, owned)))
    verify(result)
    order = (p.value.name for p in result.parameters)
    return Rewritten(result, {name: known[name] for name in order if name in known}, made)


def owner(key: Key) -> str:
    """Return what the layer that owns some tensors is called."""
    return key[0].rpartition(".")[0]


def _chain(
    graph: Graph, node: Node, factors: Factors, names: _Names
) -> Iterator[tuple[Node, list[Parameter]]]:
    """Yield the nodes of a chain, each with its tensors."""
    (read,) = node.inputs
    type_ = graph.types[read]
    for factor in factors:
        specs = factor.op.parameters([type_])
        owned = [
            Parameter(
                Value(
                    names.tensor(f"{owner(node.params)}.{factor.name}", spec.role, node.params),
                    TensorType(DType.FLOAT32, spec.shape),
                ),
                spec,
                node.span,
            )
            for spec in specs
        ]
        type_ = factor.op.infer([type_])
        output = node.output
        if factor is not factors[-1]:
            output = Value(names.value(f"{node.output.name}.{factor.name}"), type_)
        yield (
            replace(
                node,
                op=factor.op,
                inputs=(read,),
                params=tuple(p.value.name for p in owned),
                output=output,
                label=names.label(f"{node.label}.{factor.name}"),
            ),
            owned,
        )
        read = output.name


def _parameters(graph: Graph, owned: Mapping[Key, list[Parameter]]) -> Iterator[Parameter]:
    """Yield the parameters of the new network, those of a chain where its layer's were."""
    replaced = {name: key for key in owned for name in key}
    done: set[Key] = set()
    for parameter in graph.parameters:
        key = replaced.get(parameter.value.name)
        if key is None:
            yield parameter
        elif key not in done:
            done.add(key)
            yield from owned[key]


class _Names:
    """Gives out names that the graph does not have yet."""

    def __init__(self, graph: Graph) -> None:
        self._values = set(graph.types)
        self._labels = {node.label for node in graph.nodes}
        self._tensors: dict[tuple[str, str, Key], str] = {}

    def value(self, wanted: str) -> str:
        return _fresh(wanted, self._values)

    def label(self, wanted: str) -> str:
        return _fresh(wanted, self._labels)

    def tensor(self, layer: str, role: str, key: Key) -> str:
        """Return the name of a tensor of a chain, the same one for all uses of its layer."""
        if (layer, role, key) not in self._tensors:
            self._tensors[layer, role, key] = _fresh(f"{layer}.{role}", self._values)
        return self._tensors[layer, role, key]


def _fresh(wanted: str, taken: set[str]) -> str:
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name
