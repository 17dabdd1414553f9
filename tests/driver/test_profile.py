"""What a profile says: every layer, its work, its limits; not how long it took."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnndsl.analysis.cost import summarize
from cnndsl.backends.numba_cpu.options import Options
from cnndsl.driver.choice import Choice
from cnndsl.driver.peaks import CHAINS, Peaks, measure_peaks, multiply_adds, sum_floats
from cnndsl.driver.prepare import Prepared, prepare
from cnndsl.driver.profile import Profile, layers, loaded, profile
from cnndsl.driver.samples import random_inputs, usual_sizes

PROGRAM = """network net
input image: float32[N, 3, 24, 24]
a = image -> conv3x3(32, bias = true) -> relu
b = a -> conv1x1(64, bias = true)
c = (a, b) -> concat
output y = c -> maxpool2x2 -> flatten -> dense(10)
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    path = tmp_path_factory.mktemp("profile") / "net.cnn"
    path.write_text(PROGRAM)
    return prepare(path, Choice({}))


@pytest.fixture(scope="module")
def running(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    return loaded(prepared, tmp_path_factory.mktemp("module"), 1)


@pytest.fixture(scope="module")
def found(prepared: Prepared) -> Profile:
    return profile(prepared, threads=1, runs=3, batch=2)


def test_every_layer_has_its_row_in_order(prepared: Prepared, found: Profile) -> None:
    labels = [n.label for n in prepared.optimized.graph.nodes]
    assert [x.label for x in found.layers] == ["input", *labels, "output"]
    assert found.layers[1].op == "conv3x3 + relu"
    assert found.layers[1].shape == (2, 32, 24, 24)
    assert found.seconds > 0
    assert all(x.seconds > 0 for x in found.layers if x.steps)
    assert sum(len(x.steps) for x in found.layers) >= len(labels)


def test_layers_that_share_a_step_share_a_row(tmp_path: Path) -> None:
    path = tmp_path / "pair.cnn"
    path.write_text(
        "network pair\ninput x: float32[N, 32, 24, 24]\n"
        "output y = x -> dwconv3x3 -> relu -> conv1x1(48) -> relu\n"
        "output z = ((x -> conv1x1(32)) + (x -> conv1x1(32))) + (x -> conv1x1(32))\n"
    )
    found = profile(prepare(path, Choice({})), threads=1, runs=3, options=Options(fuse="on"))
    _, pair, total, _ = found.layers
    assert pair.label == "dwconv3x3 + conv1x1"
    assert pair.parts == ("dwconv3x3", "conv1x1")
    assert pair.op == "dwconv3x3 + relu, conv1x1 + relu"
    assert pair.algorithm == "depthwise + direct, fused"
    assert pair.shape == (1, 48, 24, 24)
    assert pair.macs == pair.macs_done == (32 * 9 + 32 * 48) * 24 * 24
    assert pair.map_bytes == 4 * (32 + 48) * 24 * 24
    assert pair.weight_bytes >= 4 * (32 * 9 + 32 * 48)
    assert pair.seconds > 0
    assert total.label == "conv1x1_2 + 1 more + conv1x1_4"
    assert total.parts == ("conv1x1_2", "conv1x1_3", "conv1x1_4")
    assert total.op == "conv1x1, conv1x1 + residual"
    assert total.algorithm == "direct, joined, into the result"
    assert total.macs == total.macs_done == 3 * 32 * 32 * 24 * 24
    assert total.map_bytes == 4 * (32 + 32) * 24 * 24
    assert total.weight_bytes >= 4 * 3 * 32 * 32


def test_work_is_that_of_the_definition(prepared: Prepared, found: Profile) -> None:
    """For two samples: twice the maps and multiply-adds of the analysis, the weights once."""
    cost = {x.label: x for x in summarize(prepared.optimized.graph).layers}
    for layer in found.layers[1:-1]:
        expected = cost[layer.label]
        assert layer.macs == 2 * expected.macs
        assert layer.macs_done == layer.macs
        if layer.steps:
            assert layer.map_bytes == 2 * (expected.bytes_moved - expected.weight_bytes)
    assert found.layers[0].map_bytes == 2 * (2 * 3 * 24 * 24 * 4)
    assert found.layers[-1].map_bytes == 2 * (2 * 10 * 4)


def test_weights_are_those_that_the_kernel_reads(prepared: Prepared, found: Profile) -> None:
    """Packed in whole blocks, which 32 and 64 outputs fill with vectors of any width."""
    read = {x.label: x.weight_bytes for x in found.layers}
    assert read["conv3x3"] == 4 * (32 * 3 * 9 + 32)
    assert read["conv1x1"] == 4 * (64 * 32 + 64)
    assert read["dense"] >= 4 * (10 * 96 * 12 * 12 + 10)
    assert read["maxpool2x2"] == read["input"] == 0


def record(label: str, macs: int, weight_bytes: int, *seconds: float) -> Any:
    return SimpleNamespace(
        label=label,
        parts=(),
        kernel="conv",
        algorithm="some" if macs else "",
        macs=macs,
        weight_bytes=weight_bytes,
        seconds=np.array(seconds),
    )


def test_limits_follow_from_peaks_and_bytes(prepared: Prepared) -> None:
    peaks = Peaks(threads=1, lanes=4, macs_per_s=1e6, bandwidths=((1, 1e6), (1 << 40, 1e6)))
    records = [
        record("", 0, 0, 1.0, 1.0, 1.0),
        record("conv3x3", 500_000, 4000, 0.5, 2.0, 1.0),
        record("conv3x3", 250_000, 2000, 3.0, 0.0, 1.0),
        record("conv1x1", 0, 8000, 0.1, 0.1, 0.1),
    ]
    made = layers(prepared.optimized.graph, {"N": 1}, records, peaks)
    found = {x.label: x for x in made}
    conv, pointwise = found["conv3x3"], found["conv1x1"]
    assert (conv.macs_done, conv.weight_bytes, conv.algorithm) == (750_000, 6000, "some")
    assert conv.seconds == 2.0  # the median of 3.5, 2 and 2: not the sum of medians
    assert conv.arithmetic_limit_s == 0.75
    assert conv.map_bytes == 4 * (3 + 32) * 24 * 24
    assert conv.memory_limit_s == pytest.approx((conv.map_bytes + 6000) / 1e6)
    assert (conv.bound, conv.limit_s) == ("arithmetic", 0.75)
    assert (pointwise.macs_done, pointwise.macs) == (64 * 32 * 24 * 24,) * 2
    assert found["input"].bound == "memory"
    assert found["input"].limit_s == 2 * 4 * 3 * 24 * 24 / 1e6
    # Without a step nothing was done.
    assert (found["concat"].bound, found["concat"].limit_s, found["concat"].seconds) == ("", 0, 0)


def test_weights_come_from_farther_than_operands(prepared: Prepared) -> None:
    """Operands were written just before; the whole network has passed since weights were read."""
    sizes = {"N": 1}
    records = [record("conv3x3", 1, 1 << 20, 1.0), record("dense", 1, 1 << 30, 1.0)]
    graph = prepared.optimized.graph
    flat = Peaks(threads=1, lanes=4, macs_per_s=1e12, bandwidths=((1, 1e9), (1 << 40, 1e9)))
    steep = Peaks(threads=1, lanes=4, macs_per_s=1e12, bandwidths=((1 << 20, 1e9), (1 << 29, 1e6)))
    near, far = (
        next(x for x in layers(graph, sizes, records, peaks) if x.label == "conv3x3")
        for peaks in (flat, steep)
    )
    assert far.memory_limit_s == pytest.approx(near.map_bytes / 1e9 + (1 << 20) / 1e6)


def test_a_table_counts_for_what_is_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "words.cnn"
    path.write_text(
        "network words\ninput text: int32[N, T = 10]\n"
        "output y = text -> embedding(1000, 8) -> conv3(4)\n"
    )
    graph = prepare(path, Choice({})).optimized.graph
    peaks = Peaks(threads=1, lanes=4, macs_per_s=1e6, bandwidths=((1, 1e6), (1 << 40, 1e6)))
    records = [record("embedding", 0, 4 * 1000 * 8, 1.0)]
    found = {x.label: x for x in layers(graph, {"N": 1, "T": 10}, records, peaks)}
    assert found["embedding"].weight_bytes == 4 * 10 * 8


def test_the_clock_is_the_system_s(running: tuple[Any, Any]) -> None:
    module, _ = running
    if not hasattr(time, "clock_gettime_ns"):
        pytest.skip("the clock of Windows has units of its own")
    clock = np.zeros((1, 2), np.int64)
    job = module.job_of(np.zeros((0, 3), np.int64), np.zeros((0, 1), np.float32), 1, False)
    module.work(0, job.ctypes.data, clock.ctypes.data)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    module.work(0, job.ctypes.data, clock.ctypes.data)
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    shown = clock[0] @ (1_000_000_000, 1)
    assert before <= shown <= after


def test_steps_of_a_run_follow_each_other(prepared: Prepared, running: tuple[Any, Any]) -> None:
    module, net = running
    inputs = random_inputs(prepared.graph, 0, usual_sizes(prepared.graph))
    net(**inputs)
    start = time.perf_counter()
    records = module.profile(net, *inputs.values(), runs=4)
    elapsed = time.perf_counter() - start
    seconds = np.array([r.seconds for r in records])
    assert seconds.shape == (len(records), 4)
    assert (seconds >= 0).all()
    assert 0 < seconds.sum() < elapsed
    assert net._clock == 0  # other callers' runs are not timed
    (plan,) = net._plans.values()
    assert [r.label for r in records] == [s.label for s in plan.steps]


def test_bandwidth_lies_between_those_measured() -> None:
    peaks = Peaks(threads=1, lanes=4, macs_per_s=1.0, bandwidths=((1 << 10, 8.0), (1 << 20, 4.0)))
    assert peaks.bytes_per_s(1) == peaks.bytes_per_s(1 << 10) == 8
    assert peaks.bytes_per_s(1 << 15) == pytest.approx(6)
    assert peaks.bytes_per_s(1 << 30) == 4


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("fused", [False, True])
def test_peaks_count_what_is_done(lanes: int, fused: bool) -> None:
    # Each sum x becomes x / 2 + 1/2, so that its distance from 1 halves.
    starts = [2 + number for number in range(CHAINS) for _ in range(lanes)]
    repeated = multiply_adds(lanes, fused)
    assert repeated(3) == sum(1 + (start - 1) / 8 for start in starts)
    # LLVM may unroll the loop, but must not leave a chain out whose value it knows.
    (text,) = repeated.inspect_llvm().values()
    done = len(re.findall(r"= (?:tail )?call \S*.*@llvm\.fma\." if fused else r"= fmul ", text))
    assert done > 0
    assert done % CHAINS == 0


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_bandwidths_count_what_is_read(lanes: int) -> None:
    floats = 5 * CHAINS * lanes
    values = np.arange(floats, dtype=np.float32) % 7
    expected = 3 * (values.sum() + sum(2 + number for number in range(CHAINS)) * lanes)
    assert sum_floats(lanes)(values.ctypes.data, floats, 3) == expected


def test_peaks_have_a_rate_for_each_working_set() -> None:
    module: Any = SimpleNamespace(LANES=4, HAS_FMA=False)
    peaks = measure_peaks(module, 2, working_sets_bytes=(1 << 16, 1 << 18))
    assert (peaks.threads, peaks.lanes) == (2, 4)
    assert [size for size, _ in peaks.bandwidths] == [1 << 16, 1 << 18]
    # No processor does less than this, and none of a user more.
    assert 1e7 < peaks.macs_per_s < 1e14
    assert all(1e7 < rate < 1e14 for _, rate in peaks.bandwidths)
