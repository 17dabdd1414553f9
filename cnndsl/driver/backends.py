"""Run a prepared network by name of backend, in this process."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from cnndsl.backends.numba_cpu.options import DEFAULTS, Options
from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.cache import store
from cnndsl.driver.compile import (
    OnnxOptions,
    emit_onnx,
    emit_torch,
    numba_cpu_module,
    numba_cuda_module,
)
from cnndsl.driver.prepare import Prepared
from cnndsl.ops.base import Array

Runner: TypeAlias = Callable[[Mapping[str, Array]], dict[str, Array]]
"""A network ready to run: inputs by name to outputs by name."""

NAMES = ("numba-cpu", "numba-cuda", "onnxruntime", "torch", "reference")
_OPTIONAL = ("onnxruntime", "torch")

PEERS = ("onnxruntime", "openvino", "reference")
"""Backends to measure numba-cpu against."""


def available() -> tuple[str, ...]:
    """Return the backends that can run here."""
    return tuple(
        n
        for n in NAMES
        if (n not in _OPTIONAL or importlib.util.find_spec(n))
        and (n != "numba-cuda" or _has_cuda_device())
    )


def runner(
    name: str,
    prepared: Prepared,
    folder: Path,
    threads: int | None = None,
    options: Options = DEFAULTS,
) -> Runner:
    """Compile a network for a backend and return what runs it.

    `folder` takes the generated module; `threads` bounds the backend's threads;
    `options` are for numba-cpu.
    Raises CompileError (CNN701) for a backend that is not installed.
    """
    match name:
        case "reference":
            return lambda inputs: run(prepared.graph, inputs, prepared.weights)
        case "numba-cpu":
            return _numba_cpu(prepared, folder, threads, options)
        case "numba-cuda":
            return _numba_cuda(prepared, folder)
        case "onnxruntime":
            return _onnxruntime(prepared, threads)
        case "openvino":
            return _openvino(prepared, threads)
        case "torch":
            return _torch(prepared, folder)
    raise ValueError(f"there is no backend {name}")


def import_module(path: Path) -> ModuleType:
    """Import a generated module from its file, under a name that no other module has."""
    name = f"cnndsl_generated_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _numba_cpu(prepared: Prepared, folder: Path, threads: int | None, options: Options) -> Runner:
    name = prepared.graph.name
    path = store(folder, f"{name}.py", numba_cpu_module(prepared, name, options))
    return _runner_of(prepared, import_module(path).load(prepared.weights, threads=threads))


def _numba_cuda(prepared: Prepared, folder: Path) -> Runner:
    name = f"{prepared.graph.name}_cuda"
    module = import_module(store(folder, f"{name}.py", numba_cuda_module(prepared, name)))
    try:
        own = _runner_of(prepared, module.load(prepared.weights))
    except module.DeviceError as error:
        raise refused_by_device(error, "use --backend numba-cpu") from None

    def call(inputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            return own(inputs)
        except module.DeviceMemoryError as error:
            raise refused_by_device(error, "use --backend numba-cpu") from None

    return call


def refused_by_device(error: Exception, advice: str) -> CompileError:
    """Return the error to raise for one that a module for CUDA raised."""
    return CompileError(Diagnostic(code="CNN701", message=f"numba-cuda: {error}", help=advice))


def _runner_of(prepared: Prepared, net: Any) -> Runner:
    """Return what calls a loaded module's network."""
    names = [i.value.name for i in prepared.graph.inputs]
    outputs = [o.name for o in prepared.graph.outputs]

    def call(inputs: Mapping[str, Array]) -> dict[str, Array]:
        result = net(*(inputs[n] for n in names))
        return dict(result) if isinstance(result, dict) else {outputs[0]: result}

    return call


def _has_cuda_device() -> bool:
    """Say whether modules for CUDA can run here: numba-cuda and a device are there."""
    if importlib.util.find_spec("numba_cuda") is None:
        return False
    numba: Any = importlib.import_module("numba")
    cuda: Any = importlib.import_module("numba.cuda")
    return not numba.config.ENABLE_CUDASIM and bool(cuda.is_available())


def _onnxruntime(prepared: Prepared, threads: int | None) -> Runner:
    session = onnxruntime_session(_onnx_model(prepared), threads)
    names = [o.name for o in prepared.graph.outputs]

    def call(inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return call


def _openvino(prepared: Prepared, threads: int | None) -> Runner:
    """Run with OpenVINO in float32, its sizes fixed to those of the inputs, which is faster."""
    try:
        import openvino
    except ImportError:
        raise _not_installed("OpenVINO", "openvino") from None
    core = openvino.Core()
    model = core.read_model(_onnx_model(prepared), b"")
    names = [o.name for o in prepared.graph.outputs]
    # Without the first it computes in bfloat16 where the processor can.
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    requests: dict[tuple[tuple[int, ...], ...], Any] = {}

    def call(inputs: Mapping[str, Array]) -> dict[str, Array]:
        shapes = tuple(a.shape for a in inputs.values())
        if shapes not in requests:
            model.reshape({name: list(a.shape) for name, a in inputs.items()})
            requests[shapes] = core.compile_model(model, "CPU", options).create_infer_request()
        results = requests[shapes].infer(dict(inputs), share_inputs=True)
        return {name: results[name] for name in names}

    return call


def torch_network(prepared: Prepared, folder: Path) -> Any:
    """Return the module that PyTorch trains, with its weights, not in training."""
    try:
        import torch
    except ImportError:
        raise _not_installed("PyTorch", "torch") from None
    name = f"{prepared.graph.name}_torch"
    path = store(folder, f"{name}.py", emit_torch(prepared, name)[f"{name}.py"])
    with torch.device("meta"):
        net = import_module(path).Network()
    weights = {n: torch.from_numpy(np.array(array)) for n, array in prepared.weights.items()}
    net.load_state_dict(weights, assign=True)
    return net.eval()


def _torch(prepared: Prepared, folder: Path) -> Runner:
    """Run the module that PyTorch trains, as it is when it is not in training."""
    net = torch_network(prepared, folder)
    import torch

    names = [i.value.name for i in prepared.graph.inputs]
    outputs = [o.name for o in prepared.graph.outputs]

    def call(inputs: Mapping[str, Array]) -> dict[str, Array]:
        with torch.inference_mode():
            result = net(*(torch.from_numpy(np.array(inputs[n])) for n in names))
        found = result if isinstance(result, dict) else {outputs[0]: result}
        return {n: tensor.numpy() for n, tensor in found.items()}

    return call


def _onnx_model(prepared: Prepared) -> bytes:
    name = prepared.graph.name
    return emit_onnx(prepared, name, OnnxOptions())[f"{name}.onnx"]


def _not_installed(runtime: str, extra: str) -> CompileError:
    return CompileError(
        Diagnostic(
            code="CNN701",
            message=f"{runtime} is not installed",
            help=f"pip install 'cnndsl[{extra}]'",
        )
    )


def onnxruntime_session(model: bytes, threads: int | None) -> Any:
    """Return an ONNX Runtime session as its users have it, with so many threads."""
    try:
        import onnxruntime
    except ImportError:
        raise _not_installed("ONNX Runtime", "onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
