"""Check that a graph is what every stage may rely on; run after each pass.

A failure is a fault of the compiler, never of the program: InvalidGraph names the check and the
node.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from cnndsl.ir.graph import Graph, Node
from cnndsl.ops.base import Op, OpError
from cnndsl.ops.registry import Kind, arguments
from cnndsl.types.extents import symbols_of
from cnndsl.types.padding import Explicit
from cnndsl.types.tensor import DType, TensorType

_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_0-9]+)*")

Finding = tuple[str, str]
"""Where (a node's label, a value's name) and what."""


class InvalidGraph(Exception):  # noqa: N818 - the name says what is wrong
    """A graph breaks a rule of the IR."""

    def __init__(self, check: str, place: str, message: str) -> None:
        super().__init__(f"{check}: {place}: {message}")
        self.check = check
        self.place = place
        self.message = message


def verify(graph: Graph) -> None:
    """Raise InvalidGraph at the first rule that does not hold."""
    for check in CHECKS:
        for place, message in check(graph):
            raise InvalidGraph(check.__name__, place, message)


def check_names(graph: Graph) -> Iterator[Finding]:
    """Names are identifiers joined by dots; labels are not empty."""
    named = [*graph.types, *(o.name for o in graph.outputs), graph.name]
    for name in named:
        if not _NAME.fullmatch(name):
            yield name, "is not a name"
    for node in graph.nodes:
        if not node.label:
            yield node.output.name, "has an empty label"


def check_unique_names(graph: Graph) -> Iterator[Finding]:
    """No two values share a name."""
    names = [i.value.name for i in graph.inputs]
    names += [p.value.name for p in graph.parameters]
    names += [n.output.name for n in graph.nodes]
    for name in _repeated(names):
        yield name, "is the name of several values"


def check_defined(graph: Graph) -> Iterator[Finding]:
    """Every operand is a value of the graph."""
    for node in graph.nodes:
        for name in node.operands:
            if name not in graph.types:
                yield node.label, f"reads {name}, which is not a value of the graph"


def check_order(graph: Graph) -> Iterator[Finding]:
    """A value is computed before it is read."""
    known = {i.value.name for i in graph.inputs} | {p.value.name for p in graph.parameters}
    for node in graph.nodes:
        for name in node.operands:
            if name not in known:
                yield node.label, f"reads {name} before it is computed"
        known.add(node.output.name)


def check_arity(graph: Graph) -> Iterator[Finding]:
    """A node has as many operands as its op takes."""
    for node in graph.nodes:
        wanted = node.op.arity
        if not node.inputs or (wanted is not None and len(node.inputs) != wanted):
            yield node.label, f"{_op(node)} takes {wanted} operands, got {len(node.inputs)}"


def check_normalised(graph: Graph) -> Iterator[Finding]:
    """Extents have one number per spatial axis; nothing is left for the op to decide."""
    for node in graph.nodes:
        yield from ((node.label, m) for m in _unnormalised(node.op, graph.operand_types(node)))


def check_types(graph: Graph) -> Iterator[Finding]:
    """The stored type of a value is the one its op infers."""
    for node in graph.nodes:
        try:
            inferred = node.op.infer(graph.operand_types(node))
        except OpError as error:
            yield node.label, f"{_op(node)} does not accept its operands: {error.message}"
            continue
        if inferred != node.output.type:
            yield node.label, f"{_op(node)} infers {inferred}, stored is {node.output.type}"


def check_parameters(graph: Graph) -> Iterator[Finding]:
    """The tensors of a node have the shapes its op declares."""
    for parameter in graph.parameters:
        expected = TensorType(DType.FLOAT32, parameter.spec.shape)
        if parameter.value.type != expected:
            yield parameter.value.name, f"is {parameter.value.type}, its spec says {expected}"
    for node in graph.nodes:
        specs = node.op.parameters(graph.operand_types(node))
        if len(specs) != len(node.params):
            yield node.label, f"{_op(node)} owns {len(specs)} tensors, got {len(node.params)}"
            continue
        for name, spec in zip(node.params, specs, strict=True):
            expected = TensorType(DType.FLOAT32, spec.shape)
            if graph.types[name] != expected:
                yield node.label, f"{spec.role} {name} is {graph.types[name]}, not {expected}"
            elif name not in graph.load_time:
                yield node.label, f"{spec.role} {name} depends on the network's input"


def check_outputs(graph: Graph) -> Iterator[Finding]:
    """There are inputs and outputs, and outputs are values of the graph under different names."""
    if not graph.inputs or not graph.outputs:
        yield graph.name, "has no input or no output"
    for name in _repeated(o.name for o in graph.outputs):
        yield name, "is the name of several outputs"
    for output in graph.outputs:
        if output.value not in graph.types:
            yield output.name, f"is {output.value}, which is not a value of the graph"


def check_symbols(graph: Graph) -> Iterator[Finding]:
    """Types speak of the inputs' symbols only; usual sizes too."""
    known = set(graph.symbols)
    for name, type_ in graph.types.items():
        for symbol in sorted(frozenset().union(*map(symbols_of, type_.shape)) - known):
            yield name, f"is {type_}, and no input has the symbol {symbol}"
    for symbol, size in graph.usual_sizes:
        if symbol not in known or size < 1:
            yield symbol, f"has the usual size {size}, but is no symbol or the size is no size"


Check = Callable[[Graph], Iterator[Finding]]

# Each may rely on those before it.
CHECKS: tuple[Check, ...] = (
    check_unique_names,
    check_names,
    check_defined,
    check_order,
    check_arity,
    check_normalised,
    check_types,
    check_parameters,
    check_outputs,
    check_symbols,
)


def _op(node: Node) -> str:
    return type(node.op).__name__


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _unnormalised(op: Op, inputs: tuple[TensorType, ...]) -> Iterator[str]:
    rank = len(inputs[0].spatial)
    for spec in arguments(type(op)):
        value = getattr(op, spec.name)
        if value is None and spec.kind in (Kind.EXTENTS, Kind.BOOLEAN):
            yield f"{type(op).__name__}.{spec.name} is left to be decided"
        per_axis = value.pairs if isinstance(value, Explicit) else value
        if isinstance(per_axis, tuple) and not spec.variadic and len(per_axis) != rank:
            yield f"{type(op).__name__}.{spec.name} is {value} for {rank} spatial axes"
    for field in dataclasses.fields(op):
        nested = getattr(op, field.name)
        if isinstance(nested, Op):
            yield from _unnormalised(nested, inputs)
