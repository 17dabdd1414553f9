"""What a generated module promises its caller."""

from __future__ import annotations

import gc
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kernel_cache
import numpy as np
import pytest
import safetensors.numpy
from conformance.modules import HEADER, random_weights

from cnndsl.backends.numba_cpu.emit import emit
from cnndsl.backends.reference.run import run
from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimize
from cnndsl.weights.files import write

PROGRAM = """\
network small(classes = 5)
input image: float32[N, 3, H, W]
trunk = image -> conv3x3(20, stride=2) -> bn -> relu -> maxpool2x2
output logits = (trunk -> conv3x3(20)) + trunk -> relu -> global_avgpool -> dense(classes)
"""

TWO_OUTPUTS = """\
network two()
input a: float32[N, 4, 8]
input words: int64[N, 8]
s = a + (words -> embedding(7, 4))
output sum = s
output gate = s -> sigmoid
"""


def write_module(folder: Path, program: str, name: str) -> tuple[Any, Graph, dict[str, Any]]:
    source = folder / f"{name}.cnn"
    source.write_text(program)
    graph = load(source).graph
    weights = random_weights(graph, seed=3)
    path = folder / f"{name}.py"
    path.write_text(emit(optimize(graph).graph, name, header=HEADER))
    write(folder / f"{name}.safetensors", weights)
    return import_file(path), graph, weights


def import_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    module.__dict__["SMALL_MACS"] = 0  # so that the team works on the small networks here, too
    return module


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Graph, dict[str, Any]]:
    return write_module(tmp_path_factory.mktemp("small"), PROGRAM, "small_net")


@pytest.fixture(scope="module")
def net(small: Any) -> Any:
    return small[0].load(threads=2)


def image(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def expected(small: Any, x: np.ndarray) -> np.ndarray:
    return run(small[1], {"image": x.astype(np.float64)}, small[2])["logits"]


def test_tables_describe_the_interface(small: Any) -> None:
    module, graph, _ = small
    assert module.INPUTS == {"image": {"dtype": "float32", "shape": ("N", 3, "H", "W")}}
    assert module.OUTPUTS == {"logits": {"dtype": "float32", "shape": ("N", 5)}}
    assert {n: p["shape"] for n, p in module.PARAMETERS.items()} == {
        p.value.name: p.spec.shape for p in graph.parameters
    }


def test_nothing_is_compiled_at_import(small: Any, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh_net.py"
    fresh.write_bytes(Path(small[0].__file__).read_bytes())
    module = import_file(fresh)
    assert not any(k.signatures for k in (*module.KERNELS, module.work))
    assert all(s._address is None for s in module.SIGNATURES.values())


class Screen(io.StringIO):
    """Takes what is written, as a terminal or not."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(("terminal", "patience"), [(True, -1.0), (True, 60.0), (False, -1.0)])
def test_a_terminal_is_told_what_is_compiled_for_long(
    small: Any, monkeypatch: pytest.MonkeyPatch, terminal: bool, patience: float
) -> None:
    screen = Screen(terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(small[0], "PATIENCE", patience)
    fresh = small[0].load(threads=1)
    fresh(image(1, 3, 16, 16))
    lines = screen.getvalue().split("\r")
    if terminal and patience < 0:
        said = [line for line in lines if line.strip()]
        assert said[0].startswith("compiling for this machine, once: ")
        assert [line.rsplit(" ", 1)[1] for line in said] == [
            f"{number}/{len(said)}" for number in range(1, len(said) + 1)
        ]
        assert any(" conv, " in line for line in said)
        blank, end = lines[-2:]
        assert (len(blank), blank.strip(), end) == (len(said[-1]), "", "")
    else:
        assert lines == [""]


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (3, 3, 17, 40), (2, 3, 4, 3), (1, 3, 130, 6)])
def test_any_size_equals_the_reference(small: Any, net: Any, shape: tuple[int, ...]) -> None:
    x = image(*shape)
    np.testing.assert_allclose(net(x), expected(small, x), rtol=1e-5, atol=1e-5)


def test_strided_and_reversed_inputs(small: Any, net: Any) -> None:
    whole = image(2, 20, 24, 3)
    for x in (whole.transpose(0, 3, 1, 2), whole.transpose(0, 3, 1, 2)[:, ::-1, ::2, ::-1]):
        assert not x.flags.c_contiguous
        np.testing.assert_allclose(net(x), expected(small, x), rtol=1e-5, atol=1e-5)


def test_results_do_not_alias_one_another_or_the_input(net: Any) -> None:
    x = image(1, 3, 32, 32)
    kept = x.copy()
    first = net(x)
    copy = first.copy()
    second = net(image(1, 3, 32, 32, seed=1))
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, copy)
    np.testing.assert_array_equal(x, kept)
    assert not np.array_equal(first, second)


def test_calls_from_many_threads(small: Any, net: Any) -> None:
    inputs = [image(1 + i % 3, 3, 20 + i % 4, 33, seed=i) for i in range(40)]
    wanted = [expected(small, x) for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        for got, want in zip(pool.map(net, inputs), wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_does_not_change_a_bit(small: Any, net: Any, threads: int) -> None:
    x = image(2, 3, 45, 31)
    np.testing.assert_array_equal(small[0].load(threads=threads)(x), net(x))


def test_plans_are_kept_but_not_without_bound(net: Any) -> None:
    for size in range(10, 30):
        net(image(1, 3, size, size))
    assert len(net._plans) <= 8
    plan = net._plan({"image": (1, 3, 29, 29)})
    assert net._plan({"image": (1, 3, 29, 29)}) is plan


def test_warmup_plans_ahead(small: Any) -> None:
    warm = small[0].load()
    warm.warmup((1, 3, 32, 32))
    assert list(warm._plans) == [((1, 3, 32, 32),)]
    with pytest.raises(TypeError, match="warmup takes 1 shape"):
        warm.warmup()


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (image(1, 4, 32, 32), ValueError, r"input 'image' must be \[N, 3, H, W\], got \[1, 4, 32,"),
        (image(3, 32, 32), ValueError, r"'image' must be \[N, 3, H, W\], got \[3, 32, 32\]"),
        (image(1, 3, 8, 8).astype(np.float64), TypeError, "'image' must be float32, got float64"),
        ([[1.0]], TypeError, "'image' must be a NumPy array, got list"),
        (image(0, 3, 8, 8), ValueError, "'image' is empty"),
    ],
)
def test_unfit_inputs_are_named(net: Any, value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        net(value)


def test_unfit_calls_are_named(net: Any) -> None:
    x = image(1, 3, 8, 8)
    with pytest.raises(TypeError, match="input 'image' is missing"):
        net()
    with pytest.raises(TypeError, match="takes 1 input"):
        net(x, x)
    with pytest.raises(TypeError, match="no input 'picture'"):
        net(picture=x)
    with pytest.raises(TypeError, match="given twice"):
        net(x, image=x)


def test_every_misfit_of_the_weights_is_named(small: Any) -> None:
    module, _, weights = small
    broken = dict(weights)
    broken["dense.bias"] = np.zeros(6, np.float32)
    broken["conv3x3.weight"] = broken["conv3x3.weight"].astype(np.float64)
    broken["stray"] = np.zeros(1, np.float32)
    del broken["bn.bias"]
    with pytest.raises(ValueError, match="do not fit") as caught:
        module.load(broken)
    text = str(caught.value)
    assert "bn.bias is missing, expected float32 [20]" in text
    assert "dense.bias must be float32 [5], got float32 [6]" in text
    assert "conv3x3.weight must be float32 [20, 3, 3, 3], got float64 [20, 3, 3, 3]" in text
    assert "stray is not part of the network" in text


def test_weights_from_a_mapping_and_from_a_path(small: Any, net: Any) -> None:
    module, _, weights = small
    x = image(1, 3, 16, 16)
    np.testing.assert_array_equal(module.load(weights)(x), net(x))
    path = Path(module.__file__).with_suffix(".safetensors")
    np.testing.assert_array_equal(module.load(path)(x), net(x))
    np.testing.assert_array_equal(module.load(str(path))(x), net(x))


def test_later_changes_of_the_callers_weights_have_no_effect(small: Any, net: Any) -> None:
    x = image(1, 3, 16, 16)
    mine = {name: value.copy() for name, value in small[2].items()}
    loaded = small[0].load(mine)
    for value in mine.values():
        value.fill(np.nan)
    np.testing.assert_array_equal(loaded(x), net(x))


def saved(small: Any, folder: Path) -> Path:
    path = folder / "weights.safetensors"
    write(path, small[2])
    return path


def test_a_file_written_over_is_noticed(small: Any, net: Any, tmp_path: Path) -> None:
    """Layers read the file at the first call: other numbers must not get in unseen."""
    path = saved(small, tmp_path)
    content = path.read_bytes()
    loaded = small[0].load(path)
    for changed in (content[:-4] + b"abcd", content[:-4], b""):
        os.utime(path, ns=(1, 1))
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="was changed after load"):
            loaded(image(1, 3, 16, 16))


def test_a_file_may_be_replaced_and_removed(small: Any, net: Any, tmp_path: Path) -> None:
    path = saved(small, tmp_path)
    x = image(1, 3, 16, 16)
    replaced = small[0].load(path)
    other = tmp_path / "other.safetensors"
    other.write_bytes(path.read_bytes()[:-4] + b"abcd")
    other.replace(path)
    np.testing.assert_array_equal(replaced(x), net(x))
    removed = small[0].load(saved(small, tmp_path))
    path.unlink()
    np.testing.assert_array_equal(removed(x), net(x))


def test_a_closed_network_closes_its_file(small: Any, tmp_path: Path) -> None:
    loaded = small[0].load(saved(small, tmp_path))
    fd = loaded._read.__self__.file
    os.fstat(fd)
    del loaded
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_tensors_of_any_length_are_read_by_rows(small: Any, tmp_path: Path) -> None:
    """A tensor longer than a piece that is read at once, and parts of it."""
    path = tmp_path / "long.safetensors"
    values = np.random.default_rng(0).standard_normal((301, 3001)).astype(np.float32)
    write(path, {"b": values[:7].copy(), "a": values, "c": values[0, :5].copy()})
    file = small[0].WeightsFile(path)
    np.testing.assert_array_equal(file.read("a"), values)
    np.testing.assert_array_equal(file.read("b"), values[:7])
    np.testing.assert_array_equal(file.read("c", slice(1, 9)), values[0, 1:5])
    for rows in (slice(0, 32), slice(290, 400), slice(100, 101)):
        np.testing.assert_array_equal(file.read("a", rows), values[rows])


def test_the_misfits_of_a_file_are_named(small: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    weights = dict(small[2])
    weights["conv3x3.weight"] = weights["conv3x3.weight"].astype(np.float16)
    weights["stray"] = np.zeros(1, np.float32)
    safetensors.numpy.save_file(weights, path)
    with pytest.raises(ValueError, match="do not fit") as caught:
        small[0].load(path)
    assert "conv3x3.weight must be float32 [20, 3, 3, 3], got F16 [20, 3, 3, 3]" in str(
        caught.value
    )
    assert "stray is not part of the network" in str(caught.value)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(safetensors.SafetensorError):
        small[0].load(path)


def test_a_weight_is_held_once(tmp_path: Path) -> None:
    """What a call leaves behind is the packed weights, beside what the file's cache holds."""
    program = "network wide()\ninput x: float32[N, 4096]\noutput y = x -> dense(4099)\n"
    module, _, weights = write_module(tmp_path, program, "wide_net")
    wide = module.load(threads=1)
    x = np.random.default_rng(0).standard_normal((1, 4096)).astype(np.float32)
    wide(x[:, :] * 0)  # compiles
    wide._packed.clear()
    wide._plans.clear()
    size = 4 * 4096 * 4099
    tracemalloc.start()
    got = wide(x)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size <= held < 1.02 * size
    assert peak < 1.2 * size
    want = x @ weights["dense.weight"].T + weights["dense.bias"]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3)


def test_weights_in_any_order_of_memory(small: Any, net: Any) -> None:
    module, _, weights = small
    x = image(1, 3, 16, 16)
    fortran = {name: np.asfortranarray(value) for name, value in weights.items()}
    for value in fortran.values():
        value.flags.writeable = False
    np.testing.assert_array_equal(module.load(fortran)(x), net(x))
    swapped = {name: value.astype(">f4") for name, value in weights.items()}
    with pytest.raises(ValueError, match=r"dense.bias must be float32 \[5\], got >f4 \[5\]"):
        module.load(swapped)


def test_two_loads_have_weights_of_their_own(small: Any, net: Any) -> None:
    module, graph, _ = small
    x = image(1, 3, 16, 16)
    before = net(x)
    weights = random_weights(graph, seed=4)
    other = module.load(weights)(x)
    np.testing.assert_allclose(other, run(graph, {"image": x}, weights)["logits"], rtol=1e-4)
    assert not np.allclose(other, before)
    np.testing.assert_array_equal(net(x), before)


def test_a_module_without_a_file_takes_a_mapping(small: Any, net: Any) -> None:
    module, _, weights = small
    source = Path(module.__file__).read_text()
    names: dict[str, Any] = {"__name__": "module_without_a_file"}
    exec(compile(source, "<string>", "exec", dont_inherit=True), names)
    x = image(1, 3, 16, 16)
    np.testing.assert_array_equal(names["load"](weights)(x), net(x))
    with pytest.raises(ValueError, match="was not read from a file: say where its weights are"):
        names["load"]()


@pytest.fixture
def interrupted(small: Any) -> Any:
    """Return what calls a network, whose caller Ctrl-C reaches when jobs are offered."""
    module, real = small[0], small[0].work

    def work(post: int, job: int, clock: int) -> None:
        if job:
            raise KeyboardInterrupt
        real(post, job, clock)

    def call(net: Any, x: Any) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "work", work)
            with pytest.raises(KeyboardInterrupt):
                net(x)

    return call


def test_buffers_of_an_interrupted_call_are_not_used_again(small: Any, interrupted: Any) -> None:
    """The team may still be at work in them."""
    net = small[0].load(threads=2)
    x = image(1, 3, 16, 16)
    want = net(x)
    plan = net._plan({"image": x.shape})
    assert len(plan.free) == 1
    interrupted(net, x)
    assert plan.free == []
    np.testing.assert_array_equal(net(x), want)


def test_offers_of_an_interrupted_call_are_withdrawn(small: Any, interrupted: Any) -> None:
    """A helper that took one up works on, and keeps its buffers until it is done, and no longer."""
    module = small[0]
    net, jobs = module.load(threads=3), module.TEAM.jobs
    x = image(1, 3, 64, 64)
    want = net(x)
    for _ in range(20):
        interrupted(net, x)
    assert not any(h.words[module.JOB] for h in module.TEAM.helpers)
    assert wait_until(lambda: all(j[module.LEFT] == j[module.OFFERED] for j, _ in jobs.values()))
    np.testing.assert_array_equal(net(x), want)
    assert len(jobs) <= 1


def test_a_helper_takes_what_is_offered_awake_or_asleep(small: Any) -> None:
    """What two threads do together is the same; that the helper comes is seen in what it did."""
    module = small[0]
    net = module.load(threads=2)
    x = image(1, 3, 64, 64)
    net(x)
    (helper, *_) = module.TEAM.helpers
    ring, rung = helper.bell.put, []

    class Bell:
        get = helper.bell.get

        def put(self, token: None) -> None:
            rung.append(token)
            ring(token)

    helper.bell = Bell()
    for _ in range(5):
        time.sleep(0.2)
        assert not helper.words[module.AWAKE]
        net(x)
    assert len(rung) == 5
    assert wait_until(lambda: not helper.words[module.AWAKE])
    assert not helper.words[module.JOB]


def test_a_helper_finds_a_job_that_came_while_it_fell_asleep(small: Any) -> None:
    """It says that it sleeps, then looks once more: who offers looks the other way round."""
    module = small[0]
    words = np.zeros(16, np.int64)
    post = words.ctypes.data
    table, floats = np.zeros((0, 3), np.int64), np.zeros((0, 1), np.float32)  # no steps
    job, other = (module.job_of(table, floats, 1, False) for _ in range(2))
    assert module.offer(post, job.ctypes.data) == module.OFFERED_ASLEEP
    assert job[module.OFFERED] == 2  # with the caller
    assert module.offer(post, job.ctypes.data) == module.BUSY
    assert job[module.OFFERED] == 2
    module.work(post, 0, 0)
    assert (job[module.ENTERED], job[module.LEFT]) == (1, 1)
    assert not words.any()
    words[module.AWAKE] = 1
    assert module.offer(post, job.ctypes.data) == module.OFFERED_AWAKE
    module.withdraw(post, other.ctypes.data)  # another's offer is not touched
    assert words[module.JOB] == job.ctypes.data
    module.withdraw(post, job.ctypes.data)
    assert not words[module.JOB]
    assert job[module.OFFERED] == 2


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no threads")
def test_helpers_keep_off_the_processor_of_the_caller(small: Any) -> None:
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("one processor")
    module = small[0]
    net = module.load(threads=2)
    x = image(1, 3, 64, 64)
    net(x)
    (helper, *_) = module.TEAM.helpers

    def bound() -> set[int]:
        net(x)
        return os.sched_getaffinity(helper.thread.native_id)

    # The system may move the caller between any two lines.
    assert wait_until(lambda: bound() == allowed - {module.processor()})
    try:
        for here in sorted(allowed)[:2]:
            os.sched_setaffinity(0, {here})
            assert bound() == {here}  # nothing else is left for the helper
            os.sched_setaffinity(0, allowed)
            assert wait_until(lambda: bound() == allowed - {module.processor()})
    finally:
        os.sched_setaffinity(0, allowed)


def wait_until(holds: Callable[[], bool]) -> bool:
    """Wait for something to hold, a minute at most; return whether it does."""
    deadline = time.monotonic() + 60
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.001)
    return held


def test_a_size_too_small_names_the_layer(tmp_path: Path) -> None:
    program = "network n()\ninput x: float32[N, 2, H]\noutput y = x -> conv5(3, padding=valid)\n"
    module, _, weights = write_module(tmp_path, program, "valid_net")
    with pytest.raises(ValueError, match="conv5: the input is too small"):
        module.load(weights)(image(1, 2, 4))


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    module, graph, weights = write_module(tmp_path, TWO_OUTPUTS, "two_net")
    a = image(2, 4, 8)
    words = np.arange(16).reshape(2, 8) % 7
    net = module.load()
    got = net(a, words)
    assert list(got) == ["sum", "gate"]
    assert list(net(words=words, a=a)) == ["sum", "gate"]
    for name, value in run(graph, {"a": a, "words": words}, weights).items():
        np.testing.assert_allclose(got[name], value, rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match=r"'words' must hold indices 0\.\.6, got 1\.\.7"):
        net(a, words + 1)
    with pytest.raises(ValueError, match=r"input 'words' must be \[N, 8\], got \[3, 8\]"):
        net(a, np.zeros((3, 8), np.int64))


def test_a_forked_process_has_threads_of_its_own(small: Any, net: Any) -> None:
    if not hasattr(sys.modules["os"], "fork"):
        pytest.skip("no fork on this system")
    import multiprocessing

    x = image(1, 3, 32, 32)
    want = net(x)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put(net(x)))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    np.testing.assert_array_equal(queue.get(), want)


def test_a_fork_while_another_thread_plans(small: Any) -> None:
    if not hasattr(sys.modules["os"], "fork"):
        pytest.skip("no fork on this system")
    import multiprocessing

    net = small[0].load(threads=1)
    x = image(1, 3, 32, 32)
    want = net(x)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put(net(x)))
    held, forked = threading.Event(), threading.Event()

    def plan() -> None:
        with small[0].TEAM.planning:
            held.set()
            forked.wait(60)

    planner = threading.Thread(target=plan)
    planner.start()
    held.wait(60)
    child.start()
    forked.set()
    planner.join()
    child.join(30)
    alive = child.is_alive()
    if alive:
        child.kill()
    assert not alive, "the child waits for a lock that nobody holds"
    np.testing.assert_array_equal(queue.get(), want)


def test_threads_are_daemons(net: Any) -> None:
    net(image(1, 3, 8, 8))
    helpers = [t for t in threading.enumerate() if t.name.startswith("small_net-")]
    assert helpers
    assert all(t.daemon for t in helpers)


def test_little_work_wakes_no_helpers(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small[0], "SMALL_MACS", 2_000_000)
    monkeypatch.setattr(small[0], "WINOGRAD", "off")
    net = small[0].load(threads=2)
    little, much = (net._plan({"image": (1, 3, n, n)}) for n in (32, 256))
    assert (little.macs, little.threads) == (20 * 27 * 16 * 16 + 20 * 180 * 8 * 8 + 20 * 5, 1)
    assert much.threads == 2


def test_large_results_lie_where_nobody_looks_any_more(tmp_path: Path) -> None:
    """Fresh memory is slow, but no array may change under its owner."""
    program = "network big()\ninput x: float32[N, 2, 512, 512]\noutput y = x -> conv1x1(1)\n"
    net = write_module(tmp_path, program, "big_net")[0].load(threads=2)
    xs = [image(1, 2, 512, 512, seed=seed) for seed in range(4)]
    first = net(xs[0])
    place, row, copy = first.ctypes.data, first[0, 0, 7], first.copy()
    assert first.flags.writeable
    assert first.flags.c_contiguous
    del first
    second = net(xs[1])
    assert second.ctypes.data != place  # a row of the first is still looked at
    np.testing.assert_array_equal(row, copy[0, 0, 7])
    del row
    assert net(xs[2]).ctypes.data == place
    np.testing.assert_array_equal(net(xs[1]), second)


def test_the_second_cache_is_as_large_as_the_system_says(small: Any) -> None:
    if (
        not shutil.which("getconf")
        or not Path("/sys/devices/system/cpu/cpu0/cache/index2").is_dir()
    ):
        pytest.skip("this system does not say")
    asked = ["getconf", "LEVEL2_CACHE_SIZE"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    if said in ("", "0", "undefined"):
        pytest.skip("the C library does not know")
    assert int(said) == small[0].CACHE_BYTES


def test_a_module_imported_by_another_name_compiles_for_itself(tmp_path: Path) -> None:
    """What Numba keeps on the disk names the module, which another process may not find."""
    program = "network n()\ninput x: float32[N, 2, H]\noutput y = x -> relu\n"
    write_module(tmp_path, program, "renamed_net")
    code = "import numpy, {0} as m; print(m.load({{}})(-numpy.ones((1, 2, 3), 'f')).sum())"
    for name, folder in (
        ("renamed_net", tmp_path),
        (f"{tmp_path.name}.renamed_net", tmp_path.parent),
    ):
        environment = {k: v for k, v in os.environ.items() if k != kernel_cache.FOLDER}
        done = subprocess.run(
            [sys.executable, "-c", code.format(name)],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "0.0\n"), done.stderr
