"""The device that is measured on: its stream, its clock, and what is known of it."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.results import library_versions, machine
from cnndsl.ops.base import Array

LIBRARIES = ("torch", "numba-cuda", "numba", "cuda-bindings", "numpy")


def missing() -> str | None:
    """Say what is missing to measure here; None if nothing is."""
    for package, extra in (("torch", "torch"), ("numba_cuda", "cuda")):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed (pip install 'cnndsl[{extra}]')"
    import torch

    if torch.version.cuda is None:
        return f"PyTorch {torch.__version__} is built without CUDA"
    if not torch.cuda.is_available():
        return "PyTorch finds no CUDA device"
    numba: Any = importlib.import_module("numba")
    cuda: Any = importlib.import_module("numba.cuda")
    if numba.config.ENABLE_CUDASIM:
        return "NUMBA_ENABLE_CUDASIM asks for Numba's simulator"
    return None if cuda.is_available() else "numba-cuda finds no CUDA device"


def describe() -> dict[str, Any]:
    """Return the machine with its device, and the versions of the libraries; or what is missing."""
    if (reason := missing()) is not None:
        return {"missing": reason}
    import torch

    found = torch.cuda.get_device_properties(0)
    here = machine()
    return {
        "machine": {
            "device": found.name,
            "capability": f"{found.major}.{found.minor}",
            "multiprocessors": found.multi_processor_count,
            "device_memory_gib": round(found.total_memory / 2**30),
            **{name: here[name] for name in ("processor", "system", "python")},
        },
        "versions": {
            **library_versions(LIBRARIES),
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),
            "driver": _driver_version(),
        },
    }


def _driver_version() -> str:
    from cuda.bindings import driver

    status, version = driver.cuDriverGetVersion()
    return f"{version // 1000}.{version % 1000 // 10}" if int(status) == 0 else "unknown"


class Gpu:
    """A CUDA device, through PyTorch; all runs are on one stream."""

    def __init__(self) -> None:
        import torch

        self.torch = torch
        self.place = torch.device("cuda:0")
        torch.backends.cudnn.benchmark = True
        self.stream = torch.cuda.Stream(self.place)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Let PyTorch run on the stream, without gradients."""
        with self.torch.cuda.stream(self.stream), self.torch.inference_mode():
            yield

    def tf32(self, allowed: bool) -> None:
        """Let PyTorch round the factors of fp32 products to TF32, or forbid it."""
        self.torch.backends.cuda.matmul.allow_tf32 = allowed
        self.torch.backends.cudnn.allow_tf32 = allowed

    def tensors(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        """Copy arrays to the device."""
        torch = self.torch
        return {n: torch.from_numpy(np.array(a)).to(self.place) for n, a in arrays.items()}

    def ours(self, module: Any, weights: Mapping[str, Array], *, graphs: bool) -> Any:
        """Load a generated module for this device and stream."""
        return module.load(weights, device=0, graphs=graphs).on(self.stream.cuda_stream)

    def given(self, tensor: Any) -> Any:
        """Return a tensor as our network takes it: without a copy."""
        return tensor

    def host(self, result: Any) -> Array:
        """Wait for a result; return it in float32 on the host."""
        self.stream.synchronize()
        if hasattr(result, "copy_to_host"):
            return np.asarray(result.copy_to_host())
        return np.asarray(result.float().cpu().numpy())

    def elapsed_ms(self, run: Callable[[], None]) -> float:
        """Return the time of a run on an idle stream, between two events of the device."""
        start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.stream.synchronize()
        start.record(self.stream)
        run()
        end.record(self.stream)
        end.synchronize()
        return float(start.elapsed_time(end))

    def captured(self, run: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        """Record a run as a CUDA graph; return what replays it, and its results."""
        for _ in range(3):  # what is done once must not be part of it
            run()
        self.stream.synchronize()
        graph = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(graph, stream=self.stream):
            result = run()
        return graph.replay, result

    def free(self) -> None:
        """Give back memory that PyTorch keeps for later."""
        self.stream.synchronize()
        self.torch.cuda.empty_cache()
