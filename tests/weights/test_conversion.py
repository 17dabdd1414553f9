"""Other dtypes than float32: converted with a notice, refused where numbers would be lost."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from cnndsl.diagnostics import CompileError
from cnndsl.driver.choice import Choice
from cnndsl.driver.load import load
from cnndsl.driver.trained import weights_for
from cnndsl.weights import files
from cnndsl.weights.initialize import initialize

PROGRAM = """network net
input x: float32[N, 3, 8, 8]
output y = x -> conv3x3(4) -> bn -> relu
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "net.cnn"
    path.write_text(PROGRAM)
    return path


def bfloat16_file(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write float32 values that bfloat16 holds, by hand: NumPy does not know the dtype."""
    header, data = {}, b""
    for name, array in tensors.items():
        halves = (array.view(np.uint32) >> 16).astype("<u2").tobytes()
        offsets = [len(data), len(data) + len(halves)]
        header[name] = {"dtype": "BF16", "shape": list(array.shape), "data_offsets": offsets}
        data += halves
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_other_floats_are_converted_with_a_notice(program: Path, dtype: str, suffix: str) -> None:
    if (dtype, suffix) == ("bfloat16", ".npz"):
        pytest.skip("NumPy has no bfloat16 to save")
    graph = load(program).graph
    start = initialize(graph, 1)
    path = program.with_name(f"w{suffix}")
    if dtype == "bfloat16":
        stored = {
            n: (a.view(np.uint32) & 0xFFFF0000).view(np.float32).reshape(a.shape)
            for n, a in start.items()
        }
        bfloat16_file(path, stored)
        wanted = stored
    else:
        stored = {n: a.astype(dtype) for n, a in start.items()}
        files.write(path, stored)
        wanted = {n: a.astype(np.float32) for n, a in stored.items()}
    fitted = weights_for(graph, Choice({}, path))
    assert [(d.code, d.message) for d in fitted.notices] == [
        ("CNN905", f"5 tensors are converted from {dtype} to float32")
    ]
    for name, array in fitted.weights.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, wanted[name])


def test_numbers_that_float32_cannot_hold_are_refused(program: Path) -> None:
    graph = load(program).graph
    weights = {n: a.astype(np.float64) for n, a in initialize(graph, 1).items()}
    weights["conv3x3.weight"][1, 2, 0, 1] = -1e39
    weights["bn.bias"][0] = np.inf  # that it can
    path = program.with_name("w.npz")
    files.write(path, weights)
    with pytest.raises(CompileError) as error:
        weights_for(graph, Choice({}, path))
    assert [(d.code, d.message) for d in error.value.diagnostics] == [
        (
            "CNN604",
            "conv3x3.weight does not fit into float32: it holds -1e+39, which float32 cannot hold",
        )
    ]


def test_nothing_is_read_of_tensors_that_do_not_fit(program: Path) -> None:
    """A file that claims a terabyte of float16, as a hole, is refused by its shapes."""
    header = {"conv3x3.weight": {"dtype": "F16", "shape": [2**39], "data_offsets": [0, 2**40]}}
    text = json.dumps(header).encode()
    path = program.with_name("w.safetensors")
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(f.tell() + 2**40)
    with pytest.raises(CompileError) as error:
        weights_for(load(program).graph, Choice({}, path))
    assert {d.code for d in error.value.diagnostics} == {"CNN602", "CNN604"}


def test_counters_of_batch_norms_are_left_out_with_a_notice(program: Path) -> None:
    graph = load(program).graph
    path = program.with_name("w.npz")
    files.write(path, {**initialize(graph, 1), "bn.num_batches_tracked": np.array(9)})
    fitted = weights_for(graph, Choice({}, path))
    assert [(d.code, d.message) for d in fitted.notices] == [
        ("CNN906", "1 tensor is left out, which no layer needs: bn.num_batches_tracked")
    ]


def test_a_wrappers_prefix_is_recognised(program: Path) -> None:
    graph = load(program).graph
    path = program.with_name("w.npz")
    files.write(path, {f"module.{n}": a for n, a in initialize(graph, 1).items()})
    with pytest.raises(CompileError) as error:
        weights_for(graph, Choice({}, path))
    assert error.value.table is not None
    assert error.value.table.help == (
        "names begin with module.: give --map FILE, with the line module.** -> **"
    )
    mapping = program.with_name("net.map")
    mapping.write_text("module.** -> **\n")
    assert weights_for(graph, Choice({}, path, mapping=mapping)).notices == ()
