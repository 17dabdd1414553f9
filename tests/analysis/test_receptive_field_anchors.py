"""Receptive fields against published and hand-derived figures."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from pathlib import Path
from time import perf_counter

import pytest
from elaborate.elaborating import graph_of

from cnndsl.analysis.alignment import misalignments
from cnndsl.analysis.borders import CleanUnits, clean_units, padding_inside, unused_padding
from cnndsl.analysis.coverage import TooLargeError, coverage
from cnndsl.analysis.dilation_schedule import (
    WindowLayer,
    chain_to,
    covering_schedule,
    covers,
    hybrid_dilated_convolution,
)
from cnndsl.analysis.effective_field import effective_fields
from cnndsl.analysis.receptive_field import Irregular, ReceptiveFields, receptive_fields
from cnndsl.analysis.resolution import resolution_range, sight, unproductive
from cnndsl.analysis.sizes import NoSizeError
from cnndsl.diagnostics import CompileError
from cnndsl.driver.field_report import FieldReport
from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str, **sizes: int) -> tuple[Graph, ReceptiveFields]:
    graph = load(EXAMPLES / f"{name}.cnn", sizes).graph
    return graph, receptive_fields(graph)


def text_graph(text: str) -> Graph:
    return graph_of(text, head="")


def last_conv(graph: Graph) -> str:
    return [n.output.name for n in graph.nodes if n.op.keyword == "conv"][-1]


# ------------------------------------------------------------- published figures


def test_unet_sees_188_or_204_by_phase_and_215_in_all() -> None:
    graph, fields = example("unet")
    (axis, other) = fields.fields[last_conv(graph)].hull
    assert axis == other
    assert axis.period == 16
    assert set(axis.phase_sizes) == {188, 204}
    assert axis.size == 215


def test_vgg16_has_4_clean_units_of_196() -> None:
    graph, fields = example("vgg16")
    value = last_conv(graph)
    assert clean_units(fields, value) == CleanUnits(clean=4, units=196)
    axis = fields.fields[value].hull[0]
    assert [axis.interval(i) for i in (6, 7)] == [(6, 201), (22, 217)]
    assert axis.effective_padding == 90


@pytest.mark.parametrize("name", ["resnet50", "inception_v3"])
def test_deep_networks_have_no_clean_unit(name: str) -> None:
    graph, fields = example(name)
    found = clean_units(fields, last_conv(graph))
    assert found is not None
    assert found.clean == 0


def test_resnet50_is_productive_from_75_to_427() -> None:
    found = resolution_range(*example("resnet50"))
    assert found is not None
    assert (found.low, found.high) == ((75, 75), (427, 427))


def test_yolov3_merges_half_a_coarse_pixel_beside() -> None:
    found = misalignments(*example("yolov3"))
    assert [m.offset_px for m in found] == [(8, 8), (12, 12)]
    assert sorted(found[0].centres) == [(-8, -8), (0, 0)]


@pytest.mark.parametrize(
    "name",
    ["resnet18", "resnet50", "googlenet", "inception_v3", "densenet121", "squeezenet", "unet"],
)
def test_classifiers_and_unet_are_aligned(name: str) -> None:
    assert misalignments(*example(name)) == ()


def test_causal_branches_are_aligned_at_their_end() -> None:
    assert misalignments(*example("wavenet")) == ()


# ----------------------------------------------------------------------- borders


def test_resnets_first_layer_leaves_padding_unread_on_even_maps() -> None:
    graph, fields = example("resnet18")
    first = [u for u in unused_padding(graph, fields) if u.node is graph.nodes[0]]
    assert [(u.axis, u.unused) for u in first] == [(0, 1), (1, 1)]
    odd = receptive_fields(graph, {"H": 225, "W": 224})
    assert [u.axis for u in unused_padding(graph, odd) if u.node is graph.nodes[0]] == [1]


def test_padding_that_starts_reach_further_is_all_read() -> None:
    graph = text_graph(
        "network n\ninput x: float32[N, 1, 10]\n"
        "output y = x -> conv3(1, stride=2, padding=valid) -> conv3(1, padding=1)"
    )
    assert unused_padding(graph, receptive_fields(graph)) == ()


@pytest.mark.parametrize(
    "layers",
    [
        "crop(2) -> conv3(1, padding=1)",
        "deconv2(1, stride=2, padding=1) -> conv3(1, padding=1)",
        "slice(axis=2, start=3, stop=20) -> conv3(1) -> conv1(1)",
    ],
)
def test_padding_behind_a_cut_stands_inside_the_input(layers: str) -> None:
    graph = text_graph(f"network n\ninput x: float32[N, 1, 32]\noutput y = x -> {layers}")
    fields = receptive_fields(graph)
    assert "y" in padding_inside(graph, fields)
    assert FieldReport(graph, fields).view("y").clean is None


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "yolov3", "unet", "inception_v3"])
def test_published_networks_pad_at_the_borders_of_the_input(name: str) -> None:
    assert not padding_inside(*example(name))


# -------------------------------------------------------------------- resolution


def test_layers_behind_a_seen_image_are_unproductive() -> None:
    graph = text_graph(
        "network n\ninput x: float32[N, 1, 7, 7]\n"
        "y1 = x -> conv3x3(1) -> conv3x3(1) -> conv3x3(1)\noutput y = y1 -> relu -> conv3x3(1)"
    )
    assert [n.label for n in unproductive(graph, receptive_fields(graph))] == ["conv3x3_4"]


def test_a_skip_that_has_not_seen_the_image_keeps_a_layer_productive() -> None:
    graph = text_graph(
        "network n\ninput x: float32[N, 1, 7, 7]\n"
        "y1 = x -> conv3x3(1) ** 3\noutput y = x + y1 -> conv3x3(1)"
    )
    assert unproductive(graph, receptive_fields(graph)) == ()


def test_an_object_is_seen_where_the_field_is_as_large() -> None:
    graph, fields = example("vgg16")
    seen = sight(graph, fields, (196, 196))
    assert seen.first is not None
    assert seen.first.output.name == last_conv(graph)
    # A unit every 16 px: one of 182 px always lies inside some unit's 196, one of 181 + 1 not.
    wherever = sight(graph, fields, (181, 181)).anywhere
    assert wherever is seen.first
    assert sight(graph, fields, (182, 182)).anywhere is not seen.first
    assert sight(graph, fields, (404, 404)).outputs == (("logits", True),)
    assert sight(graph, fields, (405, 1)).outputs == (("logits", False),)


def test_after_up_sampling_units_at_one_place_leave_objects_between_them() -> None:
    # Units see 0..3, 0..3, 2..5, 2..5: those of 4 px that begin at 1 are in none.
    graph = text_graph(
        "network n\ninput x: float32[N, 1, 32]\n"
        "output y = x -> conv4(1, stride=2, padding=valid) -> upsample(2)"
    )
    fields = receptive_fields(graph)
    seen = {n: sight(graph, fields, (n,)).anywhere for n in (3, 4)}
    assert seen[3] is graph.nodes[0]
    assert seen[4] is None
    assert sight(graph, fields, (4,)).first is graph.nodes[0]


# ------------------------------------------------------------------------- holes


def stack(dilations: tuple[int, ...], kernel: int = 3) -> tuple[Graph, ReceptiveFields]:
    layers = " -> ".join(f"conv{kernel}(1, dilation={d})" for d in dilations)
    graph = text_graph(f"network n\ninput x: float32[N, 1, 99]\noutput y = x -> {layers}")
    return graph, receptive_fields(graph)


@pytest.mark.parametrize(
    ("dilations", "share"),
    [
        ((2, 4, 8), Fraction(15, 29)),
        ((1, 2, 9), Fraction(21, 25)),
        ((2, 2, 2), Fraction(7, 13)),
        ((1, 2, 5), Fraction(1)),
        ((5, 2, 1), Fraction(1)),
    ],
)
def test_coverage_of_dilated_stacks(dilations: tuple[int, ...], share: Fraction) -> None:
    graph, fields = stack(dilations)
    found = coverage(graph, fields)
    assert found.shares["y"] == (share,)
    assert found.covered("y") == (share == 1) == covers(chain_to(graph, fields, "y", 0))


def test_the_first_offender_and_a_schedule_that_covers() -> None:
    graph, fields = stack((1, 2, 9))
    offender = coverage(graph, fields).first_offender(graph, "y")
    assert offender is not None
    assert offender.label == "conv3_3"
    assert covering_schedule(graph, fields, "y", 0) == {"conv3_3": 7}


def test_a_branch_fills_the_holes_of_another() -> None:
    graph = text_graph(
        "network n\ninput x: float32[N, 1, 99]\n"
        "output y = (x -> conv3(1, dilation=2)) + (x -> conv2(1, dilation=2, padding=((1, 1))))"
    )
    fields = receptive_fields(graph)
    found = coverage(graph, fields)
    assert found.shares["y"] == (Fraction(1),)
    assert min(min(shares) for shares in found.shares.values()) < 1


def test_strides_larger_than_kernels_leave_holes() -> None:
    graph = text_graph(
        "network n\ninput x: float32[N, 1, 99]\n"
        "output y = x -> conv1(1, stride=2) -> conv3(1) -> conv3(1)"
    )
    found = coverage(graph, receptive_fields(graph))
    assert found.shares["y"] == (Fraction(5, 9),)


def test_the_heuristic_errs_where_the_criterion_does_not() -> None:
    def says(kernel: int, dilations: tuple[int, ...]) -> tuple[bool, bool]:
        windows = [WindowLayer(str(i), kernel, d, Fraction(1)) for i, d in enumerate(dilations)]
        return hybrid_dilated_convolution(kernel, dilations), covers(windows)

    assert says(3, (1, 2, 5)) == (True, True)
    assert says(3, (1, 2, 9)) == (False, False)
    assert says(3, (2, 2, 2)) == (True, False)
    # With a first dilation of 1 and kernels of 3 it never accepts holes, but refuses much.
    stacks = [(1, *rest) for rest in product(range(1, 10), repeat=2)]
    assert not any(says(3, s) == (True, False) for s in stacks)
    assert any(says(3, s) == (False, True) for s in stacks)
    # With kernels of 2 it accepts holes.
    assert any(says(2, s) == (True, False) for s in stacks)


def test_fields_too_large_to_tell_apart_are_refused() -> None:
    layers = " -> ".join("conv3(1, stride=3)" for _ in range(15))
    graph = text_graph(f"network n\ninput x: float32[N, 1, T]\noutput y = x -> {layers}")
    fields = receptive_fields(graph)
    assert fields.fields["y"].receptive_field_px == (3**15,)
    with pytest.raises(TooLargeError):
        coverage(graph, fields)


# ----------------------------------------------------------- whole and irregular


def test_dense_and_gates_see_the_whole_map() -> None:
    graph = text_graph(
        "network n\ninput x: float32[N, 4, 32, 32]\n"
        "h = x -> conv3x3(4, stride=2)\n"
        "gate = h -> global_avgpool(keep_axes=true) -> conv1x1(4) -> sigmoid\n"
        "gated = h * gate\noutput y = gated -> conv3x3(2) -> flatten -> dense(3)"
    )
    fields = receptive_fields(graph)
    assert not fields.fields["h"].whole
    for value in ("gate", "gated", "y"):
        assert fields.fields[value].whole
    gated = fields.fields["gated"]
    assert gated.jump_px == (2, 2)
    assert [a.size for a in gated.smallest] == [3, 3] == [a.size for a in gated.largest]
    assert fields.fields["gate"].receptive_field_px == (33, 33)


def test_branches_of_unequal_jump_are_irregular() -> None:
    graph = text_graph(
        "network n\ninput x: float32[N, 1, 16]\n"
        "half = x -> conv2(1, stride=2, padding=valid)\n"
        "first = x -> slice(axis=2, start=0, stop=8)\n"
        "output y = half + first -> conv3(1)"
    )
    found = receptive_fields(graph).values["y"]
    assert isinstance(found, Irregular)
    assert "1 and 2 input positions apart" in found.reason


def test_inputs_are_told_apart() -> None:
    graph = text_graph(
        "network n\ninput a: float32[N, 1, 16]\ninput b: float32[N, 1, 16]\n"
        "output y = (a -> conv3(1)) + (b -> conv5(1))"
    )
    assert receptive_fields(graph).fields["y"].receptive_field_px == (3,)
    assert receptive_fields(graph, input="b").fields["y"].receptive_field_px == (5,)
    assert "conv5" not in receptive_fields(graph).values


def test_tokens_are_positions() -> None:
    graph = text_graph(
        "network n\ninput t: int64[N, T]\n"
        "output y = t -> embedding(50, 8) -> conv3(4, padding=causal) ** 2"
    )
    axis = receptive_fields(graph).fields["y"].hull[0]
    assert (axis.size, axis.interval(10)) == (5, (6, 10))


def test_sizes_without_number_are_assumed_and_said() -> None:
    graph = text_graph(
        "network n\ninput x: float32[N, 1, H, 16*w]\noutput y = x -> conv3x3(1, stride=2)"
    )
    fields = receptive_fields(graph)
    assert fields.assumed == ("H", "w")
    assert fields.fields["y"].receptive_field_px == (3, 3)
    with pytest.raises(NoSizeError):
        receptive_fields(graph, {"H": 0, "w": 1})


# ------------------------------------------------------------------------ effort


def test_windows_over_thousands_of_phases_take_no_time() -> None:
    graph = text_graph(
        "network n\ninput x: float32[N, 1, 64]\n"
        "output y = x -> upsample(4000) -> conv9999(1) -> conv4001(1)"
    )
    start = perf_counter()
    fields = receptive_fields(graph)
    covered = coverage(graph, fields).covered("y")
    assert effective_fields(graph, fields.sizes.values).of("y") is None
    assert perf_counter() - start < 10  # minutes, if each phase looked at each it reads
    assert covered
    # 9999 + 4000 units around one of 4000 for each position.
    assert fields.fields["y"].hull[0].interval(2000) == (-2, 2)
    assert set(fields.fields["y"].hull[0].phase_sizes) == {4, 5}


def test_claims_in_many_blocks_take_no_time() -> None:
    start = perf_counter()
    with pytest.raises(CompileError) as found:
        text_graph(
            "network n\ninput x: float32[N, 1, 64, 64]\n"
            "block b(x) {\n  y = x -> conv3x3(1, dilation=2)\n"
            "  assert covered(y) and receptive_field(y) > 5000\n  return y\n}\n"
            "output y = x -> b ** 700"
        )
    assert len(found.value.diagnostics) == 2
    assert perf_counter() - start < 10  # half a minute, if advice were sought for each
