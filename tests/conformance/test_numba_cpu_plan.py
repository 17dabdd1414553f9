"""The plan of a generated module: buffers that never overlap, chunks that cover all, no leaks.

The generated module computes in one arena that it never clears. These tests recompute from the
steps alone when a map lives, and fill the arena with NaN to show that nothing reads what no step
of this call wrote.
"""

from __future__ import annotations

import inspect
from collections import Counter
from itertools import combinations, groupby, pairwise
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
from properties.networks import GraphBuilder, Network, float32, networks

from cnndsl.backends.numba_cpu.options import FUSE
from cnndsl.backends.reference.run import run
from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.ops.activation import PRelu, Relu, Sigmoid
from cnndsl.ops.base import Op
from cnndsl.ops.conv import Conv
from cnndsl.ops.dense import Dense
from cnndsl.ops.elementwise import Add
from cnndsl.ops.norm import BatchNorm
from cnndsl.ops.pool import MaxPool
from cnndsl.ops.shape import Concat
from cnndsl.passes.pipeline import optimize
from cnndsl.types.padding import Same
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


def plan_of(module: Any, graph: Graph, sizes: dict[str, int], threads: int) -> Any:
    """Return the plan for some sizes."""
    # Zeros will do, for nothing is computed.
    weights = {p.value.name: np.zeros(p.spec.shape, np.float32) for p in graph.parameters}
    net = module.load(weights, threads=threads)
    shapes = {i.value.name: i.value.type.at(sizes) for i in graph.inputs}
    return module.Plan(net, module.bind(shapes))


def check_buffers(module: Any, plan: Any) -> None:
    """Check the places of all buffers against the steps that read and write their maps."""
    lives: dict[int, list[int]] = {id(b): [] for b in plan.buffers}
    together = check_groups(module, plan)
    written: set[int] = set()
    cleared: set[int] = set()
    for b in plan.buffers:
        assert b.maps[0].first_block == 0
        assert all(m.buffer is b for m in b.maps)
        assert all(m.first_block + m.blocks <= b.blocks for m in b.maps)
        assert len({(m.n, *m.space, m.lanes) for m in b.maps}) == 1
    for place, step in enumerate(plan.steps):
        label, reads, writes = step.label, step.reads, step.writes
        if step.kernel is module.clear_halo:
            (m,) = writes
            assert m is m.buffer.maps[0]
            assert not written & {id(x) for x in m.buffer.maps}, f"{label}: cleared after use"
            assert id(m.buffer) not in cleared
            cleared.add(id(m.buffer))
        else:
            for m in reads:
                assert made(m, written), f"{label} reads a map that no step has made"
            for m in writes:
                halo = any(m.buffer.before + m.buffer.after)
                assert not halo or id(m.buffer) in cleared, f"{label}: a halo is not cleared"
            if step.kernel is not getattr(module, "gather", None):  # it fills what others leave
                around = [m for m in reads if [r.buffer for r in reads].count(m.buffer) > 1]
                later = [m for other in plan.steps[place + 1 :] for m in other.reads]
                for m in (*around, *later):
                    needed = id(m) in written and m not in writes
                    lost = needed and any(overlap(m, y) for y in writes)
                    assert not lost, f"{label} writes over {m.label}, which is still read"
            written.update(id(m) for m in writes)
        for m in (*reads, *writes):
            lives[id(m.buffer)] += together[place]
    for b in plan.buffers:
        assert 0 <= b.offset <= b.offset + b.bytes <= plan.arena_bytes
        assert b.offset % module.ALIGNMENT == 0
        assert (b.first, b.last) == (min(lives[id(b)]), max(lives[id(b)]))
    for a, b in combinations(plan.buffers, 2):
        if a.offset < b.offset + b.bytes and b.offset < a.offset + a.bytes:
            apart = a.last < b.first or b.last < a.first
            assert apart, f"{a.maps[0].label} and {b.maps[0].label} share a place at a time"


def check_groups(module: Any, plan: Any) -> list[range]:
    """Return, for each step, those between which nobody waits: none may touch what another writes.

    Where the frame of a map is cleared, the map may be made at the same time.
    """
    together: list[range] = []
    for last, awaited in enumerate(plan.awaited):
        if not awaited:
            continue
        places = range(len(together), last + 1)
        group = [plan.steps[place] for place in places]
        assert awaited == sum(step.chunks for step in group)
        for step, other in combinations(group, 2):
            frame = step.kernel is module.clear_halo
            used = other.reads if frame else (*other.reads, *other.writes)
            lost = [(a, b) for a in step.writes for b in used if overlap(a, b)]
            lost += [(a, b) for a in step.reads for b in other.writes if overlap(a, b)]
            assert not lost, f"{step.label} and {other.label} are not waited for"
        together += [places] * len(places)
    assert len(together) == len(plan.steps)
    return together


def overlap(a: Any, b: Any) -> bool:
    """Return whether two maps share blocks of a buffer."""
    apart = a.first_block + a.blocks <= b.first_block or b.first_block + b.blocks <= a.first_block
    return a.buffer is b.buffer and not apart


def made(m: Any, written: set[int]) -> bool:
    """Return whether steps have written a map, or maps that together have all its channels."""
    first = m.lanes * m.first_block
    return id(m) in written or set(range(first, first + m.c)) <= {
        m.lanes * x.first_block + c for x in m.buffer.maps if id(x) in written for c in range(x.c)
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_buffers_of_the_examples_do_not_overlap(path: Path) -> None:
    graph = optimize(load(path).graph).graph
    module = module_of(graph)
    usual = dict(graph.usual_sizes) | SIZES.get(path.stem, {})
    sizes = {s: usual.get(s, 2) for s in graph.symbols}
    check_buffers(module, plan_of(module, graph, sizes, threads=4))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.booleans(), st.sampled_from(FUSE), st.integers(1, 16))
def test_buffers_of_random_networks_do_not_overlap(
    network: Network, optimized: bool, fuse: str, threads: int
) -> None:
    graph = optimize(network.graph).graph if optimized else network.graph
    module = module_of(graph)
    module.FUSE = fuse
    check_buffers(module, plan_of(module, graph, dict(network.sizes), threads))


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
        """Return where in the arena the blocks of some maps lie, with their halo."""
        found = np.zeros(len(arena), bool)
        for m in maps:
            first = start + m.buffer.offset
            n, block = (4 * stride for stride in m.strides[:2])
            for sample in range(m.n):
                at = first + sample * n + m.first_block * block
                found[at : at + m.blocks * block] = True
        return found

    for place, step in enumerate(plan.steps):
        alive = [b for b in plan.buffers if b.first <= place <= b.last]
        arena[~lies(b.maps[0] for b in alive)] = 0xFF
        before = arena.copy()
        one = slice(place, place + 1)
        rows = table[one].copy(), floats[one].copy()
        module.work(0, module.job_of(*rows, 1, True).ctypes.data, 0)
        assert not ((arena != before) & ~lies(step.writes)).any(), step.label
        assert all(m.buffer in alive for m in step.writes), step.label
    (result,) = results.values()
    np.testing.assert_array_equal(result, expected)


@st.composite
def joined(draw: st.DrawFn) -> Network:
    """Draw a network of concatenations: nested, of any width, of values used elsewhere as well."""
    b = GraphBuilder()
    widths = st.sampled_from([8, 16, 16, 32, 40])
    space = draw(st.sampled_from([(), (5,), (4, 6), (1, 1), (2, 3, 4)]))
    ones, threes = (1,) * len(space), (3,) * len(space)
    values = [b.input("x", float32("N", draw(widths), *space))]
    for _ in range(draw(st.integers(3, 10))):
        at = values[-1] if draw(st.booleans()) else draw(st.sampled_from(values))
        kind = draw(st.sampled_from(["concat", "concat", "concat", "layer", "pointwise", "sum"]))
        if kind == "concat":
            parts = [at, *draw(st.lists(st.sampled_from(values), max_size=3))]
            values.append(b.add(Concat(axis=1), *draw(st.permutations(parts))))
            continue
        if kind == "layer" and not space:
            values.append(b.add(Dense(out_features=draw(widths), bias=True), at))
        elif kind == "layer":
            kernel = draw(st.sampled_from([ones, threes]))
            layers: list[Op] = [
                Conv(
                    out_channels=draw(widths), kernel=kernel, stride=ones, dilation=ones, bias=True
                ),
                MaxPool(kernel=threes, stride=ones, padding=Same(), dilation=ones),
            ]
            values.append(b.add(draw(st.sampled_from(layers)), at))
        elif kind == "pointwise":
            values.append(b.add(draw(st.sampled_from([Sigmoid(), BatchNorm(), PRelu()])), at))
        else:
            like = [v for v in values if b.types[v].channels == b.types[at].channels]
            values.append(b.add(Add(), at, draw(st.sampled_from(like))))
        if draw(st.booleans()):
            values.append(b.add(Relu(), values[-1]))
    others = draw(st.lists(st.sampled_from(values), max_size=3, unique=True))
    outputs = {f"y{i}": v for i, v in enumerate([values[-1], *others])}
    return Network(b.graph(**outputs), {"N": draw(st.integers(1, 3))}, draw(st.integers(0, 999)))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(joined(), st.booleans(), st.integers(1, 4))
def test_concatenations_in_place_equal_the_reference(
    network: Network, fused: bool, threads: int
) -> None:
    graph = optimize(network.graph).graph if fused else network.graph
    module = module_of(graph)
    check_buffers(module, plan_of(module, graph, dict(network.sizes), threads))
    net = module.load(network.weights, threads=threads)
    net(**network.inputs)
    poison(net)
    got = net(**network.inputs)
    results = got if isinstance(got, dict) else {"y0": got}
    wide = {name: x.astype(np.float64) for name, x in network.inputs.items()}
    for name, expected in run(network.graph, wide, network.weights).items():
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(results[name], expected, atol=1e-4 * scale, err_msg=name)


def gathers(text: str, tmp_path: Path) -> int:
    """Return how many copies the plan of a program makes."""
    path = tmp_path / "net.cnn"
    path.write_text(f"network net\ninput x: float32[N, 16, 8, 8]\n{text}\n")
    graph = optimize(load(path).graph).graph
    module = module_of(graph)
    plan = plan_of(module, graph, {"N": 2}, threads=1)
    return sum(step.kernel is getattr(module, "gather", None) for step in plan.steps)


@pytest.mark.parametrize(
    ("text", "copies"),
    [
        ("output y = x -> [conv1x1(16), conv3x3(32), maxpool3x3(stride=1, padding=1)]", 0),
        ("output y = x -> [conv1x1(16), conv1x1(5)] -> conv3x3(4)", 0),  # the last ends anywhere
        ("output y = x -> [conv1x1(3), conv1x1(16)]", 1),  # the second starts within a block
        (
            "y = (x, x -> conv1x1(16)) -> concat\noutput z = (y, y -> conv3x3(16)) -> concat",
            0,
        ),  # nested
        ("a = x -> conv1x1(16)\noutput y = (a, x -> relu, a) -> concat", 1),  # not in two places
        ("a = x -> conv1x1(16)\noutput y = (x, a) -> concat\noutput z = (a, x) -> concat", 2),
    ],
)
def test_concatenations_copy_what_they_must(text: str, copies: int, tmp_path: Path) -> None:
    assert gathers(text, tmp_path) == copies


@pytest.fixture(scope="module")
def tools() -> Any:
    """A module whose planner and kernels are called by hand."""
    return module_of(graph_of_cases(cases(2)))


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.integers(1, 80), st.integers(0, 15)), max_size=12),
    st.integers(1, 80),
    st.integers(0, 80),
)
def test_kept_weights_share_no_memory(
    tools: Any, arrays: list[tuple[int, int]], large: int, more: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tools, "LARGE_BYTES", 4 * large)
        patch.setattr(tools, "PIECE_BYTES", 4 * (large + more))
        store = tools._Store()
        given = [
            np.arange(16 * i, 16 * i + n + at, dtype=np.float32)[at:]
            for i, (n, at) in enumerate(arrays)
        ]
        kept = [store.keep(values) for values in given]
    assert all(array.ctypes.data % 64 == 0 for array in kept)
    for array, values in zip(kept, given, strict=True):  # what came later has not written there
        assert np.array_equal(array, values)
    assert not any(np.shares_memory(a, b) for a, b in combinations(kept, 2))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    batch=st.integers(1, 40),
    channels=st.integers(1, 70),
    space=st.sampled_from([(1, 1), (1, 90), (7, 1), (5, 33), (40, 29)]),
    threads=st.integers(1, 16),
    whole=st.booleans(),
)
def test_pixels_are_shared_out_exactly_once(
    tools: Any, batch: int, channels: int, space: tuple[int, int], threads: int, whole: bool
) -> None:
    plan = blank_plan(tools, threads)
    x = plan.map((batch, channels, *space))
    chunks, share = plan.split_pixels(x, whole=whole)
    pixels = x.rows * x.w
    seen: Counter[tuple[int, int]] = Counter()
    for chunk in range(chunks):
        part, plane = chunk % share["parts"], chunk // share["parts"]
        first = part * share["pixels_each"]
        seen.update((plane, p) for p in range(first, min(first + share["pixels_each"], pixels)))
    planes = batch if whole else batch * share["blocks"]
    assert seen == Counter((plane, p) for plane in range(planes) for p in range(pixels))
    assert chunks >= min(3 * threads, planes * pixels)


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
    y = add_convolution(tools, plan, batch, in_channels, out_channels, groups, space)
    (step,) = plan.steps
    written: Counter[int] = Counter()
    for calls in tiles_of_chunks(tools, step.chunks, step.arguments()):
        for call in calls:
            pixels = call["tiles"] * call["pixels"]
            assert 1 <= call["pixels"] <= tools.TILE_PIXELS
            assert call["tiles"] == 1 or pixels <= call["left"]
            written.update(
                call["y"] + 4 * (p * call["y_step"] + b * call["y_block"])
                for p in range(pixels)
                for b in range(call["blocks"])
            )
    vectors = y.buffer.bytes // (4 * tools.LANES)
    assert written == Counter(4 * tools.LANES * i for i in range(vectors))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    batch=st.integers(1, 3),
    sizes=st.lists(
        st.tuples(
            st.sampled_from([16, 600, 3000]),
            st.sampled_from([16, 40, 200]),
            st.sampled_from([1, 2]),
            st.sampled_from([(1, 1), (1, 300), (7, 7), (40, 29)]),
        ),
        min_size=1,
        max_size=3,
    ),
    threads=st.integers(1, 5),
)
def test_tiles_ask_for_the_weights_that_their_thread_reads_next(
    tools: Any, batch: int, sizes: list[tuple[int, int, int, tuple[int, int]]], threads: int
) -> None:
    plan = blank_plan(tools, threads)
    for size in sizes:
        add_convolution(tools, plan, batch, *size)
    arguments = [step.arguments() for step in plan.steps]
    plan._follow(arguments)
    traced = [
        tiles_of_chunks(tools, step.chunks, values)
        for step, values in zip(plan.steps, arguments, strict=True)
    ]
    for share in range(threads):
        rounds = [  # of tiles that multiply with the same weights, in the order of one thread
            list(calls)
            for chunks in traced
            for chunk in of_share(chunks, share, threads)
            for _, calls in groupby(chunk, lambda call: call["w"])
        ]
        for now, then in pairwise(rounds):
            step = now[0]["ahead_step"]
            tiles = sum(call["tiles"] for call in now)
            assert (step > 0) == (tiles > 1)
            if step:
                assert now[0]["ahead"] == then[0]["w"]
                assert step * tiles >= 8 * tools.ASK_EVERY  # all of two blocks of weights


def of_share(chunks: list[Any], share: int, shares: int) -> list[Any]:
    """Return the chunks that a thread does unless another one takes some of them."""
    return chunks[share * len(chunks) // shares : (share + 1) * len(chunks) // shares]


def add_convolution(
    tools: Any,
    plan: Any,
    batch: int,
    in_channels: int,
    out_channels: int,
    groups: int,
    space: tuple[int, int],
) -> Any:
    """Add a 1x1 convolution, and return the map of its results."""
    lanes = tools.LANES
    each = -(-out_channels // lanes) * lanes
    x = plan.map((batch, groups * lanes * -(-in_channels // lanes), *space))
    y = plan.map((batch, groups * each, *space))
    weights = np.zeros(groups * (each + each % (2 * lanes)) * in_channels, np.float32)
    name = f"weights {len(plan.steps)}"
    product = tools.Product(x, name, lambda: weights, weights, in_channels, [(0, 0, 0)])
    tools._multiply(plan, product, y, out_channels=out_channels, groups=groups)
    return y


def tiles_of_chunks(tools: Any, chunks: int, values: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Return the arguments with which each chunk of a convolution calls the register tile."""
    calls: list[dict[str, Any]] = []
    names = list(inspect.signature(tools.tile.py_func).parameters)

    def invoke(tile: Any, *arguments: Any) -> None:
        calls.append(dict(zip(names, arguments, strict=True)))

    following = values["following"]

    def entry(address: int, index: int) -> int:
        assert address == following.ctypes.data
        return int(following[index])

    kernel = tools.conv.py_func
    replaced = {**kernel.__globals__, "invoke": invoke, "entry": entry}
    traced = type(kernel)(kernel.__code__, replaced)
    values = {**values, "following": following.ctypes.data}
    found = []
    for chunk in range(chunks):
        calls.clear()
        traced(chunk, **values)
        found.append(list(calls))
    return found


def blank_plan(module: Any, threads: int) -> Any:
    """Return a plan without steps."""
    plan = object.__new__(module.Plan)
    plan.net = module.Network({}, threads)
    plan.steps, plan.maps, plan.label, plan.macs = [], [], "", 0
    plan.threads = threads
    return plan
