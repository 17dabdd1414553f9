"""cnndsl as a backend of the ONNX standard: import a model, and run it.

    from cnndsl.backends.onnx_backend import CnndslBackend

    net = CnndslBackend.prepare(onnx.load("model.onnx"))
    (y,) = net.run([x])

`engine` is "numba-cpu" (default) or "reference". What the language cannot say raises CompileError.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from onnx import ModelProto
from onnx.backend.base import Backend, BackendRep

from cnndsl import __version__
from cnndsl.backends.header import Header
from cnndsl.backends.numba_cpu.emit import emit
from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.importers.onnx.constants import constant_inputs
from cnndsl.importers.onnx.importing import ImportedModel, Port, import_model
from cnndsl.importers.onnx.model import Model
from cnndsl.importers.onnx.read import check_model
from cnndsl.importers.onnx.tensors import FLOATS, dtype_name
from cnndsl.ops.base import Array
from cnndsl.passes.pipeline import optimize

ENGINES = ("numba-cpu", "reference")

Runner: TypeAlias = Callable[[Mapping[str, Array]], Mapping[str, Array]]


class Network(BackendRep):
    """A model ready to run.

    A model whose layers take weights from inputs is imported when these have values, and again
    when the values change.
    """

    def __init__(self, proto: ModelProto, engine: str, folder: Path | None) -> None:
        self._proto, self._engine, self._folder = proto, engine, folder
        self._model = check_model(proto, proto.ByteSize())
        _require_float32(self._model)
        self._constant = constant_inputs(self._model)
        self._bound: dict[str, Array] = {}
        self._ready: tuple[ImportedModel, Runner] | None = None
        if not self._constant:
            self._import({})

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Array, ...]:
        """Return the outputs in the model's order; `inputs` are in its order, or by name."""
        given = self._named(inputs)
        constants = {name: given.pop(name) for name in self._constant}
        same = self._bound.keys() == constants.keys() and all(
            np.array_equal(self._bound[name], array) for name, array in constants.items()
        )
        if self._ready is None or not same:
            self._import(constants)
        assert self._ready is not None
        imported, runner = self._ready
        fed = {port.inner: to_network(port, given[port.outer]) for port in imported.inputs}
        results = runner(fed)
        return tuple(to_model(port, results[port.inner]) for port in imported.outputs)

    def _named(self, inputs: Any) -> dict[str, Array]:
        names = list(self._model.inputs)
        if not isinstance(inputs, Mapping):
            arrays = inputs if isinstance(inputs, Sequence) else [inputs]
            if len(arrays) != len(names):
                raise _refusal("CNN803", f"the model takes {len(names)} inputs, not {len(arrays)}")
            inputs = dict(zip(names, arrays, strict=True))
        if inputs.keys() != set(names):
            raise _refusal("CNN803", f"the model's inputs are {', '.join(names)}")
        return {name: np.asarray(array) for name, array in inputs.items()}

    def _import(self, constants: Mapping[str, Array]) -> None:
        imported = import_model(self._proto, self._folder, self._proto.ByteSize(), constants)
        self._bound = dict(constants)
        self._ready = imported, _runner(imported, self._engine)


class CnndslBackend(Backend):
    """The interface of onnx.backend.base.Backend, which ONNX's conformance suite tests."""

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device == "CPU"

    @classmethod
    def is_compatible(cls, model: ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Tell whether a model can be imported; where weights are inputs, that shows when run."""
        try:
            cls.prepare(model, device, engine="reference", **kwargs)
        except CompileError:
            return False
        return cls.supports_device(device)

    @classmethod
    def prepare(
        cls,
        model: ModelProto,
        device: str = "CPU",
        *,
        engine: str = "numba-cpu",
        folder: Path | None = None,
        **kwargs: Any,
    ) -> Network:
        """Return a model ready to run; its data files are read in `folder`. Raises CompileError."""
        if not cls.supports_device(device):
            raise _refusal("CNN701", f"the device {device} is not supported: CPU is")
        if engine not in ENGINES:
            raise ValueError(f"engine is {' or '.join(ENGINES)}, not {engine}")
        return Network(model, engine, folder)


def to_network(port: Port, array: Array) -> Array:
    """Return an input as the network takes it: axes permuted, axes of extent 1 added."""
    if len(array.shape) != len(port.axes):
        raise _refusal("CNN803", f"{port.outer} has {len(port.axes)} axes, not {array.ndim}")
    order = sorted(range(array.ndim), key=lambda i: port.axes[i] or 0)
    moved = array.transpose(order)
    shape = [1] * port.type.rank
    for place, i in enumerate(order):
        shape[port.axes[i] or 0] = moved.shape[place]
    return np.ascontiguousarray(moved.reshape(shape))


def to_model(port: Port, array: Array) -> Array:
    """Return an output as the model gives it."""
    kept = [a for a in port.axes if a is not None]
    left = [a for a in range(array.ndim) if a not in kept]
    shape = [1 if a is None else array.shape[a] for a in port.axes]
    return array.transpose(*kept, *left).reshape(shape)


def _require_float32(model: Model) -> None:
    """Import converts models of other floats with a notice; a standard backend must not."""
    for name in (*model.inputs, *model.outputs):
        declared = model.types.get(name)
        if declared is not None and declared.element in FLOATS[1:]:
            kind = dtype_name(declared.element)
            raise _refusal("CNN807", f'"{name}" is of {kind}, and networks compute in float32')


def _refusal(code: str, message: str) -> CompileError:
    return CompileError(Diagnostic(code=code, message=message))


def _runner(imported: ImportedModel, engine: str) -> Runner:
    graph, weights = imported.imported.graph, imported.imported.weights
    if engine == "reference":
        return lambda inputs: run(graph, inputs, weights)
    header = Header(__version__, "model.onnx", "", None, ())
    text = emit(optimize(graph).graph, "network", header=header)
    # Numba keeps what it compiles beside the module; the folder goes when the network does.
    folder = tempfile.TemporaryDirectory(prefix="cnndsl-")
    path = Path(folder.name) / "network.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("cnndsl_onnx_network", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = module.load(dict(weights))
    inputs = [i.value.name for i in graph.inputs]
    outputs = [o.name for o in graph.outputs]

    def call(arrays: Mapping[str, Array], _folder: object = folder) -> Mapping[str, Array]:
        result = net(*(arrays[name] for name in inputs))
        return dict(result) if isinstance(result, dict) else {outputs[0]: result}

    return call


prepare = CnndslBackend.prepare
run_model = CnndslBackend.run_model
run_node = CnndslBackend.run_node
supports_device = CnndslBackend.supports_device
is_compatible = CnndslBackend.is_compatible
