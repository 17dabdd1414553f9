"""`cnndsl weights`, and `--weights` with files of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnndsl.weights import files

THEIRS = {
    "conv3x3.weight": "backbone.0.weight",
    "bn.weight": "backbone.1.weight",
    "bn.bias": "backbone.1.bias",
    "bn.running_mean": "backbone.1.running_mean",
    "bn.running_var": "backbone.1.running_var",
    "dense.weight": "head.weight",
    "dense.bias": "head.bias",
}
MAPPING = "backbone.0.* -> conv3x3.*\nbackbone.1.* -> bn.*\nhead.* -> dense.*\n"


@pytest.fixture
def theirs(cnndsl: Any) -> Any:
    """Return the command's runner, beside weights under names of another framework."""
    assert cnndsl("init", "net.cnn", "-o", "ours.safetensors", "--seed", 5).code == 0
    ours = files.read(Path("ours.safetensors"))
    renamed = {THEIRS[name]: array for name, array in ours.items()}
    extra = {"backbone.1.num_batches_tracked": np.array(7)}
    files.write(Path("theirs.npz"), {**renamed, **extra})
    Path("net.map").write_text("**.num_batches_tracked -> -\n" + MAPPING)
    return cnndsl


def test_show(theirs: Any) -> None:
    outcome = theirs("weights", "show", "theirs.npz")
    rows = [line.split(None, 2) for line in outcome.out.splitlines() if "backbone.0" in line]
    assert [row[:2] for row in rows] == [["backbone.0.weight", "float32"]]
    assert "[8, 3, 3, 3]" in outcome.out
    assert outcome.out.splitlines()[-1] == "theirs.npz: 8 tensors, 285 numbers"
    data = theirs("weights", "show", "theirs.npz", "--json").json
    assert data["numbers"] == 285
    assert {"name": "head.weight", "dtype": "float32", "shape": [4, 8]} in data["tensors"]


@pytest.mark.parametrize("way", [("--map", "net.map"), ("--match", "order")])
def test_compile_writes_one_file_in_our_names(theirs: Any, way: tuple[str, str]) -> None:
    outcome = theirs("compile", "net.cnn", "--weights", "theirs.npz", *way)
    assert outcome.code == 0
    assert "warning[CNN906]: 1 tensor is left out" in outcome.err
    assert "random" not in outcome.out
    assert Path("net.safetensors").read_bytes() == Path("ours.safetensors").read_bytes()


def test_map_shows_and_writes_what_goes_where(theirs: Any) -> None:
    outcome = theirs("weights", "map", "net.cnn", "theirs.npz", "--match", "order", "-o", "w.map")
    assert outcome.code == 0
    (row,) = [line.split() for line in outcome.out.splitlines() if "running_var" in line]
    assert row == ["backbone.1.running_var", "bn.running_var", "[8]"]
    assert "7 tensors of theirs.npz fit network net" in outcome.out
    again = theirs("weights", "map", "net.cnn", "theirs.npz", "--map", "w.map", "--json").json
    assert {t["parameter"]: t["tensor"] for t in again["tensors"]} == THEIRS
    assert again["left_out"] == ["backbone.1.num_batches_tracked"]
    Path("w.map").write_text("# mine\n")
    refused = theirs("weights", "map", "net.cnn", "ours.safetensors", "-o", "w.map")
    assert "error[CNN802]" in refused.err


def test_map_writes_weights_in_our_names(theirs: Any) -> None:
    arguments = ("net.cnn", "theirs.npz", "--map", "net.map", "-o", "new.safetensors")
    assert theirs("weights", "map", *arguments).code == 0
    assert Path("new.safetensors").read_bytes() == Path("ours.safetensors").read_bytes()


def test_everything_that_does_not_fit_is_one_table(theirs: Any) -> None:
    arguments = ("compile", "net.cnn", "--weights", "theirs.npz", "--set", "classes=3")
    outcome = theirs(*arguments, "--match", "order")
    assert outcome.code == 1
    head, *lines = outcome.err.splitlines()
    assert head == "error[CNN604]: the weights do not fit network net: 2 other shape"
    table = [line.split("  ") for line in lines if "dense" in line]
    assert len(table) == 2
    assert "it is head.weight there" in lines[3]
    assert not Path("net.safetensors").exists()
    outcome = theirs(*arguments)
    assert "7 missing, 7 not in the network" in outcome.err
    assert len([line for line in outcome.err.splitlines() if " missing " in line]) == 7
    assert "help: names of another framework?" in outcome.err


def test_everything_that_does_not_fit_is_in_json(theirs: Any) -> None:
    outcome = theirs("weights", "map", "net.cnn", "theirs.npz", "--json")
    assert outcome.code == 1
    data = outcome.json
    assert data["ok"] is False
    assert len(data["table"]) == len(data["diagnostics"]) == 14
    (row,) = [row for row in data["table"] if row["tensor"] == "head.weight"]
    assert (row["problem"], row["found"]) == ("not in the network", "[4, 8]")


def test_what_only_order_told_apart_is_said(theirs: Any) -> None:
    Path("net.cnn").write_text(
        Path("net.cnn").read_text().replace("relu ->", "relu -> conv3x3(8) -> conv3x3(8) ->")
    )
    assert theirs("init", "net.cnn", "-o", "w.safetensors").code == 0
    weights = ("weights", "map", "net.cnn", "w.safetensors", "--match", "order", "--json")
    data = theirs(*weights).json
    assert data["by_order"] == ["conv3x3_2", "conv3x3_3"]
    assert [d["code"] for d in data["diagnostics"]] == ["CNN907"]


def test_convert_between_formats_dtypes_and_names(theirs: Any) -> None:
    convert = ("weights", "convert")
    assert theirs(*convert, "theirs.npz", "-o", "a.safetensors", "--map", "net.map").code == 0
    assert Path("a.safetensors").read_bytes() == Path("ours.safetensors").read_bytes()
    half = theirs(*convert, "ours.safetensors", "-o", "h.npz", "--dtype", "float16")
    assert "7 tensors are converted from float32 to float16" in half.err
    back = theirs(*convert, "h.npz", "-o", "b.safetensors", "--json")
    size = Path("b.safetensors").stat().st_size
    result = back.json
    (notice,) = result.pop("diagnostics")
    assert "converted from float16 to float32" in notice["message"]
    assert result == {"ok": True, "file": "b.safetensors", "tensors": 7, "bytes": size}
    ours, found = files.read(Path("ours.safetensors")), files.read(Path("b.safetensors"))
    for name, array in ours.items():
        np.testing.assert_array_equal(found[name], array.astype(np.float16).astype(np.float32))


def test_convert_refuses_numbers_that_a_dtype_cannot_hold(cnndsl: Any) -> None:
    files.write(Path("w.npz"), {"a": np.array([70_000.0], np.float32)})
    outcome = cnndsl("weights", "convert", "w.npz", "-o", "h.npz", "--dtype", "float16")
    assert outcome.code == 1
    assert "the weights do not fit float16: 1 out of range" in outcome.err
    assert "it holds 70000" in outcome.err
    assert not Path("h.npz").exists()


def test_an_onnx_model_gives_its_tensors(cnndsl: Any) -> None:
    assert cnndsl("compile", "net.cnn", "--target", "all", "--seed", 4).code == 0
    start = Path("net.safetensors").read_bytes()
    outcome = cnndsl("weights", "convert", "net.onnx", "-o", "w.safetensors")
    assert outcome.code == 0
    assert Path("w.safetensors").read_bytes() == start
    Path("net.safetensors").unlink()
    assert cnndsl("compile", "net.cnn", "--weights", "net.onnx").code == 0
    assert Path("net.safetensors").read_bytes() == start


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["weights", "show", "none.npz"], "CNN801"),
        (["weights", "show", "net.cnn"], "CNN601"),
        (["weights", "show", "net.weights"], "CNN601"),
        (["weights", "convert", "w.npz", "-o", "w.pt"], "CNN601"),
        (["weights", "convert", "w.npz", "-o", "v.npz", "--map", "none.map"], "CNN801"),
        (["weights", "convert", "w.npz", "-o", "v.npz", "--map", "bad.map"], "CNN605"),
        (["weights", "map", "net.cnn", "w.npz", "-o", "w.txt"], "CNN601"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_mistakes(cnndsl: Any, arguments: list[str], code: str) -> None:
    files.write(Path("w.npz"), {"a": np.zeros(2, np.float32)})
    Path("bad.map").write_text("x -> y -> z\n")
    Path("net.weights").write_bytes(bytes(20))
    before = sorted(Path().iterdir())
    outcome = cnndsl(*arguments)
    assert outcome.code == 1
    assert f"error[{code}]" in outcome.err
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize("option", [("--map", "net.map"), ("--match", "order")])
def test_options_for_files_need_one(cnndsl: Any, option: tuple[str, str]) -> None:
    outcome = cnndsl("compile", "net.cnn", *option)
    assert outcome.code == 2
    assert "--map and --match serve --weights" in outcome.err
