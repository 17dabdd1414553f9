"""Make what runs: our module, and PyTorch's network of the same program and weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu.cases import Engine
from cnndsl.backends.numba_cuda.options import Options
from cnndsl.driver.backends import import_module, torch_network
from cnndsl.driver.cache import store
from cnndsl.driver.compile import numba_cuda_module
from cnndsl.driver.prepare import Prepared
from cnndsl.ops.base import Array


class UnsuitableError(Exception):
    """An engine cannot run a network this way; the message says why."""


class Ours:
    """The generated module, on the caller's stream and arrays."""

    def __init__(
        self,
        engine: Engine,
        prepared: Prepared,
        inputs: Mapping[str, Any],
        device: Any,
        precision: str,
        folder: Path,
    ) -> None:
        name = f"{prepared.graph.name}_cuda"
        text = numba_cuda_module(prepared, name, Options(precision=precision))
        module = import_module(store(folder, f"{name}.py", text))
        self.net = device.ours(module, prepared.weights, graphs=engine.graphs)
        self.device, self.names = device, [o.name for o in prepared.graph.outputs]
        self.inputs = {name: tensor.clone() for name, tensor in inputs.items()}
        self.given = [device.given(tensor) for tensor in self.inputs.values()]
        self.result: Any = None
        for _ in range(2):  # plans, then captures
            self.run()
        self.outputs()

    def load(self, inputs: Mapping[str, Any]) -> None:
        for name, tensor in self.inputs.items():
            tensor.copy_(inputs[name])

    def run(self) -> None:
        self.result = self.net(*self.given)

    def outputs(self) -> dict[str, Array]:
        return _named(self.result, self.names, self.device)


class Torch:
    """PyTorch's network: in a memory layout, launched, captured or compiled."""

    def __init__(
        self,
        engine: Engine,
        prepared: Prepared,
        inputs: Mapping[str, Any],
        device: Any,
        precision: str,
        folder: Path,
    ) -> None:
        torch = device.torch
        layout = _layout(torch, engine, inputs)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        with torch.inference_mode(False):  # parameters are tensors like any other
            net = torch_network(prepared, folder).to(device.place, dtype).requires_grad_(False)
            net = net.to(memory_format=layout) if engine.channels_last else net
        self.device, self.names = device, [o.name for o in prepared.graph.outputs]
        self.inputs = {
            name: tensor.to(dtype, memory_format=layout, copy=True)
            if tensor.is_floating_point()
            else tensor.clone()
            for name, tensor in inputs.items()
        }
        self.net = torch.compile(net, dynamic=False) if engine.compiled else net
        self.replay, self.result = None, None
        if engine.graphs:
            self.replay, self.result = device.captured(lambda: self.net(*self.inputs.values()))
        self.run()
        self.outputs()

    def load(self, inputs: Mapping[str, Any]) -> None:
        for name, tensor in self.inputs.items():
            tensor.copy_(inputs[name])

    def run(self) -> None:
        if self.replay is not None:
            self.replay()
        else:
            self.result = self.net(*self.inputs.values())

    def outputs(self) -> dict[str, Array]:
        return _named(self.result, self.names, self.device)


def _layout(torch: Any, engine: Engine, inputs: Mapping[str, Any]) -> Any:
    if not engine.channels_last:
        return torch.contiguous_format
    if any(tensor.ndim != 4 for tensor in inputs.values()):
        raise UnsuitableError("channels_last is for pictures")
    return torch.channels_last


def _named(result: Any, names: list[str], device: Any) -> dict[str, Array]:
    found = result if isinstance(result, dict) else {names[0]: result}
    return {name: device.host(value) for name, value in found.items()}
