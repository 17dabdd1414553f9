"""What this machine can do at most: multiply-adds in registers, bytes from memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import log
from threading import Barrier
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from cnndsl.ops.base import Array

WORKING_SETS_BYTES = (1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26, 1 << 28)
"""Sizes to read again and again, from what an L2 cache holds to what few last levels do."""

CHAINS = 12
"""Vectors computed at once: enough to hide latencies, few enough for sixteen registers."""

_F32 = ir.FloatType()
_I32 = ir.IntType(32)
_I64 = ir.IntType(64)
_SECONDS_AT_LEAST = 0.15
_REPEATS_AT_LEAST = 5
_FMA_ROUNDS = 300_000
_BYTES_AT_LEAST = 1 << 27
"""Read in one measurement by each thread: beside it, the time to start threads is little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """The best rates that were seen, of all `threads` together.

    `bandwidths` has bytes per second by working set in bytes, ascending: how fast that much can be
    read when it was read just before.
    """

    threads: int
    lanes: int
    macs_per_s: float
    bandwidths: tuple[tuple[int, float], ...]

    def bytes_per_s(self, working_set_bytes: float) -> float:
        """Return the bandwidth for a working set, between those measured."""
        sizes = [log(size) for size, _ in self.bandwidths]
        rates = [rate for _, rate in self.bandwidths]
        return float(np.interp(log(max(1.0, working_set_bytes)), sizes, rates))


def measure_peaks(
    module: ModuleType,
    threads: int,
    notify: Callable[[str], None] = lambda _: None,
    working_sets_bytes: Sequence[int] = WORKING_SETS_BYTES,
) -> Peaks:
    """Measure this machine with the vectors of a generated module, on so many threads at once."""
    lanes: int = module.LANES
    rounds, read = multiply_adds(lanes, module.HAS_FMA), sum_floats(lanes)
    bandwidths = []
    with ThreadPoolExecutor(threads) as pool:
        notify("measuring the peak of multiply-adds")
        rounds(1)
        fastest = _seconds(pool, [lambda: rounds(_FMA_ROUNDS)] * threads)
        for size in working_sets_bytes:
            notify(f"measuring how fast {size >> 10:,} KiB are read")
            block = CHAINS * lanes
            floats = max(1, size // threads // 4 // block) * block
            # Ones, not zeros: pages that nobody wrote are all the same one.
            parts = [np.ones(floats, np.float32) for _ in range(threads)]
            times = max(1, threads * _BYTES_AT_LEAST // size)
            read(parts[0].ctypes.data, floats, 1)
            taken = _seconds(pool, [_reading(read, part, times) for part in parts])
            bandwidths.append((size, threads * floats * 4 * times / taken))
    return Peaks(
        threads=threads,
        lanes=lanes,
        macs_per_s=threads * _FMA_ROUNDS * CHAINS * lanes / fastest,
        bandwidths=tuple(bandwidths),
    )


def _reading(read: Any, part: Array, times: int) -> Callable[[], object]:
    return lambda: read(part.ctypes.data, part.size, times)


def _seconds(pool: ThreadPoolExecutor, jobs: Sequence[Callable[[], object]]) -> float:
    """Return how long the slowest of equal jobs takes that start together.

    Each has its own time: on a busy machine one may have to wait before it starts.
    """
    barrier = Barrier(len(jobs))

    def timed(job: Callable[[], object]) -> float:
        barrier.wait()
        start = perf_counter()
        job()
        return perf_counter() - start

    best = float("inf")
    began, repeats = perf_counter(), 0
    while repeats < _REPEATS_AT_LEAST or perf_counter() - began < _SECONDS_AT_LEAST:
        repeats += 1
        best = min(best, max(list(pool.map(timed, jobs))))
    return best


def multiply_adds(lanes: int, fused: bool) -> Any:
    """Return a function that repeats multiply-adds on CHAINS vectors: f(times).

    They do not depend on each other, so that none waits for another's result.
    """
    half = ir.Constant(ir.VectorType(_F32, lanes), [0.5] * lanes)

    def step(builder: Any, sums: list[Any], i: Any, address: Any) -> list[Any]:
        return [_multiply_add(builder, s, half, half, fused) for s in sums]

    loop = _loop(lanes, CHAINS, 1, step)

    @njit(nogil=True)
    def repeated(times: int) -> float:
        return float(loop(times, 0))

    return repeated


def sum_floats(lanes: int) -> Any:
    """Return a function that sums floats, CHAINS vectors at a time: f(address, floats, times)."""

    def step(builder: Any, sums: list[Any], i: Any, address: Any) -> list[Any]:
        added = []
        for number, s in enumerate(sums):
            place = builder.add(i, ir.Constant(_I64, number * lanes))
            pointer = builder.gep(builder.inttoptr(address, _F32.as_pointer()), [place])
            value = builder.load(builder.bitcast(pointer, s.type.as_pointer()))
            value.align = 4
            added.append(builder.fadd(s, value))
        return added

    loop = _loop(lanes, CHAINS, CHAINS * lanes, step)

    @njit(nogil=True)
    def repeated(address: int, floats: int, times: int) -> float:
        total = 0.0
        for _ in range(times):
            total += loop(floats, address)
        return total

    return repeated


def _multiply_add(builder: Any, a: Any, b: Any, c: Any, fused: bool) -> Any:
    if not fused:
        return builder.fadd(builder.fmul(a, b), c)
    kind = ir.FunctionType(a.type, [a.type] * 3)
    name = f"llvm.fma.v{a.type.count}f32"
    module = builder.module
    return builder.call(module.globals.get(name) or ir.Function(module, kind, name), [a, b, c])


def _loop(lanes: int, chains: int, stride: int, step: Callable[..., list[Any]]) -> Any:
    """Return what computes vectors again and again for i = 0, stride... below an end.

    They start as 2, 3, ... (those that start equal LLVM would compute once, and one that starts as
    what a step leaves as it is, never), stay in registers, and are summed in the end.
    """
    kind = ir.VectorType(_F32, lanes)

    def loop(context: Any, end: Any, address: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            end, address = args
            before = builder.block
            body = builder.append_basic_block("body")
            after = builder.append_basic_block("after")
            builder.branch(body)
            builder.position_at_end(body)
            i = builder.phi(_I64)
            i.add_incoming(ir.Constant(_I64, 0), before)
            sums = [builder.phi(kind) for _ in range(chains)]
            for number, (s, changed) in enumerate(
                zip(sums, step(builder, sums, i, address), strict=True)
            ):
                s.add_incoming(ir.Constant(kind, [2.0 + number] * lanes), before)
                s.add_incoming(changed, body)
            following = builder.add(i, ir.Constant(_I64, stride))
            i.add_incoming(following, body)
            builder.cbranch(builder.icmp_signed("<", following, end), body, after)
            builder.position_at_end(after)
            # The phis' own values are those before the last step: sum what it made.
            total = ir.Constant(_F32, 0.0)
            for s in sums:
                for lane in range(lanes):
                    made = s.incomings[1][0]
                    total = builder.fadd(
                        total, builder.extract_element(made, ir.Constant(_I32, lane))
                    )
            return total

        return types.float32(types.int64, types.int64), build

    return intrinsic(loop)
