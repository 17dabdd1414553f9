"""The graph that an importer builds: legal unique names, type inference, located errors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import numpy as np

from cnndsl import limits
from cnndsl.diagnostics import CompileError, Diagnostic, Diagnostics, Span
from cnndsl.elaborate.emission import too_large
from cnndsl.elaborate.naming import Numbering
from cnndsl.importers.imported import Imported
from cnndsl.importers.names import dotted, identifier
from cnndsl.ir.graph import Graph, Input, Node, Output, Parameter, Value
from cnndsl.ir.verifier import verify
from cnndsl.ops.base import Array, Op, OpError, ParameterSpec
from cnndsl.ops.registry import arguments
from cnndsl.types.padding import Explicit
from cnndsl.types.tensor import DType, TensorType


@dataclass(slots=True, eq=False)
class Layer:
    """A layer under construction; `owner` is the one whose weights it uses, often itself."""

    op: Op
    inputs: tuple[str, ...]
    output: Value
    label: str
    where: str
    span: Span | None
    weights: tuple[Array, ...] = ()
    owner: Layer | None = None
    shared: bool = False
    """Whether another layer uses these weights, too."""

    @property
    def has_own_weights(self) -> bool:
        """Whether no other layer uses the weights, so that they may be changed."""
        return self.owner is self and not self.shared


def misfit(op: Op) -> str | None:
    """Return what is wrong with an op's arguments, as a program could not have written them."""
    for spec in arguments(type(op)):
        value = getattr(op, spec.name)
        parts = value.pairs if isinstance(value, Explicit) else value
        numbers = _flat(parts) if isinstance(parts, tuple) else [parts]
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            if isinstance(number, float) and not isfinite(number):
                return f"{op.keyword or 'arithmetic'} takes no {spec.name} of {number}"
            if spec.minimum is not None and number < spec.minimum:
                return f"{op.keyword} takes {spec.name} of at least {spec.minimum}, got {number}"
            if isinstance(number, int) and abs(number) > limits.MAX_EXTENT:
                return f"{op.keyword} takes {spec.name} up to {limits.MAX_EXTENT:_}, got {number:_}"
        if spec.choices and value not in spec.choices:
            return f"{op.keyword} takes {' or '.join(spec.choices)} for {spec.name}, got {value}"
    return None


def _flat(parts: tuple[Any, ...]) -> list[Any]:
    return [n for part in parts for n in (part if isinstance(part, tuple) else (part,))]


class NetworkBuilder:
    """Collects inputs, layers and outputs, and what is wrong with them, and makes an `Imported`.

    Values are known by the names that `add_input` and `add` return. After an error `add` returns
    None, and so does every layer that reads a None: one mistake is reported once.
    """

    def __init__(self, name: str, *, weights_follow: bool = False) -> None:
        """With `weights_follow` layers are added without weights, and the network has none."""
        self.name = identifier(name, "network")
        self._weights_follow = weights_follow
        self.diagnostics = Diagnostics()
        self.comments: dict[str, str] = {}
        self.notices: list[str] = []
        self.max_weight_bytes = 1 << 34
        """How much the weights may take; a small file that makes many is not to fill the memory."""
        self._layers: dict[str, Layer] = {}
        self._inputs: list[Input] = []
        self._outputs: list[Output] = []
        self._made_outputs: set[str] = set()
        self._types: dict[str, TensorType] = {}
        self._labels = Numbering()
        self._values = Numbering()
        self._output_names = Numbering()

    def error(self, code: str, message: str, span: Span | None, help: str | None = None) -> None:
        """Record what is wrong; raises CompileError when there are too many errors."""
        self.diagnostics.add(Diagnostic(code=code, message=message, span=span, help=help))

    def type_of(self, value: str) -> TensorType:
        """Return the type of a value that `add_input` or `add` named."""
        return self._types[value]

    def layer_of(self, value: str) -> Layer | None:
        """Return the layer that makes a value; None for an input."""
        return self._layers.get(value)

    @property
    def layers(self) -> Collection[Layer]:
        """The layers that were added."""
        return self._layers.values()

    def is_output(self, value: str) -> bool:
        """Return whether a value is an output of the network already."""
        return value in self._made_outputs

    def reserve(self, name: str) -> None:
        """Keep a name, such as a symbol's, from the values that are added later."""
        self._values.take(name)

    def add_input(self, name: str, type: TensorType, span: Span | None = None) -> str | None:
        """Add an input of the network, and return its value's name."""
        if problem := too_large(type, f"input {name}"):
            self.error("CNN403", problem, span)
            return None
        value = self._values.take(identifier(name, "input"))
        self._inputs.append(Input(Value(value, type), span))
        self._types[value] = type
        return value

    def add(
        self,
        op: Op,
        inputs: Sequence[str | None],
        *,
        label: str,
        where: str,
        weights: Sequence[Array] = (),
        like: str | None = None,
        name: str | None = None,
        span: Span | None = None,
    ) -> str | None:
        """Add a layer, and return its value's name, or None after an error.

        `label` is what the layer is called and `name` the value (like the layer unless given), as
        near to that as the language allows; `where` begins messages, as in `Conv node "c1"`.
        `weights` are the layer's tensors in the order of `op.parameters`; or `like` is the value
        of a layer of the same kind whose tensors this one uses, too.
        """
        operands = [i for i in inputs if i is not None]
        if len(operands) != len(inputs):
            return None
        if len(self._layers) >= limits.MAX_NODES:
            self.error("CNN401", f"the network has more than {limits.MAX_NODES:_} layers", span)
            raise CompileError(self.diagnostics.errors)
        if wrong := misfit(op):
            self.error("CNN307", f"{where}: {wrong}", span)
            return None
        types = [self._types[i] for i in operands]
        try:
            type = op.infer(types)
            specs = op.parameters(types)
        except OpError as error:
            self.error(error.code, f"{where}: {error.message}", span, error.help)
            return None
        problem = too_large(type, where)
        if problem:
            self.error("CNN403", problem, span)
            return None
        if like is None and not self._check_weights(where, specs, weights, span):
            return None
        value = Value(self._values.take(identifier(label if name is None else name, "value")), type)
        label = self._labels.take(dotted(label, op.keyword or "layer"))
        layer = Layer(op, tuple(operands), value, label, where, span, tuple(weights))
        if like is None:
            layer.owner = layer
        else:
            layer.owner = self._layers[like].owner
            assert layer.owner is not None
            layer.owner.shared = True
        self._types[value.name] = type
        self._layers[value.name] = layer
        return value.name

    def amend(self, value: str, op: Op, weights: Sequence[Array]) -> None:
        """Give a layer that has its own weights another op of the same type, and other weights."""
        layer = self._layers[value]
        assert layer.has_own_weights, "a layer whose weights another one uses"
        types = [self._types[i] for i in layer.inputs]
        assert op.infer(types) == layer.output.type
        if self._check_weights(layer.where, op.parameters(types), weights, layer.span):
            layer.op, layer.weights = op, tuple(weights)

    def add_output(self, name: str, value: str | None, span: Span | None = None) -> str:
        """Make a value an output of the network, and return the output's name."""
        outer = self._output_names.take(identifier(name, "output"))
        if value is not None:
            self._outputs.append(Output(outer, value, span))
            self._made_outputs.add(value)
        return outer

    def finish(self, usual_sizes: tuple[tuple[str, int], ...] = ()) -> Imported:
        """Return the network; raises CompileError with everything that was found wrong."""
        self._check_total()
        self.diagnostics.raise_if_errors()
        nodes: list[Node] = []
        parameters: list[Parameter] = []
        weights: dict[str, Array] = {}
        for layer in self._layers.values():
            assert layer.owner is not None
            specs = layer.op.parameters([self._types[i] for i in layer.inputs])
            names = tuple(f"{layer.owner.label}.{spec.role}" for spec in specs)
            if layer.owner is layer:
                for name, spec in zip(names, specs, strict=True):
                    type = TensorType(DType.FLOAT32, spec.shape)
                    parameters.append(Parameter(Value(name, type), spec, layer.span))
                if not self._weights_follow:
                    arrays = (np.asarray(array, np.float32) for array in layer.weights)
                    weights.update(zip(names, arrays, strict=True))
            nodes.append(Node(layer.op, layer.inputs, names, layer.output, layer.label, layer.span))
        graph = Graph(
            self.name,
            tuple(self._inputs),
            tuple(parameters),
            tuple(nodes),
            tuple(self._outputs),
            usual_sizes,
        )
        verify(graph)
        return Imported(graph, weights, self.comments, tuple(self.notices))

    def _check_weights(
        self,
        where: str,
        specs: Sequence[ParameterSpec],
        weights: Sequence[Array],
        span: Span | None,
    ) -> bool:
        if self._weights_follow:
            return True
        for spec, array in zip(specs, weights, strict=True):
            if array.shape != spec.shape:
                self.error(
                    "CNN604",
                    f"{where}: its {spec.role} must be {list(spec.shape)}, "
                    f"and is {list(array.shape)}",
                    span,
                )
                return False
        return True

    def _check_total(self) -> None:
        own = (layer for layer in self._layers.values() if layer.owner is layer)
        total = sum(4 * prod(array.shape) for layer in own for array in layer.weights)
        if total > self.max_weight_bytes:
            self.error(
                "CNN403",
                f"the network's weights take {total:_} bytes, "
                f"above the limit of {self.max_weight_bytes:_} for this file",
                None,
            )
