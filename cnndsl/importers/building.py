"""The graph that an importer builds: legal unique names, type inference, located errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnndsl import limits
from cnndsl.diagnostics import CompileError, Diagnostic, Diagnostics, Span
from cnndsl.elaborate.emission import too_large
from cnndsl.elaborate.naming import Numbering
from cnndsl.importers.imported import Imported
from cnndsl.importers.names import dotted, identifier
from cnndsl.ir.graph import Graph, Input, Node, Output, Parameter, Value
from cnndsl.ir.verifier import verify
from cnndsl.ops.base import Array, Op, OpError
from cnndsl.types.tensor import DType, TensorType


class NetworkBuilder:
    """Collects inputs, nodes and outputs, and what is wrong with them, and makes an `Imported`.

    Values are known by the names that `add_input` and `add` return. After an error `add` returns
    None, and so does every node that reads a None: one mistake is reported once.
    """

    def __init__(self, name: str) -> None:
        self.name = identifier(name, "network")
        self.diagnostics = Diagnostics()
        self.comments: dict[str, str] = {}
        self.notices: list[str] = []
        self.nodes: list[Node] = []
        self.weights: dict[str, Array] = {}
        self._inputs: list[Input] = []
        self._parameters: list[Parameter] = []
        self._outputs: list[Output] = []
        self._types: dict[str, TensorType] = {}
        self._made: dict[str, Node] = {}
        self._labels = Numbering()
        self._values = Numbering()
        self._output_names = Numbering()

    def error(self, code: str, message: str, span: Span | None, help: str | None = None) -> None:
        """Record what is wrong; raises CompileError when there are too many errors."""
        self.diagnostics.add(Diagnostic(code=code, message=message, span=span, help=help))

    def type_of(self, value: str) -> TensorType:
        """Return the type of a value that `add_input` or `add` named."""
        return self._types[value]

    def node_of(self, value: str) -> Node | None:
        """Return the node that makes a value; None for an input."""
        return self._made.get(value)

    def add_input(self, name: str, type: TensorType, span: Span | None = None) -> str:
        """Add an input of the network, and return its value's name."""
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
        of a layer whose tensors this one uses, too.
        """
        operands = [i for i in inputs if i is not None]
        if len(operands) != len(inputs):
            return None
        if len(self.nodes) >= limits.MAX_NODES:
            self.error("CNN401", f"the network has more than {limits.MAX_NODES:_} layers", span)
            raise CompileError(self.diagnostics.errors)
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
        label = self._labels.take(dotted(label, op.keyword or "layer"))
        if like is not None:
            params = self._made[like].params
        else:
            made = [Parameter(_parameter_value(label, s.role, s.shape), s, span) for s in specs]
            for parameter, array in zip(made, weights, strict=True):
                if array.shape != parameter.spec.shape:
                    self.error(
                        "CNN604",
                        f"{where}: its {parameter.spec.role} must be "
                        f"{list(parameter.spec.shape)}, and is {list(array.shape)}",
                        span,
                    )
                    return None
                self.weights[parameter.value.name] = np.asarray(array, np.float32)
            self._parameters += made
            params = tuple(p.value.name for p in made)
        value = self._values.take(identifier(label if name is None else name, "value"))
        node = Node(op, tuple(operands), params, Value(value, type), label, span)
        self.nodes.append(node)
        self._types[value] = type
        self._made[value] = node
        return value

    def add_output(self, name: str, value: str | None, span: Span | None = None) -> None:
        """Make a value an output of the network."""
        if value is not None:
            outer = self._output_names.take(identifier(name, "output"))
            self._outputs.append(Output(outer, value, span))

    def finish(self, usual_sizes: tuple[tuple[str, int], ...] = ()) -> Imported:
        """Return the network; raises CompileError with everything that was found wrong."""
        self.diagnostics.raise_if_errors()
        graph = Graph(
            self.name,
            tuple(self._inputs),
            tuple(self._parameters),
            tuple(self.nodes),
            tuple(self._outputs),
            usual_sizes,
        )
        verify(graph)
        return Imported(graph, self.weights, self.comments, tuple(self.notices))


def _parameter_value(label: str, role: str, shape: tuple[int, ...]) -> Value:
    return Value(f"{label}.{role}", TensorType(DType.FLOAT32, shape))
