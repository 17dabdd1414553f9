"""Receptive fields against brute force: the inputs whose change moves a unit, on random graphs.

Weights are positive and pools are averages, so that nothing cancels or hides: a unit depends on an
input position if and only if adding to that position changes the unit.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from properties.networks import GraphBuilder, float32

from cnndsl.analysis.axis_field import AxisField
from cnndsl.analysis.borders import CleanUnits, clean_units, padding_inside
from cnndsl.analysis.coverage import coverage
from cnndsl.analysis.dilation_schedule import WindowLayer, covering_dilations, covers
from cnndsl.analysis.receptive_field import ReceptiveFields, receptive_fields
from cnndsl.analysis.resolution import sight
from cnndsl.backends.reference.run import run
from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.ops.activation import Sigmoid
from cnndsl.ops.base import Op, OpError
from cnndsl.ops.conv import Conv
from cnndsl.ops.elementwise import Add
from cnndsl.ops.pool import AveragePool, GlobalAveragePool
from cnndsl.ops.rearrange import DepthToSpace, SpaceToDepth
from cnndsl.ops.resample import Upsample
from cnndsl.ops.shape import Concat
from cnndsl.ops.slicing import Crop, Pad, Slice
from cnndsl.ops.transposed import ConvTranspose
from cnndsl.types.padding import Causal, Explicit, Padding, Same, Valid


def paddings() -> st.SearchStrategy[Padding]:
    explicit = st.tuples(st.integers(0, 2), st.integers(0, 2)).map(lambda p: Explicit((p,)))
    return st.one_of(st.just(Same()), st.just(Valid()), st.just(Causal()), explicit)


@st.composite
def ops(draw: st.DrawFn, channels: int) -> Op:
    """Draw an op of one operand with one spatial axis."""
    kernel, stride, dilation = (draw(st.integers(1, n)) for n in (4, 3, 3))
    padding = draw(paddings())
    choices = [
        Conv(
            out_channels=2,
            kernel=(kernel,),
            stride=(stride,),
            dilation=(dilation,),
            padding=padding,
            bias=False,
        ),
        Conv(out_channels=4, kernel=(kernel,), padding=Same(), bias=True),
        Conv(out_channels=1, kernel=(9,), stride=(stride,), padding=Same(), bias=False),
        ConvTranspose(
            out_channels=2,
            kernel=(kernel,),
            stride=(stride,),
            dilation=(dilation,),
            padding=draw(st.sampled_from([Same(), Valid()])),
            bias=False,
        ),
        AveragePool(kernel=(2,), stride=(stride,), padding=Valid()),
        AveragePool(kernel=(3,), stride=(stride,), padding=Same(), ceil_mode=True),
        Upsample(scale=(draw(st.integers(1, 3)),), mode="nearest"),
        Upsample(scale=(draw(st.integers(1, 3)),), mode="bilinear"),
        Crop(margin=Explicit(((draw(st.integers(0, 2)), 1),))),
        Pad(amount=Explicit(((draw(st.integers(0, 2)), 1),))),
        Slice(axis=2, start=draw(st.integers(0, 2)), step=draw(st.integers(1, 2))),
        SpaceToDepth(block=2),
        Sigmoid(),
    ]
    if channels % 2 == 0:
        choices.append(DepthToSpace(block=2))
    return draw(st.sampled_from(choices))


@st.composite
def graphs(draw: st.DrawFn, *, whole: bool = False) -> Graph:
    """Draw a graph with strides, dilations, up-sampling and branches that merge."""
    b = GraphBuilder("random")
    extent = draw(st.integers(8, 40))
    values = [b.input("x", float32("N", 2, extent))]
    for _ in range(draw(st.integers(1, 7))):
        x = draw(st.sampled_from(values[-4:]))
        try:
            if draw(st.integers(0, 2)) == 0 and len(values) > 1:
                y = draw(st.sampled_from(values[-4:]))
                same = b.types[x] == b.types[y]
                values.append(b.add(Add() if same else Concat(), x, y))
            elif whole and draw(st.integers(0, 5)) == 0:
                gate = b.add(GlobalAveragePool(keep_axes=True), x)
                values.append(b.add(Add(), x, gate))
            else:
                made = b.add(draw(ops(b.types[x].shape[1])), x)
                if isinstance(b.nodes[-1].op, SpaceToDepth):
                    # Fields do not tell channels apart; mixed, every channel sees the same.
                    made = b.add(Conv(out_channels=4, kernel=(1,), stride=(1,), bias=False), made)
                values.append(made)
        except OpError:
            continue
        if b.types[values[-1]].shape[2] > 160:
            values.pop()
    assume(len(values) > 1)
    return b.graph(values[-1])


def weights_of(graph: Graph) -> dict[str, np.ndarray]:
    """Return positive weights, all different."""
    rng = np.random.default_rng(1)
    return {
        p.value.name: rng.uniform(0.5, 1.5, p.spec.shape) / max(p.spec.fan_in, 1)
        for p in graph.parameters
    }


def moved(graph: Graph, value: str) -> list[set[int]]:
    """Return, for each unit, the input positions whose change moves it."""
    weights = weights_of(graph)
    (x,) = graph.inputs
    shape = x.value.type.shape
    extent = int(shape[2])  # type: ignore[call-overload]
    # One position of one sample is changed in each: all in one batch.
    one = np.random.default_rng(2).uniform(0.1, 0.3, (1, *shape[1:]))  # type: ignore[arg-type]
    base = np.tile(one, (extent + 1, 1, 1))
    base[np.arange(extent), :, np.arange(extent)] += 0.5
    result = run(graph, {x.value.name: base}, weights)[value]
    changed = np.abs(result[:-1] - result[-1]).max(axis=1) > 1e-13
    return [set(np.flatnonzero(changed[:, unit]).tolist()) for unit in range(changed.shape[1])]


def seen(axis: AxisField, unit: int, extent: int) -> set[int]:
    interval = axis.interval(unit)
    if interval is None:
        return set()
    return set(range(max(interval[0], 0), min(interval[1], extent - 1) + 1))


def field(graph: Graph, value: str) -> tuple[ReceptiveFields, AxisField]:
    fields = receptive_fields(graph)
    found = fields.of(value)
    assume(found is not None)  # branches of unequal jump are irregular
    assert found is not None
    return fields, found.hull[0]


@settings(max_examples=250, deadline=None)
@given(graphs())
def test_a_unit_depends_on_nothing_outside_its_field(graph: Graph) -> None:
    value = graph.outputs[0].value
    fields, axis = field(graph, value)
    positions = coverage(graph, fields, keep=[value]).positions[value][0]
    (extent,) = fields.extents
    for unit, depends in enumerate(moved(graph, value)):
        assert depends <= seen(axis, unit, extent)
        assert depends <= read(positions.at(unit), extent)


def read(found: tuple[int, int] | None, extent: int) -> set[int]:
    if found is None:
        return set()
    first, bits = found
    return {first + i for i in range(bits.bit_length()) if bits >> i & 1} & set(range(extent))


def away_from_borders(graph: Graph, fields: ReceptiveFields, value: str) -> list[int]:
    """Return the units on whose way no op reads beyond its operand."""
    needed = {value: set(range(int(graph.types[value].shape[2])))}  # type: ignore[call-overload]
    # Forward, the positions of each value that depend on no padding.
    clean = {fields.input: np.ones(fields.extents[0], bool)}
    from cnndsl.analysis.axis_field import reads

    for node in graph.nodes:
        out = int(graph.types[node.output.name].shape[2])  # type: ignore[call-overload]
        good = np.ones(out, bool)
        types = [graph.types[name] for name in node.inputs]
        for operand, name in enumerate(node.inputs):
            reach = node.op.reach(types, operand).axes[0]  # type: ignore[union-attr]
            before = clean[name]
            for unit in range(out):
                good[unit] &= all(0 <= p < len(before) and before[p] for p in reads(reach, unit))
        clean[node.output.name] = good
    return [unit for unit in needed[value] if clean[value][unit]]


@settings(max_examples=250, deadline=None)
@given(graphs())
def test_away_from_borders_the_field_is_the_set_of_inputs_that_move_the_unit(
    graph: Graph,
) -> None:
    value = graph.outputs[0].value
    fields, axis = field(graph, value)
    positions = coverage(graph, fields, keep=[value]).positions[value][0]
    depends = moved(graph, value)
    for unit in away_from_borders(graph, fields, value):
        assert depends[unit] == read(positions.at(unit), fields.extents[0])
        ends = axis.interval(unit)
        if ends is None:
            assert not depends[unit]
        else:
            assert (min(depends[unit]), max(depends[unit])) == ends


@settings(max_examples=80, deadline=None)
@given(graphs(whole=True))
def test_gates_see_the_whole_map(graph: Graph) -> None:
    value = graph.outputs[0].value
    fields, axis = field(graph, value)
    positions = coverage(graph, fields, keep=[value]).positions[value][0]
    assert positions.whole == axis.whole
    for unit, depends in enumerate(moved(graph, value)):
        assert depends <= seen(axis, unit, fields.extents[0])
        assert depends <= read(positions.at(unit), fields.extents[0])


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_the_hull_covers_both_paths_and_the_smallest_is_not_larger(graph: Graph) -> None:
    fields = receptive_fields(graph)
    for found in fields.fields.values():
        hull, small, large = found.hull[0], found.smallest[0], found.largest[0]
        assert small.size <= large.size <= hull.size
        for unit in range(2 * hull.period):
            for path in (small, large):
                ends = path.interval(unit)
                around = hull.interval(unit)
                if ends is not None:
                    assert around is not None
                    assert around[0] <= ends[0] <= ends[1] <= around[1]


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_clean_units_see_no_padding(graph: Graph) -> None:
    value = graph.outputs[0].value
    fields, _ = field(graph, value)
    assume(value not in padding_inside(graph, fields))
    clean = clean_units(fields, value)
    assert clean is not None
    assert clean.clean == len(away_from_borders(graph, fields, value))


@pytest.mark.parametrize("op", ["upsample(1)", "depth_to_space(1)"])
def test_one_unit_that_stays_one_keeps_its_field(op: str, tmp_path: Path) -> None:
    (tmp_path / "net.cnn").write_text(
        "network net\ninput x: float32[N, 2, 7]\n"
        f"output y = x -> conv3(2, dilation = 3, padding = 0) -> {op}\n"
    )
    graph = load(tmp_path / "net.cnn").graph
    fields = receptive_fields(graph)
    (before, after) = (fields.of(n.output.name) for n in graph.nodes)
    assert after == before
    assert clean_units(fields, graph.outputs[0].value) == CleanUnits(1, 1)


@settings(max_examples=100, deadline=None)
@given(graphs(), st.integers(1, 12))
def test_an_object_is_seen_wherever_it_lies_or_a_place_is_in_no_field(
    graph: Graph, extent: int
) -> None:
    value = graph.outputs[0].value
    fields, axis = field(graph, value)
    producer = graph.producers[value]
    only = replace(graph, nodes=tuple(n for n in graph.nodes if n is producer))
    turns = range(-20 * axis.period, 20 * axis.period)
    ends = [e for unit in turns if (e := axis.interval(unit)) is not None]
    middle = range(axis.shift)
    everywhere = all(
        any(first <= p and p + extent - 1 <= last for first, last in ends) for p in middle
    )
    assert (sight(only, fields, (extent,)).anywhere is producer) == everywhere


dilated = st.lists(st.integers(1, 9), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(dilated, st.integers(2, 5))
def test_the_criterion_decides_as_the_sumset_does(dilations: list[int], kernel: int) -> None:
    positions = {0}
    for d in dilations:
        positions = {p + k * d for p in positions for k in range(kernel)}
    windows = [WindowLayer(str(i), kernel, d, 1) for i, d in enumerate(dilations)]  # type: ignore[arg-type]
    assert covers(windows) == (len(positions) == max(positions) + 1)
    smaller = covering_dilations(windows)
    assert smaller is not None
    again = [WindowLayer(str(i), kernel, d, 1) for i, d in enumerate(smaller)]  # type: ignore[arg-type]
    assert covers(again)
    assert all(new <= old for new, old in zip(smaller, dilations))
    assert covers(windows) <= (smaller == dilations)


@pytest.mark.parametrize("depth", [1, 2, 5, 20])
@pytest.mark.parametrize("dilation", [1, 2])
def test_a_stack_of_3x3_sees_2n_plus_1(depth: int, dilation: int) -> None:
    b = GraphBuilder()
    x = b.input("x", float32(1, 1, 64, 64))
    for _ in range(depth):
        conv = Conv(
            out_channels=1,
            kernel=(3, 3),
            stride=(1, 1),
            dilation=(dilation, dilation),
            bias=False,
        )
        x = b.add(conv, x)
    found = receptive_fields(b.graph(x)).of(x)
    assert found is not None
    assert found.receptive_field_px == (2 * dilation * depth + 1,) * 2


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_axis_goes_its_own_way(data: st.DataObject) -> None:
    """Kernels, strides and dilations that differ by axis, in two and three dimensions."""
    rank = data.draw(st.integers(2, 3))
    sizes = [data.draw(st.integers(6, 10)) for _ in range(rank)]

    def each(most: int) -> tuple[int, ...]:
        return tuple(data.draw(st.integers(1, most)) for _ in range(rank))

    b = GraphBuilder("random")
    x = b.input("x", float32(1, 1, *sizes))
    try:
        for _ in range(2):
            x = b.add(
                Conv(out_channels=1, kernel=each(3), stride=each(2), dilation=each(2), bias=False),
                x,
            )
        x = b.add(Upsample(scale=each(2), mode="bilinear"), x)
    except OpError:
        assume(False)
    graph = b.graph(x)
    found = receptive_fields(graph).of(x)
    assert found is not None
    positions = np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes))
    batch = np.full((positions.shape[1] + 1, 1, *sizes), 0.2)
    batch.reshape(len(batch), -1)[np.arange(len(batch) - 1), np.arange(len(batch) - 1)] += 0.5
    weights = weights_of(graph)
    results = [run(graph, {"x": one[None]}, weights)[x][0, 0] for one in batch]
    moves = np.stack([np.abs(r - results[-1]) > 1e-13 for r in results[:-1]])
    for unit in np.ndindex(*moves.shape[1:]):
        depends = positions[:, moves[(slice(None), *unit)]]
        for axis, (field, place) in enumerate(zip(found.hull, unit)):
            assert set(depends[axis].tolist()) <= seen(field, place, sizes[axis])
            ends = field.interval(place)
            assert ends is not None
            if all(
                f.interval(u)[0] >= 0 and f.interval(u)[1] < n  # type: ignore[index]
                for f, u, n in zip(found.hull, unit, sizes)
            ):
                assert (depends[axis].min(), depends[axis].max()) == ends


@pytest.mark.parametrize("before", [0, 1])
def test_what_is_padded_where_something_was_cropped_lies_inside(before: int) -> None:
    """Padding at the end alone moves no unit, and stands inside the input all the same."""
    b = GraphBuilder("cropped")
    cropped = b.add(Crop(margin=Explicit(((before, 1),))), b.input("x", float32("N", 2, 8)))
    padded = b.add(Pad(amount=Explicit(((before, 1),))), cropped)
    around = b.add(Pad(amount=Explicit(((before, 1),))), "x")
    graph = b.graph(padded, around)
    assert padding_inside(graph, receptive_fields(graph)) == {padded}
