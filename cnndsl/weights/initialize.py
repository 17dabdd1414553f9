"""Make initial weights: the same bytes for the same seed, on every machine and target."""

from __future__ import annotations

import hashlib
from math import prod, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array, Op
from cnndsl.ops.registry import op_by_name

_RELU_FAMILY = (
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "SRelu",
    "Relu6",
    "Softplus",
    "Gelu",
    "Silu",
    "HardSwish",
)
_TRANSPARENT = ("BatchNorm", "LayerNorm", "GroupNorm", "Dropout", "Identity", "Add", "Affine")
"""Ops between a layer and its activation that leave the choice to whatever reads them."""

_CHUNK = 1 << 15
"""Numbers made at a time: their 24 random bytes each stay in the cache."""


def initialize(graph: Graph, seed: int) -> dict[str, Array]:
    """Return float32 values for every parameter of a source program's graph (before passes).

    A tensor's values depend on the seed, its name and shape, and its layer's activation only.
    """
    owners = {name: node for node in reversed(graph.nodes) for name in node.params}
    followers = ops_after(graph)
    values: dict[str, Array] = {}
    for parameter in graph.parameters:
        name, spec = parameter.value.name, parameter.spec
        if spec.fill is not None:
            values[name] = np.full(spec.shape, spec.fill, np.float32)
            continue
        if name not in owners:
            raise ValueError(f"no layer reads the parameter {name}")
        fans = max(spec.fan_in, 1), max(spec.fan_out, 1)
        scale = standard_deviation(followers[owners[name].output.name], *fans)
        values[name] = _normal(seed, name, prod(spec.shape), scale).reshape(spec.shape)
    return values


def standard_deviation(after: frozenset[type[Op]], fan_in: int, fan_out: int) -> float:
    """Return the scale of a layer's random weights, given the ops after it (`ops_after`)."""
    match scheme(after):
        case "he":
            return sqrt(2 / fan_in)
        case "lecun":
            return sqrt(1 / fan_in)
        case "glorot":
            return sqrt(2 / (fan_in + fan_out))


def scheme(after: frozenset[type[Op]]) -> Literal["he", "lecun", "glorot"]:
    """Return whose rule scales a layer's random weights, given the ops after it (`ops_after`).

    He et al. 2015 before the ReLU family, LeCun et al. 1998 before SELU (Klambauer et al. 2017),
    Glorot and Bengio 2010 otherwise.
    """
    if not after.isdisjoint(_ops(_RELU_FAMILY)):
        return "he"
    if not after.isdisjoint(_ops(("Selu",))):
        return "lecun"
    return "glorot"


def ops_after(graph: Graph) -> dict[str, frozenset[type[Op]]]:
    """Return, for every node's value, the ops that read it, seen through what keeps its scale."""
    transparent = _ops(_TRANSPARENT)
    found: dict[str, frozenset[type[Op]]] = {}
    for node in reversed(graph.nodes):
        name = node.output.name
        found[name] = frozenset[type[Op]]().union(
            *(
                found[reader.output.name] if type(reader.op) in transparent else {type(reader.op)}
                for reader in graph.readers[name]
            )
        )
    return found


def _ops(names: tuple[str, ...]) -> frozenset[type[Op]]:
    return frozenset(op for name in names if (op := op_by_name(name)) is not None)


def _normal(seed: int, name: str, count: int, scale: float) -> npt.NDArray[np.float32]:
    """Return near-normal float32 values, exact by construction.

    A sum of twelve uniform 16-bit integers has the standard deviation of one, in units of 2**16,
    and a normal's shape up to six deviations. Unlike NumPy's own normals, which go through the
    platform's logarithm and may change between releases, whole numbers are the same everywhere;
    what follows is one IEEE multiplication and one rounding.
    """
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    bits = np.random.PCG64(int.from_bytes(digest, "little"))
    result = np.empty(count, np.float32)
    for start in range(0, count, _CHUNK):
        stop = min(start + _CHUNK, count)
        sums = _sums_of_twelve(bits.random_raw(3 * (stop - start)))
        # Twelve times 2**16 - 1, halved: the mean of the sum.
        result[start:stop] = (sums - 6 * (2**16 - 1)) * (scale / _SPREAD)
    return result


def _sums_of_twelve(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Add the twelve 16-bit integers in every three words, two in each half word at a time."""
    pairs = (words & _LOW_HALVES) + ((words >> np.uint64(16)) & _LOW_HALVES)
    halves = pairs[::3] + pairs[1::3] + pairs[2::3]
    return ((halves & np.uint64(2**32 - 1)) + (halves >> np.uint64(32))).view(np.int64)


_LOW_HALVES = np.uint64(0x0000_FFFF_0000_FFFF)

_SPREAD = sqrt(2**32 - 1)
"""Twelve variances (2**32 - 1) / 12 of a uniform 16-bit integer, as a standard deviation."""
