"""Generated torch modules for tests, run in float64 beside the reference."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.header import Header
from cnndsl.backends.reference.run import run
from cnndsl.backends.torch.emit import emit
from cnndsl.ir.graph import Graph

torch: Any = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install torch==2.13.0 (extra: torch)"
)

torch.set_num_threads(1)
"""Tests run beside each other; small layers on several threads wait more than they compute."""

HEADER = Header("0", "test.cnn", "0" * 64, None, ())


def module_of(graph: Graph) -> Any:
    """Return the generated module of a graph."""
    module = types.ModuleType("generated")
    text = emit(graph, "generated", header=HEADER)
    exec(compile(text, "generated.py", "exec", dont_inherit=True), module.__dict__)
    return module


def network_of(graph: Graph, weights: Mapping[str, np.ndarray], dtype: Any = None) -> Any:
    """Return the network with weights, in float64 unless said otherwise, ready to be run.

    Every name of its state dict is one of the weights, and the other way round.
    """
    with torch.device("meta"):  # no weights are drawn only to be overwritten
        net = module_of(graph).Network()
    state = {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}
    net.load_state_dict(state, strict=True, assign=True)
    return net.to(dtype or torch.float64).eval()


def outputs_of(graph: Graph, net: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a network; return its outputs by name."""
    dtype = next((p.dtype for p in net.parameters()), torch.float64)
    arrays = (torch.from_numpy(np.array(inputs[i.value.name])) for i in graph.inputs)
    with torch.no_grad():
        result = net(*(a.to(dtype) if a.is_floating_point() else a for a in arrays))
    if not isinstance(result, dict):
        result = {graph.outputs[0].name: result}
    return {name: value.numpy() for name, value in result.items()}


def check_agrees(
    graph: Graph,
    weights: Mapping[str, np.ndarray],
    inputs: Mapping[str, np.ndarray],
    *,
    relative: float = 1e-9,
) -> None:
    """Compare every output with the float64 reference."""
    found = outputs_of(graph, network_of(graph, weights), inputs)
    wide = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in inputs.items()}
    expected = run(graph, wide, {n: a.astype(np.float64) for n, a in weights.items()})
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        scale = max(float(np.abs(value).max(initial=0.0)), 1e-6)
        np.testing.assert_allclose(
            found[name], value, rtol=relative, atol=relative * scale, err_msg=name
        )
