"""The definition of every op, the generated module and ONNX Runtime on the same cases.

Tolerance: all results are float32, and the definition is worked out in float64, so each backend
errs for itself by what float32 sums round off: about sqrt(n) * 6e-8 of the largest value for n
products, a few thousand here at most. ONNX Runtime's local response and layer norms, erf and exp
are good to a few units more.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from conformance.cases import cases, vector_cases
from conformance.modules import (
    graph_of_cases,
    module_of,
    random_weights,
)
from hypothesis import HealthCheck, given, settings
from properties.networks import Network, networks, random_inputs

from cnndsl.backends.onnx.emit import OPSETS, emit
from cnndsl.backends.reference.run import run
from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimize

OP_TOLERANCE = 5e-6
"""Largest error of one op, relative to the largest value of its result."""

NETWORK_TOLERANCE = 1e-4
"""The same for networks: every layer passes on the errors before it, and norms magnify them."""

LEFT_OUT = (
    *("alexnet", "vgg11", "vgg13", "vgg19"),  # as large as vgg16
    *("resnet34", "resnet101", "resnet152", "squeezenet1_1"),  # more of the same
)
"""Examples that are compared in the test of the zoo only, without the reference."""

EXAMPLES = Path(__file__).parents[2] / "examples"

SMALL: dict[str, dict[str, int]] = {
    "conv3d": {},
    "darknet19": {"H": 64, "W": 96},
    "densenet121": {"H": 64, "W": 64},
    "inception": {"H": 64, "W": 64},
    "lenet": {},
    "mobilenet_v1": {"H": 64, "W": 64},
    "mobilenet_v2": {"H": 64, "W": 64},
    "resnet18": {"H": 64, "W": 64},
    "resnet50": {"H": 64, "W": 64},
    "unet": {"h": 11, "w": 12},
    "unet_padded": {"h": 2, "w": 3},
    "wavenet": {"T": 70},
}
"""Sizes at which the definition takes some seconds; at their own, tests/examples/test_zoo.py
compares all examples with ONNX Runtime alone."""


def onnx_run(model: bytes, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def module_run(net: Any, outputs: Any, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
    got = net(**inputs)
    return got if isinstance(got, dict) else {next(iter(outputs)): got}


def reference_run(graph: Graph, inputs: dict[str, Any], weights: Any) -> dict[str, np.ndarray]:
    def wide(arrays: dict[str, Any]) -> dict[str, Any]:
        return {n: a.astype(np.float64) if a.dtype == np.float32 else a for n, a in arrays.items()}

    return run(graph, wide(inputs), wide(weights))


def check(
    wanted: dict[str, np.ndarray], tolerance: float, labels: dict[str, str], **ways: Any
) -> None:
    """Compare what each way gives with what is wanted, naming every result that is off."""
    wrong = []
    for way, got in ways.items():
        assert set(got) == set(wanted)
        for name, value in wanted.items():
            assert got[name].shape == value.shape
            assert got[name].dtype == np.float32
            scale = max(float(np.abs(value).max()), 1e-30)
            error = float(np.abs(got[name] - value).max()) / scale
            if not error <= tolerance:
                wrong.append(f"{way}: {labels.get(name, name)}: {error:.1e} of the largest value")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_every_op_three_ways(rank: int) -> None:
    grid = cases(rank) if rank else vector_cases()
    graph = graph_of_cases(grid)
    inputs = random_inputs(graph, {}, seed=rank)
    weights = random_weights(graph, seed=rank)
    module = module_of(graph)
    check(
        reference_run(graph, inputs, weights),
        OP_TOLERANCE,
        {f"y{i}": str(case) for i, case in enumerate(grid)},
        numba_cpu=module_run(module.load(weights, threads=2), module.OUTPUTS, inputs),
        onnx=onnx_run(emit(graph, weights), inputs),
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_examples_three_ways(name: str) -> None:
    given = load(EXAMPLES / f"{name}.cnn").graph
    sizes = {s: SMALL[name].get(s, 1) for s in given.symbols}
    assert SMALL[name].keys() <= sizes.keys()
    graph = optimize(given).graph
    inputs = random_inputs(given, sizes, seed=1)
    weights = random_weights(given, seed=2)
    module = module_of(graph)
    check(
        reference_run(given, inputs, weights),
        NETWORK_TOLERANCE,
        {},
        numba_cpu=module_run(module.load(weights, threads=2), module.OUTPUTS, inputs),
        onnx_13=onnx_run(emit(graph, weights, opset=OPSETS[0]), inputs),
        onnx_23=onnx_run(emit(given, weights, opset=OPSETS[-1]), inputs),
    )


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_one_module_and_one_model_at_several_sizes(network: Network) -> None:
    """Shapes of `same` with a stride depend on the sizes, which only the call knows."""
    graph = optimize(network.graph).graph
    weights = network.weights
    module = module_of(graph)
    net = module.load(weights, threads=2)
    model = emit(graph, weights)
    for more in range(3):
        sizes = {s: e + more * (1 if s != "W" else 3) for s, e in network.sizes.items()}
        inputs = random_inputs(graph, sizes, seed=network.seed + more)
        wanted = reference_run(network.graph, inputs, weights)
        if any(math.isclose(float(np.abs(v).max()), 0, abs_tol=1e-3) for v in wanted.values()):
            continue  # nothing to be relative to
        check(
            wanted,
            NETWORK_TOLERANCE,
            {n: f"{n} at {sizes}" for n in wanted},
            numba_cpu=module_run(net, module.OUTPUTS, inputs),
            onnx=onnx_run(model, inputs),
        )
