"""From a program to files: this module reads as the data flows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cnndsl import __version__
from cnndsl.backends.header import Header
from cnndsl.backends.numba_cpu.options import DEFAULTS, Options
from cnndsl.backends.numba_cuda import options as cuda
from cnndsl.driver.prepare import Prepared
from cnndsl.driver.targets import base_path, cuda_name, torch_name
from cnndsl.files import Content, Pieces
from cnndsl.weights import safetensors


@dataclass(frozen=True, slots=True)
class OnnxOptions:
    """Versions to write; None means the backend's conservative default."""

    opset: int | None = None
    ir_version: int | None = None


def compile_program(
    prepared: Prepared,
    targets: Sequence[str],
    output: Path | None = None,
    onnx: OnnxOptions = OnnxOptions(),
    options: Options = DEFAULTS,
    cuda_options: cuda.Options = cuda.DEFAULTS,
) -> dict[Path, Content]:
    """Return the files of the targets, nothing written yet.

    Raises CompileError for what a target does not support, RequestError for a bad `output`.
    """
    base = base_path(output, prepared.graph.name, targets)
    files: dict[Path, Content] = {}
    emitted: Mapping[str, Content]
    for target in targets:
        match target:
            case "numba-cpu":
                emitted = emit_numba_cpu(prepared, base.name, options)
            case "numba-cuda":
                emitted = emit_numba_cuda(prepared, cuda_name(base, targets), cuda_options)
            case "onnx":
                emitted = emit_onnx(prepared, base.name, onnx)
            case "torch":
                emitted = emit_torch(prepared, torch_name(output, base, targets))
            case _:
                raise ValueError(f"there is no target {target}")
        files |= {base.with_name(name): content for name, content in emitted.items()}
    return files


def emit_numba_cpu(
    prepared: Prepared, name: str, options: Options = DEFAULTS
) -> dict[str, Content]:
    """Return the Python module and, beside it, the source program's tensors."""
    weights = safetensors.serialize(prepared.weights)
    module = numba_cpu_module(prepared, name, options, weights)
    return {f"{name}.py": module, f"{name}.safetensors": weights}


def numba_cpu_module(
    prepared: Prepared, name: str, options: Options = DEFAULTS, weights: Pieces | None = None
) -> bytes:
    """Return the Python module alone; its header tells of the weights file beside it, if any."""
    from cnndsl.backends.numba_cpu.emit import emit
    from cnndsl.backends.numba_cpu.plan import planned_work

    graph = prepared.optimized.graph
    text = emit(
        graph,
        name,
        header=header(prepared, weights, options),
        options=options,
        work=planned_work(graph, options),
    )
    return text.encode("utf-8")


def emit_numba_cuda(
    prepared: Prepared, name: str, options: cuda.Options = cuda.DEFAULTS
) -> dict[str, Content]:
    """Return the Python module for CUDA and, beside it, the source program's tensors."""
    weights = safetensors.serialize(prepared.weights)
    module = numba_cuda_module(prepared, name, options, weights)
    return {f"{name}.py": module, f"{name}.safetensors": weights}


def numba_cuda_module(
    prepared: Prepared,
    name: str,
    options: cuda.Options = cuda.DEFAULTS,
    weights: Pieces | None = None,
) -> bytes:
    """Return the Python module for CUDA alone, as `numba_cpu_module` does."""
    from cnndsl.backends.numba_cuda.emit import emit

    graph = prepared.optimized.graph
    text = emit(graph, name, header=header(prepared, weights), options=options)
    return text.encode("utf-8")


def emit_onnx(prepared: Prepared, name: str, options: OnnxOptions) -> dict[str, bytes]:
    """Return the ONNX model, weights inside, as written in the source: nothing fused or folded."""
    from cnndsl.backends.onnx.emit import emit

    chosen: Mapping[str, int] = {
        key: version
        for key, version in (("opset", options.opset), ("ir_version", options.ir_version))
        if version is not None
    }
    return {f"{name}.onnx": emit(prepared.graph, prepared.weights, **chosen)}


def emit_torch(prepared: Prepared, name: str) -> dict[str, bytes]:
    """Return the module to train; it does not depend on weights, which it draws for itself."""
    from cnndsl.backends.torch.emit import emit

    origin = replace(header(prepared), passes=())
    return {f"{name}.py": emit(prepared.graph, name, header=origin).encode("utf-8")}


def header(
    prepared: Prepared, weights: Pieces | None = None, options: Options = DEFAULTS
) -> Header:
    """Return what a generated file says about its origin, and that of its weights if it has any."""
    digest = None
    if weights is not None and prepared.seed is None:
        state = hashlib.sha256()
        for piece in weights:
            state.update(piece)
        digest = state.hexdigest()
    return Header(
        version=__version__,
        source_name=Path(prepared.loaded.source.name).name,
        source_sha256=prepared.source_sha256,
        weights_sha256=digest,
        passes=tuple(report.name for report in prepared.optimized.reports),
        tuning_sha256=options.tuning_sha256,
        seed=None if weights is None else prepared.seed,
    )
