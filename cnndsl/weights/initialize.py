"""Make initial weights: the same bytes for the same seed, on every machine and target."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from math import prod, sqrt
from statistics import NormalDist
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

_PIECE = 1 << 18
"""Numbers that one generator makes; another size would be other weights."""

_CHUNK = 1 << 15
"""Numbers made at a time: their random bits stay in the cache."""


class RandomWeights(Mapping[str, Array]):
    """Float32 values for every parameter of a source program's graph (before passes).

    A tensor's values depend on the seed, its name and shape, and its layer's activation only.
    They are drawn when they are asked for, or piece by piece, so that what only writes them need
    not hold them.
    """

    def __init__(self, graph: Graph, seed: int) -> None:
        owners = {name: node for node in reversed(graph.nodes) for name in node.params}
        followers = ops_after(graph)
        self._sources: dict[str, _Constant | _Normal] = {}
        self._drawn: dict[str, Array] = {}
        for parameter in graph.parameters:
            name, spec = parameter.value.name, parameter.spec
            if spec.fill is not None:
                self._sources[name] = _Constant(spec.shape, spec.fill)
                continue
            if name not in owners:
                raise ValueError(f"no layer reads the parameter {name}")
            fans = max(spec.fan_in, 1), max(spec.fan_out, 1)
            scale = standard_deviation(followers[owners[name].output.name], *fans)
            self._sources[name] = _Normal(spec.shape, seed, name, scale)

    def __getitem__(self, name: str) -> Array:
        if name not in self._drawn:
            source = self._sources[name]
            values = np.empty(source.shape, np.float32)
            for start in range(0, values.size, _PIECE):
                source.fill(start, values.reshape(-1)[start : start + _PIECE])
            self._drawn[name] = values
        return self._drawn[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._sources[name].shape

    def pieces(self, names: Iterable[str]) -> Iterator[Array]:
        """Yield the values of tensors one after the other, drawn by threads that run ahead.

        A piece is overwritten when the next is asked for.
        """
        sources = (self._sources[name] for name in names)
        return _ahead(
            (source.fill, start, min(_PIECE, count - start))
            for source, count in ((s, prod(s.shape)) for s in sources)
            for start in range(0, count, _PIECE)
        )


def initialize(graph: Graph, seed: int) -> dict[str, Array]:
    """Return all random weights of a graph, drawn now."""
    return dict(RandomWeights(graph, seed))


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


@dataclass(frozen=True, slots=True)
class _Constant:
    shape: tuple[int, ...]
    value: float

    def fill(self, _start: int, piece: Array) -> None:
        piece.fill(self.value)


@dataclass(frozen=True, slots=True)
class _Normal:
    """A tensor of normal values, in pieces that can be drawn in any order.

    Sixteen random bits choose one of 2**16 equally likely values (`_quantiles`). These are whole
    numbers, the same everywhere, and so are the bits of SFC64; NumPy's own normals go through the
    platform's logarithm and may change between releases. What follows is one IEEE multiplication
    and one rounding. A piece has a generator of its own, so however many threads there are, and
    whichever takes a piece, the values are the same.
    """

    shape: tuple[int, ...]
    seed: int
    name: str
    scale: float

    def fill(self, start: int, piece: Array) -> None:
        digest = hashlib.sha256(f"{self.seed}:{self.name}:{start}".encode()).digest()
        bits = np.random.SFC64(int.from_bytes(digest, "little"))
        values = _values(self.scale)
        for at in range(0, piece.size, _CHUNK):
            part = piece[at : at + _CHUNK]
            words = bits.random_raw(-(-part.size // 4)).astype("<u8", copy=False)
            # Every index is inside; with "wrap" NumPy writes straight into the part.
            values.take(words.view("<u2")[: part.size], out=part, mode="wrap")


def _ahead(tasks: Iterable[tuple[Callable[[int, Array], None], int, int]]) -> Iterator[Array]:
    """Yield pieces of so many numbers from such starts in order, filled by threads ahead of us."""
    threads = os.cpu_count() or 1
    free = [np.empty(_PIECE, np.float32) for _ in range(2 * threads + 1)]
    waiting: deque[tuple[Array, int, Future[None]]] = deque()

    def first() -> Array:
        buffer, count, future = waiting.popleft()
        future.result()
        free.append(buffer)  # taken again when the piece has been looked at
        return buffer[:count]

    with ThreadPoolExecutor(threads) as pool:
        try:
            for fill, start, count in tasks:
                buffer = free.pop()
                waiting.append((buffer, count, pool.submit(fill, start, buffer[:count])))
                if not free:
                    yield first()
            while waiting:
                yield first()
        finally:
            for _, _, future in waiting:
                future.cancel()


@lru_cache(maxsize=1)  # for all pieces of a tensor
def _values(scale: float) -> npt.NDArray[np.float32]:
    """Return the values to choose from, of that standard deviation."""
    whole, deviation = _quantiles()
    return (whole * (scale / deviation)).astype(np.float32)


@cache
def _quantiles() -> tuple[npt.NDArray[np.int64], float]:
    """Return 2**16 quantiles of a normal distribution, as whole numbers, and their deviation.

    Rounded to whole numbers of 2**-20 deviations, they do not depend on the last bits of the
    platform's logarithm: none of them lies nearly in the middle between two.
    """
    half, normal = 1 << 15, NormalDist()
    above = [round(normal.inv_cdf(0.5 + (i + 0.5) / (2 * half)) * 2**20) for i in range(half)]
    deviation = sqrt(sum(q * q for q in above) / half)
    return np.array([-q for q in reversed(above)] + above), deviation
