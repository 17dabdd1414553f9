"""Planned memory: equal to what the module itself plans, and to what its steps keep alive."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numba
import pytest
from conformance.cases import cases, vector_cases
from conformance.modules import graph_of_cases, module_of
from conformance.test_numba_cpu_plan import check_groups, plan_of
from hypothesis import HealthCheck, Phase, given, settings
from properties.networks import Network, networks

from cnndsl.backends.numba_cpu.plan import LANES, TILE_PIXELS, peak_memory_bytes, planned_memory
from cnndsl.diagnostics import CompileError
from cnndsl.driver.load import load
from cnndsl.driver.samples import usual_sizes
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimize

EXAMPLES = Path(__file__).parents[2] / "examples"


def graph_of(tmp_path: Path, text: str) -> Graph:
    path = tmp_path / "net.cnn"
    path.write_text("network net\n" + text)
    return load(path).graph


def check_against_module(graph: Graph, sizes: dict[str, int]) -> None:
    """Plan with the real module, on vectors of LANES, and trace what each step touches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba.config, "CPU_FEATURES", "+avx512f")
        patch.setattr(numba.config, "CPU_NAME", "znver4")
        patch.setattr(os, "listdir", lambda path: [])  # no word of caches
        module: Any = module_of(optimize(graph).graph, share=False)
    assert (module.LANES, module.TILE_PIXELS) == (LANES, TILE_PIXELS)
    plan = plan_of(module, optimize(graph).graph, sizes, threads=1)
    memory = planned_memory(graph, sizes)
    assert memory.arena_bytes == plan.arena_bytes
    together = check_groups(module, plan)
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for step, places in zip(plan.steps, together, strict=True):
        for m in (*step.reads, *step.writes):
            first.setdefault(id(m.buffer), places[0])
            last[id(m.buffer)] = places[-1]
    found: dict[str, int] = {}
    for place, step in enumerate(plan.steps):
        alive = sum(
            -(-b.bytes // 64) * 64 for b in plan.buffers if first[id(b)] <= place <= last[id(b)]
        )
        for part in step.parts or (step,):
            label = part.label or "input"
            found[label] = max(found.get(label, 0), alive)
    assert memory.live_bytes == found
    assert max(found.values()) <= memory.arena_bytes


@pytest.mark.parametrize("name", ["lenet", "inception", "resnet18"])
def test_examples_plan_as_their_modules_do(name: str) -> None:
    graph = load(EXAMPLES / f"{name}.cnn").graph
    check_against_module(graph, usual_sizes(graph))


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
@given(networks())
def test_random_networks_plan_as_their_modules_do(network: Network) -> None:
    check_against_module(network.graph, dict(network.sizes))


def test_by_hand(tmp_path: Path) -> None:
    """A map of 16 channels, a block of LANES, and of the result, clamped as it is made, a tile."""
    graph = graph_of(
        tmp_path, "input x: float32[N, 16, 8, 8]\noutput y = x -> conv1x1(16) -> relu\n"
    )
    memory = planned_memory(graph)
    x, tile = 4 * LANES * 64, 4 * LANES * TILE_PIXELS
    assert memory.arena_bytes == x + tile
    assert memory.live_bytes == {"input": x, "conv1x1": x + tile}
    # Of each of three samples there are two chunks, the larger of three tiles.
    assert peak_memory_bytes(graph, {"N": 3}) == 3 * x + 3 * tile


def test_channels_fill_whole_blocks_and_padding_is_kept(tmp_path: Path) -> None:
    text = "input x: float32[N, 17, 8, 8]\noutput y = x -> conv3x3(1) -> sigmoid\n"
    x = 4 * 2 * LANES * 10 * 10
    y = 4 * LANES * 8 * 8
    assert peak_memory_bytes(graph_of(tmp_path, text)) == x + y


@pytest.mark.parametrize(
    ("text", "maps"),
    [
        ("h = x -> conv1x1(16)\noutput y = (h -> conv1x1(16)) + h", 2),
        ("h = x -> conv1x1(16)\noutput y = (h -> conv1x1(16) -> relu) + h", 2),
        ("h = x -> conv1x1(16)\noutput y = (h -> conv1x1(16) -> conv1x1(16)) + h -> sigmoid", 2),
        ("h = x -> conv1x1(16)\noutput y = (h -> conv1x1(16)) + h\noutput z = h -> sigmoid", 2),
        ("output y = x -> maxpool3x3(stride=1, padding=1) -> sigmoid -> bn", 2),
        ("y = x -> sigmoid\noutput z = y + x\noutput q = y * x", 3),
    ],
)
def test_results_lie_over_operands_that_die(tmp_path: Path, text: str, maps: int) -> None:
    """Counted by hand, in maps of 16 channels; the input is one of them."""
    graph = graph_of(tmp_path, f"input x: float32[N, 16, 8, 8]\n{text}\n")
    assert peak_memory_bytes(graph) == maps * 4096


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_every_layer_is_planned_without_its_weights(rank: int) -> None:
    chosen = cases(rank) if rank else vector_cases()
    memory = planned_memory(graph_of_cases(chosen))
    # A flattening of vectors passes them on, and has no step.
    assert len(memory.live_bytes) > 0.9 * len(chosen)


def test_a_size_that_is_not_known_is_asked_for(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, "input x: float32[N, 3, H, W = 8]\noutput y = x -> conv3x3(4)\n")
    with pytest.raises(CompileError, match="CNN207: the size H must be known to plan memory"):
        planned_memory(graph)
    assert peak_memory_bytes(graph, {"H": 8}) == peak_memory_bytes(graph, {"H": 8, "W": 8})


def test_a_size_too_small_is_an_error(tmp_path: Path) -> None:
    text = "input x: float32[N, 3, H, H]\noutput y = x -> conv3x3(4, padding=valid)\n"
    with pytest.raises(CompileError, match="CNN204: at N = 1, H = 2: conv3x3: the input is too"):
        planned_memory(graph_of(tmp_path, text), {"H": 2})


def test_no_weights_are_made(tmp_path: Path) -> None:
    """A plan of a layer with 4 GB of weights takes none of them."""
    text = "input x: float32[N, 32768]\noutput y = x -> dense(32768)\n"
    assert peak_memory_bytes(graph_of(tmp_path, text)) == 2 * 4 * 32768
