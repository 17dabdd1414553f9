"""Generated modules for tests: graphs of many cases, and kernels compiled once per process."""

from __future__ import annotations

import ast
import itertools
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from conformance.cases import Case

from cnndsl.backends.header import Header
from cnndsl.backends.numba_cpu.emit import emit
from cnndsl.ir.graph import Graph, Input, Node, Output, Parameter, Value
from cnndsl.types.tensor import DType, TensorType

HEADER = Header("0", "test.cnn", "0" * 64, None, ())

_numbers = itertools.count()
_signatures: dict[tuple[str, object], Any] = {}
_team: dict[tuple[str, str], Any] = {}

TEAM_KERNELS = ("work", "offer", "withdraw", "leave", "processor")
"""The kernels that Python calls."""


def graph_of_cases(cases: Sequence[Case]) -> Graph:
    """Return one graph in which every case has inputs and an output of its own."""
    inputs: list[Input] = []
    parameters: list[Parameter] = []
    nodes: list[Node] = []
    outputs: list[Output] = []
    for i, case in enumerate(cases):
        names = [f"x{i}_{j}" for j in range(len(case.inputs))]
        inputs += [Input(Value(n, t)) for n, t in zip(names, case.inputs, strict=True)]
        params = []
        for spec in case.op.parameters(case.inputs):
            value = Value(f"layer{i}.{spec.role}", TensorType(DType.FLOAT32, spec.shape))
            parameters.append(Parameter(value, spec))
            params.append(value.name)
        result = Value(f"y{i}", case.op.infer(case.inputs))
        nodes.append(Node(case.op, tuple(names), tuple(params), result, f"layer{i}"))
        outputs.append(Output(f"y{i}", f"y{i}"))
    return Graph("cases", tuple(inputs), tuple(parameters), tuple(nodes), tuple(outputs))


def module_of(graph: Graph, *, share: bool = True) -> Any:
    """Return the generated module of a graph; kernels with equal text are compiled once.

    Without `share` its kernels are its own: what is changed in it reaches no other module.
    """
    text = emit(graph, "generated", header=HEADER)
    name = f"generated_{next(_numbers)}"
    module = types.ModuleType(name)
    module.__file__ = f"/nonexistent/{name}.py"
    sys.modules[name] = module
    exec(compile(text, module.__file__, "exec", dont_inherit=True), module.__dict__)
    if share:
        _share_kernels(module, text)
    module.__dict__["SMALL_MACS"] = 0  # so that the team works on small networks, too
    return module


def _share_kernels(module: Any, text: str) -> None:
    lines = text.splitlines()
    sources = {
        node.name: "\n".join(lines[node.lineno - 1 : node.end_lineno])
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef)
    }
    for signature in module.SIGNATURES.values():
        # A grouped convolution has the tiles that GROUPS names.
        tiles = module.GROUPS if signature.name == "grouped" else ()
        shared = _signatures.setdefault((sources[signature.name], tiles), signature)
        if shared is not signature:
            signature._address = shared.address
    for name in TEAM_KERNELS:
        setattr(module, name, _team.setdefault((name, sources[name]), getattr(module, name)))


def random_arrays(types_: Mapping[str, TensorType], seed: int, below: int = 11) -> dict[str, Any]:
    """Return an array for every type: standard normal floats, or indices under a limit."""
    rng = np.random.default_rng(seed)
    result: dict[str, Any] = {}
    for name, type_ in types_.items():
        shape = type_.at({})
        if type_.dtype.is_float:
            result[name] = rng.standard_normal(shape).astype(np.float32)
        else:
            result[name] = rng.integers(0, below, shape).astype(type_.dtype.numpy)
    return result


def random_weights(graph: Graph, seed: int) -> dict[str, Any]:
    """Return weights of a size that keeps activations near one; variances are positive."""
    rng = np.random.default_rng(seed)
    result = {}
    for p in graph.parameters:
        spec = p.spec
        if spec.role == "running_var":
            values = rng.uniform(0.5, 1.5, spec.shape)
        elif spec.fill is not None:
            values = spec.fill + 0.2 * rng.standard_normal(spec.shape)
        else:
            values = rng.standard_normal(spec.shape) / np.sqrt(max(1, spec.fan_in))
        result[p.value.name] = values.astype(np.float32)
    return result
