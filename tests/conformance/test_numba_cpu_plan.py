"""The plan of a generated module: buffers that never overlap, chunks that cover all, no leaks.

The generated module computes in one arena that it never clears. These tests recompute from the
steps alone when a map lives, and fill the arena with NaN to show that nothing reads what no step
of this call wrote.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance.cases import cases, vector_cases
from conformance.modules import (
    graph_of_cases,
    module_of,
    random_arrays,
    random_weights,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties.networks import Network, networks

from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimize
from cnndsl.types.tensor import DType, TensorType

MORE_OF_THE_SAME = ("resnet101", "resnet152", "squeezenet1_1", "vgg11", "vgg13", "vgg19")
EXAMPLES = sorted(
    path
    for path in (Path(__file__).parents[2] / "examples").glob("*.cnn")
    if path.stem not in MORE_OF_THE_SAME
)
SIZES = {
    "bytenet": {"T": 40},
    "gcnn": {"T": 20},
    "unet": {"h": 11, "w": 12},
    "unet_padded": {"h": 2, "w": 3},
    "wavenet": {"T": 40},
    "yolov3": {"h": 2, "w": 3},
}


def traced_plan(module: Any, graph: Graph, sizes: dict[str, int], threads: int) -> Any:
    """Return the plan for some sizes, with what every step reads and writes in `plan.touched`."""
    touched: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = []

    class Traced(module.Plan):  # type: ignore[misc, name-defined]
        def step(
            self, kernel: Any, chunks: int, reads: Any, writes: Any, arguments: Any, **more: Any
        ) -> None:
            touched.append((tuple(reads), tuple(writes)))
            super().step(kernel, chunks, reads, writes, arguments, **more)

    # Zeros will do, for nothing is computed.
    weights = {p.value.name: np.zeros(p.spec.shape, np.float32) for p in graph.parameters}
    net = module.load(weights, threads=threads)
    shapes = {i.value.name: i.value.type.at(sizes) for i in graph.inputs}
    plan = Traced(net, module.bind(shapes))
    plan.touched = touched
    return plan


def check_buffers(module: Any, plan: Any) -> None:
    """Check the places of all maps against the steps that read and write them."""
    lives: dict[int, list[int]] = {id(m): [] for m in plan.maps}
    written: set[int] = set()
    layers = iter(plan.touched)
    for place, step in enumerate(plan.steps):
        label, writes = step.label, step.writes
        if step.kernel is module.clear_halo:
            assert id(writes[0]) not in written, f"{label}: a halo is cleared after its map is made"
            reads: tuple[Any, ...] = ()
        else:
            reads, planned = next(layers)
            assert planned == writes
            for m in writes:
                assert id(m) in lives
            for m in reads:
                assert id(m) in written, f"{label} reads a map that no step has made"
            for m in writes:
                cleared = any(
                    earlier.kernel is module.clear_halo and earlier.writes[0] is m
                    for earlier in plan.steps[:place]
                )
                assert cleared or not any(m.before + m.after), f"{label}: a halo is not cleared"
            written.update(id(m) for m in writes)
        for m in (*reads, *writes):
            lives[id(m)].append(place)
    assert next(layers, None) is None
    for m in plan.maps:
        assert 0 <= m.offset <= m.offset + m.bytes <= plan.arena_bytes
        assert m.offset % module.ALIGNMENT == 0
    for a, b in combinations(plan.maps, 2):
        if a.offset < b.offset + b.bytes and b.offset < a.offset + a.bytes:
            apart = max(lives[id(a)]) < min(lives[id(b)]) or max(lives[id(b)]) < min(lives[id(a)])
            assert apart, f"{a.label} and {b.label} lie in the same place at the same time"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_buffers_of_the_examples_do_not_overlap(path: Path) -> None:
    graph = optimize(load(path).graph).graph
    module = module_of(graph)
    usual = dict(graph.usual_sizes) | SIZES.get(path.stem, {})
    sizes = {s: usual.get(s, 2) for s in graph.symbols}
    check_buffers(module, traced_plan(module, graph, sizes, threads=4))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.booleans(), st.integers(1, 16))
def test_buffers_of_random_networks_do_not_overlap(
    network: Network, fused: bool, threads: int
) -> None:
    graph = optimize(network.graph).graph if fused else network.graph
    module = module_of(graph)
    check_buffers(module, traced_plan(module, graph, dict(network.sizes), threads))


def poison(net: Any) -> None:
    """Fill every idle arena with NaN (all bits set)."""
    for plan in net._plans.values():
        for _, _, _, keep in plan.free:
            keep[0].fill(0xFF)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_what_lay_in_the_arena_does_not_reach_a_result(rank: int) -> None:
    graph = graph_of_cases(cases(rank) if rank else vector_cases())
    inputs = random_arrays({i.value.name: i.value.type for i in graph.inputs}, seed=rank)
    net = module_of(graph).load(random_weights(graph, seed=rank), threads=2)
    first = net(**inputs)
    assert all(np.isfinite(v).all() for v in first.values())
    poison(net)
    for name, value in net(**inputs).items():
        np.testing.assert_array_equal(value, first[name], err_msg=name)


@pytest.mark.parametrize("name", ["inception", "unet_padded"])
def test_a_place_is_free_before_a_map_lives_and_after(name: str) -> None:
    """Before each step all but the living maps is filled with NaN; a step writes its maps alone."""
    graph = optimize(load(EXAMPLES[0].parent / f"{name}.cnn").graph).graph
    sizes = {s: {"N": 2, "h": 2, "w": 1}.get(s, 33) for s in graph.symbols}
    types = {i.value.name: TensorType(DType.FLOAT32, i.value.type.at(sizes)) for i in graph.inputs}
    inputs = random_arrays(types, seed=1)
    module = module_of(graph)
    net = module.load(random_weights(graph, seed=2), threads=1)
    expected = net(**inputs)
    plan = net._plan({name: value.shape for name, value in inputs.items()})
    table, floats, externals, (arena, *_) = plan.context()
    results = {name: np.empty(shape, np.float32) for name, shape in plan.results.items()}
    for row, column, name in externals:
        table[row, column] = (results if name in results else inputs)[name].ctypes.data
    start = -arena.ctypes.data % module.ALIGNMENT

    def lies(maps: Any) -> Any:
        found = np.zeros(len(arena), bool)
        for m in maps:
            found[start + m.offset : start + m.offset + m.bytes] = True
        return found

    for place, step in enumerate(plan.steps):
        arena[~lies(m for m in plan.maps if m.first <= place <= m.last)] = 0xFF
        before = arena.copy()
        one = slice(place, place + 1)
        module.run(table[one].copy(), floats[one].copy(), np.zeros(16, np.int64))
        assert not ((arena != before) & ~lies(step.writes)).any(), step.label
        assert all(m.first <= place <= m.last for m in step.writes), step.label
    (result,) = results.values()
    np.testing.assert_array_equal(result, expected)


@pytest.fixture(scope="module")
def tools() -> Any:
    """A module whose planner and kernels are called by hand."""
    return module_of(graph_of_cases(cases(2)))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    batch=st.integers(1, 40),
    channels=st.integers(1, 70),
    space=st.sampled_from([(1, 1), (1, 90), (7, 1), (5, 33), (40, 29)]),
    threads=st.integers(1, 16),
)
def test_rows_are_shared_out_exactly_once(
    tools: Any, batch: int, channels: int, space: tuple[int, int], threads: int
) -> None:
    plan = blank_plan(tools, threads)
    x = plan.map((batch, channels, *space))
    chunks, share = plan.split_rows(x)
    seen: Counter[tuple[int, int, int]] = Counter()
    for chunk in range(chunks):
        part, plane = chunk % share["parts"], chunk // share["parts"]
        block, n = plane % share["blocks"], plane // share["blocks"]
        first = part * share["rows_each"]
        seen.update((n, block, r) for r in range(first, min(first + share["rows_each"], x.rows)))
    assert seen == Counter(
        (n, b, r) for n in range(batch) for b in range(x.blocks) for r in range(x.rows)
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    batch=st.integers(1, 40),
    in_channels=st.sampled_from([1, 20, 600]),
    out_channels=st.sampled_from([1, 16, 40, 200]),
    groups=st.sampled_from([1, 2]),
    space=st.sampled_from([(1, 1), (1, 300), (7, 1), (5, 33), (40, 29)]),
    threads=st.integers(1, 16),
)
def test_tiles_of_a_convolution_cover_every_pixel_once(
    tools: Any,
    batch: int,
    in_channels: int,
    out_channels: int,
    groups: int,
    space: tuple[int, int],
    threads: int,
) -> None:
    plan = blank_plan(tools, threads)
    lanes = tools.LANES
    each = -(-out_channels // lanes) * lanes
    x = plan.map((batch, groups * lanes * -(-in_channels // lanes), *space))
    y = plan.map((batch, groups * each, *space))
    zeros = np.zeros(8, np.float32)
    tools._multiply(
        plan, x, y, zeros, zeros, [(0, 0, 0)],
        in_channels=in_channels, out_channels=out_channels, groups=groups,
    )  # fmt: skip
    chunks, arguments = plan.steps[-1].chunks, plan.steps[-1].arguments
    values = arguments()
    written: Counter[int] = Counter()

    def tile(pixels: int, blocks: int, *rest: Any) -> None:
        _, _, _, _, _, _, y_at, y_step, y_block, *_ = rest
        assert 1 <= pixels <= tools.TILE_PIXELS
        written.update(
            y_at + 4 * (p * y_step + b * y_block) for p in range(pixels) for b in range(blocks)
        )

    kernel = tools.conv.py_func
    run = type(kernel)(kernel.__code__, {**kernel.__globals__, "tile": tile})
    for chunk in range(chunks):
        run(chunk, **values)
    vectors = y.bytes // (4 * lanes)
    assert written == Counter(4 * lanes * i for i in range(vectors))


def blank_plan(module: Any, threads: int) -> Any:
    """Return a plan without steps."""
    plan = object.__new__(module.Plan)
    plan.net = module.Network({}, threads)
    plan.steps, plan.maps, plan.label, plan.macs = [], [], "", 0
    return plan
