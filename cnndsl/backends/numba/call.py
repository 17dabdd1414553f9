"""A call of a layer function of the generated module, and a request for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from cnndsl.backends.numba.activations import Activation
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.base import Op
from cnndsl.types.extents import Dim
from cnndsl.types.tensor import TensorType


@dataclass(frozen=True, slots=True)
class Ref:
    """A value of the network, by its name in the graph."""

    name: str


@dataclass(frozen=True, slots=True)
class Word:
    """A name of the generated module."""

    text: str


Arg: TypeAlias = "bool | int | float | str | Ref | Word | Dim | tuple[Arg, ...] | list[Arg] | None"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a layer function: `result` = `function`(plan, positional..., named...)."""

    node: Node
    result: str
    function: str
    positional: tuple[Arg, ...]
    named: tuple[tuple[str, Arg], ...] = ()
    layers: tuple[str, ...] = ()
    activation: Activation | None = None

    def with_named(self, **named: Arg) -> Call:
        """Return the call with more named arguments."""
        return replace(self, named=(*self.named, *named.items()))


@dataclass(frozen=True, slots=True)
class Request:
    """An op to lower: on which operands, for which result."""

    graph: Graph
    node: Node
    op: Op
    inputs: tuple[str, ...]
    result: TensorType
    target: str = "numba-cpu"

    @property
    def x(self) -> Ref:
        return Ref(self.inputs[0])

    @property
    def x_type(self) -> TensorType:
        return self.graph.types[self.inputs[0]]

    def call(self, function: str, *positional: Arg, layers: tuple[str, ...], **named: Arg) -> Call:
        return Call(
            self.node,
            self.node.output.name,
            function,
            positional,
            tuple(named.items()),
            layers,
        )

    @property
    def shape(self) -> Arg:
        return self.result.shape

    @property
    def params(self) -> tuple[str, ...]:
        return self.node.params

    def refusal(self, reason: str) -> CompileError:
        """Return the error that the target cannot compile this node."""
        return refusal(self.node, reason, self.target)


Rule: TypeAlias = Callable[[Request], Call]


def refusal(node: Node, reason: str, target: str = "numba-cpu") -> CompileError:
    """Return the error that the target cannot compile a node."""
    return CompileError(
        Diagnostic(
            code="CNN702",
            message=f"{target} cannot compile {node.label}: {reason}",
            span=node.span,
            trail=tuple(reversed(node.path)),
            help="--target onnx may be able to",
        )
    )
