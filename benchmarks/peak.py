"""The processor's peak: how many float32 operations one thread can do in registers."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

_CHAINS = 12
"""Sums at once: enough to hide an addition's latency, few enough for sixteen registers."""

_F32 = ir.FloatType()
_I64 = ir.IntType(64)


def peak_gflops(lanes: int, fused: bool, seconds: float = 0.5) -> float:
    """Measure multiply-adds on vectors of `lanes` floats, fused or not; return the best rate."""
    loop = _compile(lanes, fused)
    count = 1_000_000
    best = float("inf")
    loop(1000)
    start = perf_counter()
    while perf_counter() - start < seconds:
        begin = perf_counter()
        loop(count)
        best = min(best, perf_counter() - begin)
    return 2 * lanes * _CHAINS * count / best / 1e9


def _compile(lanes: int, fused: bool) -> Any:
    vector = ir.VectorType(_F32, lanes)

    def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
        if not fused:
            return builder.fadd(builder.fmul(a, b), c)
        kind = ir.FunctionType(vector, [vector] * 3)
        name = f"llvm.fma.v{lanes}f32"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return builder.call(function, [a, b, c])

    def sums(context: Any, times: Any) -> Any:
        """Return the total of the sums after so many multiply-adds on each."""

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            before = builder.block
            body = builder.append_basic_block("body")
            after = builder.append_basic_block("after")
            factor = ir.Constant(vector, [0.5] * lanes)
            builder.branch(body)
            builder.position_at_end(body)
            i = builder.phi(_I64)
            i.add_incoming(ir.Constant(_I64, 0), before)
            chains = [builder.phi(vector) for _ in range(_CHAINS)]
            sums = [multiply_add(builder, chain, factor, factor) for chain in chains]
            for number, (chain, s) in enumerate(zip(chains, sums, strict=True)):
                chain.add_incoming(ir.Constant(vector, [float(number)] * lanes), before)
                chain.add_incoming(s, body)
            next_i = builder.add(i, ir.Constant(_I64, 1))
            i.add_incoming(next_i, body)
            builder.cbranch(builder.icmp_signed("<", next_i, args[0]), body, after)
            builder.position_at_end(after)
            total = sums[0]
            for s in sums[1:]:
                total = builder.fadd(total, s)
            return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

        return types.float32(types.int64), build

    repeat: Any = intrinsic(sums)

    @njit
    def loop(times: int) -> float:
        return float(repeat(times))

    return loop
