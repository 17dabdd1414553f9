"""On a CUDA device (`make test-gpu`): every op, networks of the examples, arrays, streams, memory.

Everything else in this folder runs in the simulator. What is compared here is compared there once,
on a small network, so that the comparisons themselves are known to work.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance.cases import Case, cases, vector_cases
from conformance.modules import graph_of_cases, random_arrays, random_weights
from gpu.modules import error, module_of
from numba import config, cuda

from benchmarks.gpu.samples import samples
from benchmarks.networks import NETWORKS, Network
from cnndsl.backends.numba_cuda.options import DEFAULTS, PRECISIONS, Options
from cnndsl.backends.reference.run import run
from cnndsl.driver.backends import runner
from cnndsl.driver.choice import Choice
from cnndsl.driver.prepare import Prepared, prepare
from cnndsl.ops.conv import Conv
from cnndsl.ops.dense import Dense
from cnndsl.ops.transposed import ConvTranspose


def missing() -> str:
    """Say why nothing can be run on a device."""
    if config.ENABLE_CUDASIM:
        return "for a CUDA device: make test-gpu"
    return "" if cuda.is_available() else "no CUDA device was found"


MISSING = missing()


def on_device(test: Any) -> Any:
    """Mark a test that needs a device."""
    return pytest.mark.gpu(pytest.mark.skipif(bool(MISSING), reason=MISSING)(test))


OPS = {"fp32": 3e-6, "tf32": 1e-2, "bf16": 8e-2, "fp16": 1e-2}
"""Largest error of one op, relative to the largest value of its result.

Factors are rounded to 11 significant bits by tf32 and fp16, to 8 by bf16; ops without products of
inputs and weights are as accurate as in fp32.
"""

ROUNDED = (Conv, ConvTranspose, Dense)

WINOGRAD = 1e-4
"""The same of one convolution by F(4x4, 3x3), whose transforms magnify what is rounded off."""

NETWORK = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 1e-1, "fp16": 1e-2}
"""The same of a whole network. With factors rounded so on a processor, the largest errors of eleven
networks are 3e-3 (tf32) and 3e-2 (bf16)."""


def tolerance(case: Case, options: Options) -> float:
    if not isinstance(case.op, ROUNDED):
        return OPS["fp32"]
    if options.precision == "fp32" and options.winograd in ("f2", "f4"):
        return WINOGRAD
    return OPS[options.precision]


def check_ops(grid: list[Case], options: Options, seed: int) -> None:
    """Run cases as one network, and compare each result with its definition."""
    graph = graph_of_cases(grid)
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, seed=seed)
    weights = random_weights(graph, seed=seed)
    got = module_of(graph, options).load(weights)(**inputs)
    wide = {n: v.astype(np.float64) if v.dtype == np.float32 else v for n, v in inputs.items()}
    expected = run(graph, wide, {n: v.astype(np.float64) for n, v in weights.items()})
    wrong = [
        f"{case}: off by {off:.2e} of the largest value"
        for i, case in enumerate(grid)
        if not (off := error(got[f"y{i}"], expected[f"y{i}"])) <= tolerance(case, options)
    ]
    assert not wrong, f"{len(wrong)} of {len(grid)} cases:\n" + "\n".join(wrong)


def check_network(prepared: Prepared, options: Options, folder: Path, batch: int = 2) -> None:
    """Compare with ONNX Runtime; calls that are launched, captured and replayed are equal."""
    inputs = samples(prepared, 0, batch)
    expected = runner("onnxruntime", prepared, folder)(inputs)
    net = module_of(prepared.optimized.graph, options).load(prepared.weights)
    first = named(net(**inputs), expected)
    for name, value in expected.items():
        assert error(first[name], value) <= NETWORK[options.precision], name
    for _ in range(2):
        again = named(net(**inputs), expected)
        for name, value in first.items():
            np.testing.assert_array_equal(again[name], value, err_msg=name)


def named(result: Any, expected: dict[str, Any]) -> dict[str, Any]:
    return result if isinstance(result, dict) else dict.fromkeys(expected, result)


SMALL = """network small
input image: float32[N, 3, H = 12, W = 10]
output scores = image -> conv3x3(8) -> bn -> relu -> conv1x1(4) -> global_avgpool -> dense(5)
"""


def small(folder: Path, text: str = SMALL) -> Prepared:
    path = folder / "small.cnn"
    path.write_text(text, encoding="utf-8")
    return prepare(path, Choice({}))


# -- in the simulator: what compares can see a difference ----------------------------------------

simulated = pytest.mark.skipif(not config.ENABLE_CUDASIM, reason="of the simulator")


@simulated
def test_the_comparisons_pass_and_see_wrong_results(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    prepared = small(tmp_path)
    check_network(prepared, DEFAULTS, tmp_path)
    name = next(n for n in prepared.weights if n.endswith("weight"))
    changed = {**prepared.weights, name: prepared.weights[name] * np.float32(1.01)}
    ours = Prepared(prepared.loaded, prepared.optimized, changed)
    net = module_of(prepared.optimized.graph).load(ours.weights)
    inputs = samples(prepared, 0, 2)
    (value,) = runner("onnxruntime", prepared, tmp_path)(inputs).values()
    assert error(net(**inputs), value) > NETWORK["fp32"]
    check_ops(vector_cases()[:3], DEFAULTS, seed=0)


# -- on a device ---------------------------------------------------------------------------------


@on_device
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_every_op_equals_its_definition(rank: int, precision: str) -> None:
    check_ops(cases(rank) if rank else vector_cases(), Options(precision=precision), seed=rank)


@on_device
@pytest.mark.parametrize(
    "options", [Options(winograd=w) for w in ("off", "f2", "f4")] + [Options(fuse="on")], ids=str
)
def test_every_algorithm_equals_the_definition(options: Options) -> None:
    check_ops([c for c in cases(2) if isinstance(c.op, ROUNDED)], options, seed=5)


@on_device
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("network", NETWORKS.values(), ids=lambda network: network.name)
def test_networks_answer_as_in_onnx_runtime(
    network: Network, precision: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    prepared = prepare(network.path, Choice(network.settings))
    check_network(prepared, Options(precision=precision), tmp_path)


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[tuple[Any, Any, np.ndarray]]:
    """Return a module, its network on the first device, and an input."""
    prepared = small(tmp_path)
    module = module_of(prepared.optimized.graph)
    x = samples(prepared, 0, 3)["image"]
    yield module, module.load(prepared.weights), x
    cuda.current_context().deallocations.clear()


@on_device
def test_arrays_on_the_device_are_read_where_they_lie(loaded: Any) -> None:
    _, net, x = loaded
    expected = net(x)
    for _ in range(3):
        result = net(cuda.to_device(x))
        assert cuda.is_cuda_array(result)
        np.testing.assert_array_equal(result.copy_to_host(), expected)
    with pytest.raises(ValueError, match="not contiguous"):
        net(cuda.to_device(np.asfortranarray(x)))
    np.testing.assert_array_equal(net(x), expected)


@on_device
def test_tensors_of_pytorch_are_read_where_they_lie(loaded: Any) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch is for processors alone")
    _, net, x = loaded
    expected = net(x)
    tensor = torch.from_numpy(x).cuda()
    torch.cuda.synchronize()
    result = torch.as_tensor(net(tensor), device="cuda")
    cuda.synchronize()
    np.testing.assert_array_equal(result.cpu().numpy(), expected)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    on_it = net.on(stream.cuda_stream)
    for _ in range(3):
        result = torch.as_tensor(on_it(tensor), device="cuda")
        stream.synchronize()
        np.testing.assert_array_equal(result.cpu().numpy(), expected)


@on_device
@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
def test_arrays_of_cupy_are_read_where_they_lie(loaded: Any) -> None:
    import cupy

    _, net, x = loaded
    given = cupy.asarray(x)
    cuda.synchronize()
    result = cupy.asarray(net(given))
    cuda.synchronize()
    np.testing.assert_array_equal(cupy.asnumpy(result), net(x))


@on_device
def test_streams_and_other_sizes(loaded: Any) -> None:
    _, net, x = loaded
    expected = net(x)
    stream = cuda.stream()
    for size in (3, 1, 2, 3):
        np.testing.assert_array_equal(net.on(stream)(x[:size]), expected[:size])


@on_device
def test_graphs_and_checks_change_no_result(loaded: Any, tmp_path: Path) -> None:
    module, net, x = loaded
    expected = net(x)
    weights = small(tmp_path).weights
    for options in ({"graphs": False}, {"check": True}, {"graphs": False, "check": True}):
        other = module.load(weights, **options)
        for _ in range(3):
            np.testing.assert_array_equal(other(x), expected)


@on_device
def test_a_device_that_is_not_there(loaded: Any) -> None:
    module, net, x = loaded
    with pytest.raises(module.DeviceError, match="there is no device 99"):
        module.load({}, device=99)
    assert net(x).shape == (3, 5)


@on_device
def test_too_little_memory_is_said_and_the_network_stays_usable(loaded: Any) -> None:
    module, net, x = loaded
    expected = net(x)
    free, _ = cuda.current_context().get_memory_info()
    hog = cuda.device_array(free - 2**27, np.uint8)
    many = np.zeros((40_000, *x.shape[1:]), np.float32)  # 58 MB; the maps take more than is left
    with pytest.raises(module.DeviceMemoryError, match="largest batch that fits is"):
        net(many)
    np.testing.assert_array_equal(net(x), expected)
    del hog
    cuda.current_context().deallocations.clear()
    assert net(many).shape == (40_000, 5)
