"""`cnndsl rf`: what it says, and how it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

DILATED = """network dilated
input x: float32[N, 3, 96, 96]
output y = x -> conv3x3(4, dilation=2) -> conv3x3(4, dilation=4) -> conv3x3(4, dilation=8)
"""

SHIFTED = """network shifted
input x: float32[N, 3, 64, 64]
down = x -> conv3x3(8, stride=2, padding=1) -> relu
output y = [x, down -> upsample(2)] -> conv3x3(4)
"""


def write(text: str) -> None:
    Path("p.cnn").write_text(text)


def test_table_of_end_points(cnndsl: Any) -> None:
    found = cnndsl("rf", "net.cnn")
    assert found.code == 0
    assert found.err == ""
    lines = found.out.splitlines()
    assert lines[0] == "network net, input image 16x16"
    rows = [line.split() for line in lines if line.strip()]
    assert ["conv3x3", "16x16", "3x3", "1", "-1", "0", "100", "196", "of", "256", "3x3"] in rows
    assert any(row[:3] == ["maxpool2x2", "8x8", "4x4"] for row in rows)
    assert any(row[:3] == ["dense", "18x18", "whole"] for row in rows)


def test_all_layers_or_some(cnndsl: Any) -> None:
    every = cnndsl("rf", "net.cnn", "--all", "--json").json["values"]
    assert [v["layer"] for v in every] == [
        "image", "conv3x3", "bn", "relu", "maxpool2x2", "global_avgpool", "dense",
    ]  # fmt: skip
    for name in ("features", "maxpool2x2"):
        (one,) = cnndsl("rf", "net.cnn", "--at", name, "--json").json["values"]
        assert one == every[4]
    (output,) = cnndsl("rf", "net.cnn", "--at", "scores", "--json").json["values"]
    assert output == every[6]


def test_json_has_everything(cnndsl: Any) -> None:
    found = cnndsl("rf", "net.cnn", "--at", "features", "--object", "3x5", "--json").json
    (value,) = found.pop("values")
    assert value.pop("effective_sigma_px") == pytest.approx([(8 / 12 + 3 / 12) ** 0.5] * 2)
    assert value == {
        "value": "features",
        "layer": "maxpool2x2",
        "map_extents": [8, 8],
        "receptive_field_px": [4, 4],
        "phase_sizes_px": [[4], [4]],
        "jump_px": [2.0, 2.0],
        "whole_map": False,
        "start_px": [-1, -1],
        "centre_px": [0.5, 0.5],
        "effective_padding_px": [1, 1],
        "smallest_path_px": [4, 4],
        "largest_path_px": [4, 4],
        "coverage": [1.0, 1.0],
        "clean_units": 36,
        "units": 64,
        "measured": None,
    }
    assert found == {
        "network": "net",
        "input": "image",
        "input_extents": [16, 16],
        "symbols_without_size": [],
        "units": [],
        "irregular": {},
        "misalignments": [],
        "holes": [],
        "unused_padding": [],
        "productive_input_px": {"low": [4, 4], "high": [4, 4]},
        "unproductive_layers": [],
        "object": {
            "object_px": [3, 5],
            "first_layer": "global_avgpool",
            "first_layer_wherever_it_lies": "global_avgpool",
            "outputs": {"scores": True},
        },
        "diagnostics": [],
    }


def test_chosen_units(cnndsl: Any) -> None:
    command = ("rf", "net.cnn", "--at", "features", "--unit", "0,7", "--unit", "3,3")
    assert "0,7 of maxpool2x2 sees rows -1 to 2, columns 13 to 16" in cnndsl(*command).out
    units = cnndsl(*command, "--json").json["units"]
    assert [u["unit"] for u in units] == [[0, 7], [3, 3]]
    assert units[1]["intervals_px"] == [[5, 8], [5, 8]]
    measured = cnndsl(*command, "--measured", "--samples", 1, "--json").json["values"][0]
    assert measured["measured"]["unit"] == [0, 7]
    write("network n\ninput x: float32[N, 1, T]\noutput y = x -> conv3(1)\n")
    refused = cnndsl("rf", "p.cnn", "--at", "y", "--unit", "3")
    assert (refused.code, "CNN207" in refused.err) == (1, True)
    write("network n\ninput x: float32[N, 1, 9]\noutput y = x -> deconv1(1, stride=2)\n")
    seen = cnndsl("rf", "p.cnn", "--at", "y", "--unit", "4", "--unit", "5")
    assert "4 of deconv1 sees positions 2 to 2" in seen.out
    assert "5 of deconv1 sees nothing of the input" in seen.out


def test_pictures_of_chosen_units_differ(cnndsl: Any) -> None:
    pytest.importorskip("matplotlib")
    pictures = []
    for place in ("0,0", "5,5"):
        command = ("rf", "net.cnn", "--at", "features", "--unit", place, "-o", "p.png")
        assert cnndsl(*command).code == 0
        pictures.append(Path("p.png").read_bytes())
    assert pictures[0] != pictures[1]


def test_holes_and_a_schedule(cnndsl: Any) -> None:
    write(DILATED)
    found = cnndsl("rf", "p.cnn")
    assert (
        "units of conv3x3_3 read 51.7 % of their field along an axis; the first holes come from "
        "conv3x3; dilation 1 in conv3x3, 3 in conv3x3_2 would cover it (the HDC heuristic warns "
        "too)"
    ) in found.out
    holes = cnndsl("rf", "p.cnn", "--json").json["holes"]
    assert [h["axis"] for h in holes] == [0, 1]
    assert holes[0]["covering_dilations"] == {"conv3x3": 1, "conv3x3_2": 3}


def test_misaligned_branches(cnndsl: Any) -> None:
    write(SHIFTED)
    found = cnndsl("rf", "p.cnn")
    assert "branches of concat are 0.5 px apart (centres: x 0, upsample -0.5)" in found.out
    (merge,) = cnndsl("rf", "p.cnn", "--json").json["misalignments"]
    assert merge["offset_px"] == [0.5, 0.5]


def test_sizes_that_are_not_known_are_left_out(cnndsl: Any) -> None:
    write(SHIFTED.replace("64, 64", "2*h, 2*w"))
    found = cnndsl("rf", "p.cnn", "--json").json
    assert found["input_extents"] is None
    assert found["symbols_without_size"] == ["h", "w"]
    (value, *_) = found["values"]
    assert value["clean_units"] is None
    assert "any h and w" in cnndsl("rf", "p.cnn").out
    known = cnndsl("rf", "p.cnn", "--set", "h=32", "--set", "w=32", "--json").json
    assert known["input_extents"] == [64, 64]


def test_measured_fields(cnndsl: Any) -> None:
    found = cnndsl("rf", "net.cnn", "--at", "features", "--measured", "--samples", 2, "--json")
    (value,) = found.json["values"]
    sigma = value["measured"]["sigma_px"]
    assert value["measured"]["samples"] == 2
    assert all(0.3 < s < 1.3 for s in sigma)
    again = cnndsl("rf", "net.cnn", "--at", "features", "--measured", "--samples", 2, "--json")
    assert again.json == found.json
    assert cnndsl("init", "net.cnn", "-o", "w.safetensors", "--seed", 3).code == 0
    command = ("rf", "net.cnn", "--at", "features", "--measured", "--weights", "w.safetensors")
    assert " measured" in cnndsl(*command).out


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_pictures(cnndsl: Any, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    name = f"rf.{suffix}"
    assert cnndsl("rf", "net.cnn", "-o", name).code == 0
    first = Path(name).read_bytes()
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix])
    assert cnndsl("rf", "net.cnn", "-o", name).code == 0
    assert Path(name).read_bytes() == first
    Path(name).write_bytes(b"mine")
    refused = cnndsl("rf", "net.cnn", "-o", name)
    assert refused.code == 1
    assert "CNN802" in refused.err
    assert Path(name).read_bytes() == b"mine"
    assert cnndsl("rf", "net.cnn", "-o", name, "--force").code == 0


def test_a_photograph_under_the_fields(cnndsl: Any) -> None:
    pytest.importorskip("matplotlib")
    photo = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
    plain = cnndsl("rf", "net.cnn", "--at", "features", "-o", "plain.png", "--json").json
    assert plain["file"] == "plain.png"
    done = cnndsl("rf", "net.cnn", "--at", "features", "--image", photo, "-o", "photo.png")
    assert done.code == 0
    assert Path("photo.png").read_bytes() != Path("plain.png").read_bytes()
    write("network n\ninput x: float32[N, 1, 50]\noutput y = x -> conv3(1)\n")
    refused = cnndsl("rf", "p.cnn", "--image", photo, "-o", "p.png")
    assert (refused.code, "CNN803" in refused.err) == (1, True)
    assert not Path("p.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--at", "feature"), 1, "did you mean features?"),
        (("--object", "12"), 1, "--object 80x80"),
        (("--object", "0x3"), 2, "is not a size"),
        (("--object", "axb"), 2, "is not a size"),
        (("--input", "picture"), 1, "no input called picture"),
        (("--image", "photo.jpg"), 2, "--image needs -o"),
        (("--measured",), 2, "--measured needs --at"),
        (("--seed", "3"), 2, "serve --measured"),
        (("--all", "--at", "features"), 2, "exclude each other"),
        (("--unit", "0,0"), 2, "--unit needs --at"),
        (("--at", "features", "--unit", "8,0"), 1, "the last is 7,7"),
        (("--at", "features", "--unit", "3"), 1, "--unit 0,0"),
        (("--at", "features", "--unit", "-1,0"), 2, "is not a place"),
        (("-o", "rf.gif"), 2, ".png, .svg, .pdf"),
    ],
)
def test_refusals(cnndsl: Any, arguments: tuple[str, ...], code: int, said: str) -> None:
    found = cnndsl("rf", "net.cnn", *arguments)
    assert found.code == code
    assert said in found.err
    assert found.out == ""


def test_vectors_have_no_field(cnndsl: Any) -> None:
    write("network n\ninput v: float32[N, 8]\noutput y = v -> dense(3)\n")
    found = cnndsl("rf", "p.cnn")
    assert found.code == 1
    assert "error[CNN502]: there are no receptive fields in v: a vector has no map" in found.err


def test_the_first_input_with_a_map_is_looked_at(cnndsl: Any) -> None:
    write(
        "network n\ninput v: float32[N, 8]\ninput x: float32[N, 3, 16, 16]\n"
        "output y = (v -> dense(4)) + (x -> conv3x3(4) -> global_avgpool)\n"
    )
    assert cnndsl("rf", "p.cnn", "--json").json["input"] == "x"
    assert cnndsl("rf", "p.cnn", "--input", "v").code == 1


def test_an_irregular_value_says_why(cnndsl: Any) -> None:
    write(
        "network n\ninput x: float32[N, 1, 50]\n"
        "output y = (x, x -> conv3(1)) -> concat(axis=2) -> relu\n"
    )
    assert "joined end to end" in cnndsl("rf", "p.cnn").out
    refused = cnndsl("rf", "p.cnn", "--at", "y")
    assert refused.code == 1
    assert "CNN502" in refused.err
