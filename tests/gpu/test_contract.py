"""What a generated CUDA module promises its caller, seen without a device."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conformance.modules import HEADER, random_weights
from elaborate.elaborating import graph_of
from gpu.modules import module_of

from cnndsl.backends.numba_cuda.emit import emit
from cnndsl.backends.numba_cuda.options import Options
from cnndsl.backends.reference.run import run
from cnndsl.passes.pipeline import optimize

GRAPH = graph_of(
    "network small()\ninput image: float32[N, 2, H, W]\n"
    "trunk = image -> conv3x3(4, stride=2) -> bn -> relu -> maxpool2x2\n"
    "output logits = (trunk -> conv3x3(4)) + trunk -> relu -> global_avgpool -> dense(3)\n",
    "",
)
TWO = graph_of(
    "network two()\ninput a: float32[N, 4, 8]\ninput words: int64[N, 8]\n"
    "s = a + (words -> embedding(7, 4))\noutput sum = s\noutput gate = s -> sigmoid\n",
    "",
)
WEIGHTS = random_weights(GRAPH, seed=3)


@pytest.fixture(scope="module")
def module() -> Any:
    return module_of(optimize(GRAPH).graph)


@pytest.fixture
def net(module: Any) -> Any:
    return module.load(WEIGHTS)


def image(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def expected(x: np.ndarray) -> np.ndarray:
    return run(GRAPH, {"image": x.astype(np.float64)}, WEIGHTS)["logits"]


def test_any_size_any_order_of_memory_and_any_number_of_calls(net: Any) -> None:
    first = net(image(1, 2, 8, 9))
    kept = first.copy()
    for x in (image(2, 2, 7, 5), image(9, 8, 2, 1).transpose(3, 2, 1, 0)[:, ::-1, ::-1]):
        assert isinstance(net(x), np.ndarray)
        np.testing.assert_allclose(net(x), expected(x), rtol=1e-5, atol=1e-5)
    assert not np.array_equal(net(image(1, 2, 8, 9, seed=1)), kept)
    np.testing.assert_array_equal(first, kept)  # a result is the caller's


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (image(1, 4, 8, 8), ValueError, r"input 'image' must be \[N, 2, H, W\], got \[1, 4, 8, 8"),
        (image(2, 8, 8), ValueError, r"'image' must be \[N, 2, H, W\], got \[2, 8, 8\]"),
        (image(1, 2, 8, 8).astype(np.float64), TypeError, "must be float32, got float64"),
        ([[1.0]], TypeError, "must be a NumPy array or an array on the device, got list"),
        (image(0, 2, 8, 8), ValueError, "'image' is empty"),
    ],
)
def test_unfit_inputs_are_named(net: Any, value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        net(value)
    net(image(1, 2, 8, 8))


def test_a_size_too_small_names_the_layer() -> None:
    graph = graph_of(
        "network n()\ninput x: float32[N, 2, H]\noutput y = x -> conv5(3, padding=valid)\n", ""
    )
    with pytest.raises(ValueError, match="conv5: the input is too small"):
        module_of(graph).load(random_weights(graph, seed=0))(image(1, 2, 4))


def test_unfit_calls_are_named(net: Any) -> None:
    x = image(1, 2, 8, 8)
    for arguments, named, message in (
        ((), {}, "input 'image' is missing"),
        ((x, x), {}, "takes 1 input"),
        ((), {"picture": x}, "no input 'picture'"),
        ((x,), {"image": x}, "given twice"),
    ):
        with pytest.raises(TypeError, match=message):
            net(*arguments, **named)
    with pytest.raises(TypeError, match="warmup takes 1 shape"):
        net.warmup()


def test_every_misfit_of_the_weights_is_named(module: Any) -> None:
    broken = {**WEIGHTS, "dense.bias": np.zeros(6, np.float32), "stray": np.zeros(1, np.float32)}
    del broken["bn.bias"]
    with pytest.raises(ValueError, match="do not fit") as caught:
        module.load(broken)
    for line in (
        "bn.bias is missing, expected float32 [4]",
        "dense.bias must be float32 [3], got float32 [6]",
        "stray is not part of the network",
    ):
        assert line in str(caught.value)


def test_indices_are_checked_before_anything_runs() -> None:
    weights = random_weights(TWO, seed=1)
    net = module_of(TWO).load(weights)
    a, words = image(2, 4, 8), np.arange(16).reshape(2, 8) % 7
    got = net(words=words, a=a)
    assert list(got) == ["sum", "gate"]
    for name, value in run(TWO, {"a": a, "words": words}, weights).items():
        np.testing.assert_allclose(got[name], value, rtol=1e-6, atol=1e-6)
    for wrong in (words + 1, words - 1):
        with pytest.raises(ValueError, match=r"'words' must hold indices 0\.\.6, got"):
            net(a, wrong)
        with pytest.raises(ValueError, match=r"'words' must hold indices 0\.\.6, got"):
            net(OnDevice(a), OnDevice(wrong))
    with pytest.raises(ValueError, match=r"input 'words' must be \[N, 8\], got \[3, 8\]"):
        net(a, np.zeros((3, 8), np.int64))


def test_calls_from_many_threads_take_turns(net: Any) -> None:
    inputs = [image(1 + i % 2, 2, 4 + i % 3, 5, seed=i) for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        for x, got in zip(inputs, pool.map(net, inputs), strict=True):
            np.testing.assert_allclose(got, expected(x), rtol=1e-5, atol=1e-5)


# -- arrays on the device ----------------------------------------------------------------------


class OnDevice:
    """An array that says it lies on the device."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.__cuda_array_interface__ = array.__array_interface__


@pytest.fixture(autouse=True)
def as_cuda_array(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the simulator, which has no such function, wrap the array in place."""
    from numba import cuda

    def wrapped(value: OnDevice) -> Any:
        found = cuda.device_array(0, np.float32)
        found._ary = value.array
        return found

    monkeypatch.setattr(cuda, "as_cuda_array", wrapped, raising=False)


def test_arrays_on_the_device_are_read_in_place_and_give_arrays_there(
    net: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = image(1, 2, 8, 8)
    plan = net._plan({"image": x.shape})
    read: list[int] = []
    first = type(plan.steps[0].kernel).__call__

    def call(kernel: Any, *arguments: Any) -> Any:
        read.extend(a._ary.ctypes.data for a in arguments if hasattr(a, "_ary"))
        return first(kernel, *arguments)

    monkeypatch.setattr(type(plan.steps[0].kernel), "__call__", call)
    result = net(OnDevice(x))
    assert not isinstance(result, np.ndarray)
    assert x.ctypes.data in read
    assert result._ary.ctypes.data in read
    np.testing.assert_allclose(result.copy_to_host(), expected(x), rtol=1e-5, atol=1e-5)
    # Later calls leave it alone.
    kept = result.copy_to_host()
    net(OnDevice(image(1, 2, 8, 8, seed=5)))
    np.testing.assert_array_equal(result.copy_to_host(), kept)


def test_what_is_not_contiguous_on_the_device_is_refused(net: Any) -> None:
    with pytest.raises(ValueError, match="'image' is not contiguous on the device: pass a cont"):
        net(OnDevice(image(1, 2, 8, 16)[..., ::2]))
    with pytest.raises(TypeError, match="'image' must be float32, got float64"):
        net(OnDevice(image(1, 2, 8, 8).astype(np.float64)))


def test_what_dlpack_shares_must_lie_on_a_device(net: Any) -> None:
    pytest.importorskip("cuda.core")
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="'image' does not lie on a device: pass a NumPy array"):
        net(torch.zeros(1, 2, 8, 8))


# -- devices -----------------------------------------------------------------------------------


@pytest.fixture
def device(module: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Let the module ask for a device that is not the simulator's."""
    found = SimpleNamespace(compute_capability=(9, 0), name=b"H100", MULTIPROCESSOR_COUNT=132)
    monkeypatch.setitem(module.__dict__, "SIMULATED", False)
    monkeypatch.setattr(module.cuda, "get_current_device", lambda: found)
    return found


@pytest.mark.parametrize("index", [1, -1, True, "0", 0.0])
def test_a_device_that_is_not_there_is_named(module: Any, device: Any, index: object) -> None:
    with pytest.raises(module.DeviceError, match=r"there is no device .*: devices are 0\.\.0"):
        module.load(WEIGHTS, device=index)


def test_no_devices_at_all(module: Any, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.cuda, "gpus", [])
    with pytest.raises(module.DeviceError, match="no CUDA device was found"):
        module.load(WEIGHTS)


@pytest.mark.parametrize(
    ("precision", "capability", "least"),
    [("fp32", (7, 0), "7.5"), ("tf32", (7, 5), "8.0"), ("fp16", (7, 5), "8.0")],
)
def test_devices_that_are_too_old_are_refused(
    precision: str, capability: tuple[int, int], least: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = module_of(optimize(GRAPH).graph, Options(precision=precision))
    found = SimpleNamespace(compute_capability=capability, name="Old", MULTIPROCESSOR_COUNT=40)
    monkeypatch.setitem(module.__dict__, "SIMULATED", False)
    monkeypatch.setattr(module.cuda, "get_current_device", lambda: found)
    message = rf"Old has compute capability .*; {precision} needs {least} or newer"
    with pytest.raises(module.DeviceError, match=message):
        module.load(WEIGHTS)
    found.compute_capability = tuple(map(int, least.split(".")))
    assert module.load(WEIGHTS).device.name == "Old"


def test_too_little_memory_says_what_fits_and_leaves_the_network_usable(
    module: Any, net: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = {n: net._plan({"image": (n, 2, 8, 8)}).device_bytes for n in (1, 3, 4, 6)}
    arena_bytes = net._plan({"image": (6, 2, 8, 8)}).arena_bytes
    assert needed[6] > arena_bytes + image(6, 2, 8, 8).nbytes
    free = needed[3]
    assert free < needed[4]
    net(image(1, 2, 4, 4))  # weights are there
    memory = SimpleNamespace(get_memory_info=lambda: (free, 1 << 40))
    monkeypatch.setattr(module.cuda, "current_context", lambda: memory)
    x = image(6, 2, 8, 8)
    with pytest.raises(module.DeviceMemoryError) as caught:
        net(x)
    text = str(caught.value)
    assert f"{needed[6]:,} bytes" in text
    assert f"where {free:,} are free; the largest batch that fits is 3" in text
    np.testing.assert_allclose(net(x[:3]), expected(x[:3]), rtol=1e-5, atol=1e-5)
    free = needed[1]
    with pytest.raises(module.DeviceMemoryError, match=f"weights .* take .* where {free:,} are"):
        module.load(WEIGHTS)(x[:1])


def test_memory_that_others_take_meanwhile_is_named_too(
    module: Any, net: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = image(2, 2, 8, 8)

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")

    with monkeypatch.context() as patch:
        patch.setattr(module.cuda, "device_array", refuse)
        with pytest.raises(
            module.DeviceMemoryError, match=r"a call takes .* between layers, where"
        ):
            net(x)
    np.testing.assert_allclose(net(x), expected(x), rtol=1e-5, atol=1e-5)


def test_a_failing_kernel_names_its_layer(
    module: Any, net: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = image(1, 2, 8, 8)
    step = next(s for s in net._plan({"image": x.shape}).steps if s.label == "maxpool2x2")

    def broken(*_: Any) -> None:
        raise RuntimeError("too many resources requested for launch")

    with monkeypatch.context() as patch:
        patch.setattr(step.kernel, "fn", broken)
        with pytest.raises(module.LaunchError, match=r"^maxpool2x2: max_pool: too many resources"):
            net(x)
    np.testing.assert_allclose(net(x), expected(x), rtol=1e-5, atol=1e-5)


# -- streams and graphs ------------------------------------------------------------------------


def test_a_network_runs_on_a_stream_of_the_caller(module: Any, net: Any) -> None:
    mine = module.cuda.stream()
    bound = net.on(mine)
    x = image(1, 2, 8, 8)
    np.testing.assert_array_equal(bound(x), net(x))
    assert bound._stream is mine
    assert net._stream is not mine
    assert bound._packed is net._packed  # weights are held once


class Driver:
    """Takes down what the module asks of the driver, and runs nothing at replay."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, name: str, *arguments: Any) -> Any:
        self.calls.append(name)
        return name


@pytest.fixture
def driver(module: Any, monkeypatch: pytest.MonkeyPatch) -> Driver:
    made = Driver()
    for name, value in (("_driver", made), ("_handle", lambda s: s), ("_mode", lambda m: m)):
        monkeypatch.setitem(module.__dict__, name, value)
    return made


def launched(module: Any, monkeypatch: pytest.MonkeyPatch, driver: Driver) -> None:
    """Take down launches among the calls of the driver."""
    start = module.Context._start

    def noted(context: Any, launch: Any, *arguments: Any) -> None:
        driver.calls.append("outside" if launch.externals else "inside")
        start(context, launch, *arguments)

    monkeypatch.setattr(module.Context, "_start", noted)


def test_the_second_call_captures_and_later_ones_replay(
    module: Any, net: Any, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched(module, monkeypatch, driver)
    net._graphs = True
    x = image(1, 2, 8, 8)
    calls = []
    for _ in range(4):
        driver.calls.clear()
        net(x)
        calls.append([*driver.calls])
    first, second, third, fourth = calls
    assert set(first) == {"inside", "outside"}
    begin, end = second.index("cuStreamBeginCapture"), second.index("cuStreamEndCapture")
    assert set(second[begin + 1 : end]) == {"inside"}
    assert second[begin + 1 : end] == [c for c in first if c == "inside"]
    assert second[end + 1 : end + 4] == ["cuGraphInstantiate", "cuGraphDestroy", "cuGraphLaunch"]
    assert third == fourth == [*second[:begin], "cuGraphLaunch", *second[end + 4 :]]
    assert [c for c in third if c == "outside"] == [c for c in first if c == "outside"]
    driver.calls.clear()
    net(image(1, 2, 9, 8))  # another shape has graphs of its own
    assert "cuGraphLaunch" not in driver.calls


@pytest.mark.parametrize("how", [{"graphs": False}, {"graphs": True, "check": True}])
def test_without_graphs_every_call_launches(
    module: Any, driver: Driver, monkeypatch: pytest.MonkeyPatch, how: dict[str, bool]
) -> None:
    """What is checked after every kernel is not captured either."""
    launched(module, monkeypatch, driver)
    net = module.load(WEIGHTS, **how)
    net._graphs = how["graphs"]  # the simulator has none
    for _ in range(3):
        net(image(1, 2, 8, 8))
    assert set(driver.calls) == {"inside", "outside"}


# -- processes without a device, and commands --------------------------------------------------


def outside(code: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that is not in the simulator."""
    (folder / "small.py").write_text(emit(optimize(GRAPH).graph, "small", header=HEADER))
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": root, **more},
        capture_output=True,
        text=True,
    )


LOAD = (
    "import small\n"
    "plan = small.Plan(small.Paper(), small.bind({'image': (1, 2, 8, 8)}))\n"
    "try:\n    small.load({})\n"
    "except small.DeviceError as error:\n    print(len(plan.steps) > 3, error)\n"
)


def test_without_numba_cuda_the_module_is_imported_and_loading_says_what_to_install(
    tmp_path: Path,
) -> None:
    done = outside("import sys\nsys.modules['numba_cuda'] = None\n" + LOAD, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True this module runs on NVIDIA GPUs through numba-cuda")
    assert "pip install 'numba-cuda[cu13]'" in done.stdout


def test_without_a_device_loading_says_so(tmp_path: Path) -> None:
    done = outside(LOAD, tmp_path, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True no CUDA device was found")


def test_commands_without_a_device(tmp_path: Path) -> None:
    (tmp_path / "net.cnn").write_text(
        "network net()\ninput x: float32[N, 2, 4]\noutput y = x -> conv3(3) -> relu\n"
    )
    command = (
        "import sys\nfrom cnndsl.cli.main import main\nsys.argv[0] = 'cnndsl'\nsys.exit(main())"
    )
    compiled = outside(
        "import sys\nsys.argv[1:] = 'compile net.cnn --target numba-cuda'.split()\n" + command,
        tmp_path,
    )
    assert compiled.returncode == 0, compiled.stderr
    assert (tmp_path / "net.py").exists(), compiled.stdout
    np.save(tmp_path / "x.npy", image(1, 2, 4))
    done = outside(
        "import sys\nsys.argv[1:] = 'run net.cnn --backend numba-cuda --input x.npy'.split()\n"
        + command,
        tmp_path,
        CUDA_VISIBLE_DEVICES="",
    )
    assert "CNN701" in done.stderr
    assert "no CUDA device was found" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
