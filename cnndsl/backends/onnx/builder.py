"""What the cases build with: nodes, constants, and sizes that are known when the model runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from onnx import NodeProto, helper

from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array, Op
from cnndsl.types.extents import Dim, Extent, FloorDiv, symbols_of
from cnndsl.types.tensor import TensorType

INT64_MAX = 2**63 - 1


class Unsupported(Exception):  # noqa: N818 - becomes a refusal
    """An op cannot be expressed in ONNX; the message says why."""


@dataclass(frozen=True, slots=True)
class Site:
    """One use of an op: the names and types of its operands, its tensors and its result."""

    inputs: tuple[str, ...]
    params: tuple[str, ...]
    types: tuple[TensorType, ...]
    output: str
    type: TensorType

    @property
    def x(self) -> str:
        """The first operand."""
        return self.inputs[0]


Case: TypeAlias = Callable[["Builder", Any, Site], None]
"""Adds the nodes that compute `site.output`; raises Unsupported."""


@dataclass
class Builder:
    """Collects nodes and initializers under unique names."""

    graph: Graph
    weights: dict[str, Array]
    opset: int
    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _extents: dict[Extent, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._taken = {*self.graph.types, *(o.name for o in self.graph.outputs)}

    def name(self, wanted: str) -> str:
        """Return `wanted`, or it with a number, so that no other tensor has the name."""
        number, name = 1, wanted
        while name in self._taken:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node that computes the tensor `output`, and return that name."""
        return self.add_several(kind, inputs, (output,), **attributes)[0]

    def add_several(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> Sequence[str]:
        """Add a node with several results."""
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes))
        return outputs

    def step(self, site: Site, word: str, kind: str, inputs: Sequence[str], **attrs: Any) -> str:
        """Add a node on the way to `site.output`, and return its result's name."""
        return self.add(kind, inputs, self.name(f"{site.output}.{word}"), **attrs)

    def floats(self, site: Site, word: str, value: Array | float) -> str:
        """Return the name of a float32 constant."""
        return self._constant(f"{site.output}.{word}", np.asarray(value, np.float32))

    def integers(self, site: Site, word: str, *values: int) -> str:
        """Return the name of a vector of int64 constants."""
        return self._constant(f"{site.output}.{word}", np.asarray(values, np.int64))

    def _constant(self, wanted: str, array: Array) -> str:
        name = self.name(wanted)
        self.constants[name] = array
        return name

    def per_channel(self, site: Site, parameter: str) -> str:
        """Return a [C] tensor shaped so that it broadcasts over [N, C, spatial...]."""
        rank = site.type.rank
        if rank == 2:
            return parameter
        axes = self.integers(site, "axes", *range(1, rank - 1))
        return self.step(site, "per_channel", "Unsqueeze", (parameter, axes))

    def reduce_mean(self, site: Site, word: str, x: str, axis: int) -> str:
        """Return the mean along an axis, which stays with extent 1."""
        if self.opset < 18:  # axes became an input
            return self.step(site, word, "ReduceMean", (x,), axes=[axis], keepdims=1)
        axes = self.integers(site, f"{word}_axes", axis)
        return self.step(site, word, "ReduceMean", (x, axes), keepdims=1)

    def pad(
        self,
        site: Site,
        x: str,
        pairs: Sequence[tuple[int, int]],
        output: str,
        *,
        mode: str = "constant",
        value: float = 0.0,
    ) -> str:
        """Pad the spatial axes by (before, after) each."""
        sides = ((0, 0), (0, 0), *pairs)
        ends = (*(low for low, _ in sides), *(high for _, high in sides))
        operands = [x, self.integers(site, "pads", *ends)]
        if mode == "constant" and value != 0:
            operands.append(self.floats(site, "pad_value", value))
        return self.add("Pad", operands, output, mode=mode)

    def reshape(
        self, site: Site, x: str, shape: Sequence[Extent], target: Sequence[Extent], output: str
    ) -> str:
        """Reshape x, of a shape, to a target shape of as many elements; both may be symbolic."""
        # 0 copies an extent; -1 is what the others leave.
        copied = [i < len(shape) and shape[i] == e for i, e in enumerate(target)]
        unknown = [i for i, e in enumerate(target) if isinstance(e, Dim) and not copied[i]]
        if len(unknown) <= 1:
            numbers = [
                -1 if i in unknown else 0 if isinstance(e, Dim) else e for i, e in enumerate(target)
            ]
            return self.add("Reshape", (x, self.integers(site, "shape", *numbers)), output)
        parts = [self.extent(e) for e in target]
        computed = self.step(site, "shape", "Concat", parts, axis=0)
        return self.add("Reshape", (x, computed), output)

    def extent(self, extent: Extent) -> str:
        """Return the name of a vector that holds an extent; computed from the inputs' shapes."""
        if extent not in self._extents:
            self._extents[extent] = self._new_extent(extent)
        return self._extents[extent]

    def _new_extent(self, extent: Extent) -> str:
        if isinstance(extent, int):
            return self._constant(f"extent.{extent}", np.asarray([extent], np.int64))
        symbol = _sole_symbol(extent)
        if symbol is not None:
            return self._symbol(symbol)
        total: str | None = None
        for monomial, coefficient in extent.terms:
            term = self.extent(coefficient)
            for atom in monomial:
                factor = (
                    self.extent(Dim.symbol(atom)) if isinstance(atom, str) else self._quotient(atom)
                )
                term = self.add("Mul", (term, factor), self.name("extent.product"))
            total = term if total is None else self._sum(total, term)
        assert total is not None
        return total

    def _sum(self, a: str, b: str) -> str:
        return self.add("Add", (a, b), self.name("extent.sum"))

    def _quotient(self, atom: FloorDiv) -> str:
        # ONNX rounds towards zero, which is down for sizes: a numerator below zero would be one of
        # a window larger than its input, which has no output.
        operands = (self.extent(atom.numerator), self.extent(atom.denominator))
        return self.add("Div", operands, self.name("extent.quotient"))

    def _symbol(self, symbol: str) -> str:
        """Solve an input's extent, linear in the symbol, for it."""
        for i in self.graph.inputs:
            for axis, extent in enumerate(i.value.type.shape):
                slope_constant = _linear(extent, symbol)
                if slope_constant is None:
                    continue
                slope, constant = slope_constant
                shape = self.add("Shape", (i.value.name,), self.name(f"{i.value.name}.shape"))
                found = self.add(
                    "Gather", (shape, self.extent(axis)), self.name(f"extent.{symbol}"), axis=0
                )
                if constant:
                    found = self._sum(found, self.extent(-constant))
                if slope != 1:
                    operands = (found, self.extent(slope))
                    found = self.add("Div", operands, self.name(f"extent.{symbol}"))
                return found
        raise Unsupported(f"no input's extent gives the size of {symbol}")


def _sole_symbol(extent: Dim) -> str | None:
    if len(extent.terms) == 1 and extent.terms[0][1] == 1 and len(extent.terms[0][0]) == 1:
        atom = extent.terms[0][0][0]
        return atom if isinstance(atom, str) else None
    return None


def _linear(extent: Extent, symbol: str) -> tuple[int, int] | None:
    """Return slope and constant if the extent is slope * symbol + constant."""
    if isinstance(extent, int) or symbols_of(extent) != {symbol}:
        return None
    slope = constant = 0
    for monomial, coefficient in extent.terms:
        if monomial == (symbol,):
            slope = coefficient
        elif not monomial:
            constant = coefficient
        else:
            return None
    return slope, constant


Cases: TypeAlias = dict[type[Op], Case]
