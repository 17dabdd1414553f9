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
    multiply_adds, chains = _multiply_adds(module)
    lanes: int = module.LANES
    read = _read(module)
    bandwidths = []
    with ThreadPoolExecutor(threads) as pool:
        notify("measuring the peak of multiply-adds")
        multiply_adds(1)
        macs = _FMA_ROUNDS * chains * lanes
        fastest = _seconds(pool, [lambda: multiply_adds(_FMA_ROUNDS)] * threads)
        for size in working_sets_bytes:
            notify(f"measuring how fast {size >> 10:,} KiB are read")
            floats = max(8 * lanes, size // threads // 4 // (8 * lanes) * (8 * lanes))
            # Ones, not zeros: pages that nobody wrote are all the same one.
            parts = [np.ones(floats, np.float32) for _ in range(threads)]
            times = max(1, threads * _BYTES_AT_LEAST // size)
            read(parts[0].ctypes.data, floats, 1)
            taken = _seconds(pool, [_reading(read, part, times) for part in parts])
            bandwidths.append((size, threads * floats * 4 * times / taken))
    return Peaks(
        threads=threads,
        lanes=lanes,
        macs_per_s=threads * macs / fastest,
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


def _multiply_adds(module: Any) -> tuple[Any, int]:
    """Return a function that repeats multiply-adds, and on how many vectors it does.

    They do not depend on each other, so that none waits for another's result, and leave registers
    free: of sixteen, or of the 32 that go with larger tiles.
    """
    chains = min(16, 2 * module.TILE_PIXELS)
    kind = ir.VectorType(ir.FloatType(), module.LANES)
    i64 = ir.IntType(64)

    def rounds(context: Any, times: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            before = builder.block
            body = builder.append_basic_block("body")
            after = builder.append_basic_block("after")
            factor = ir.Constant(kind, [0.5] * module.LANES)
            builder.branch(body)
            builder.position_at_end(body)
            i = builder.phi(i64)
            i.add_incoming(ir.Constant(i64, 0), before)
            sums = [builder.phi(kind) for _ in range(chains)]
            for number, s in enumerate(sums):
                # Unlike starts: what is equal LLVM computes once.
                s.add_incoming(ir.Constant(kind, [float(number)] * module.LANES), before)
                s.add_incoming(module._fma(builder, s, factor, factor), body)
            following = builder.add(i, ir.Constant(i64, 1))
            i.add_incoming(following, body)
            builder.cbranch(builder.icmp_signed("<", following, args[0]), body, after)
            builder.position_at_end(after)
            total = sums[0]
            for s in sums[1:]:
                total = builder.fadd(total, s)
            return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

        return types.float32(types.int64), build

    repeat: Any = intrinsic(rounds)

    @njit(nogil=True)
    def multiply_adds(times: int) -> float:
        return float(repeat(times))

    return multiply_adds, chains


def _read(module: Any) -> Any:
    """Return a function that reads floats from an address, a multiple of eight vectors."""
    read, splat, write, lanes = module.read, module.splat, module.write, module.LANES
    sink = np.empty(lanes, np.float32)
    zero = np.float32(0)

    @njit(nogil=True)
    def read_all(address: int, floats: int, times: int, sink: int) -> None:
        a = b = c = d = e = f = g = h = splat(zero)
        for _ in range(times):
            for i in range(0, floats, 8 * lanes):
                a = a + read(address, i)
                b = b + read(address, i + lanes)
                c = c + read(address, i + 2 * lanes)
                d = d + read(address, i + 3 * lanes)
                e = e + read(address, i + 4 * lanes)
                f = f + read(address, i + 5 * lanes)
                g = g + read(address, i + 6 * lanes)
                h = h + read(address, i + 7 * lanes)
        write(sink, 0, ((a + b) + (c + d)) + ((e + f) + (g + h)))

    def reading(address: int, floats: int, times: int) -> None:
        read_all(address, floats, times, sink.ctypes.data)

    return reading
