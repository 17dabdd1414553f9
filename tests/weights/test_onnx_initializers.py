"""The tensors of ONNX models: what is read, in which order, and what is refused by name."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from cnndsl.diagnostics import CompileError
from cnndsl.driver.choice import Choice
from cnndsl.driver.compile import OnnxOptions, emit_onnx
from cnndsl.driver.load import load
from cnndsl.driver.prepare import prepare
from cnndsl.driver.trained import matched, weights_for
from cnndsl.weights import files

EXAMPLES = Path(__file__).parents[2] / "examples"
FOUR = np.arange(4, dtype=np.float32).reshape(2, 2)


def model(*tensors: TensorProto, nodes: Any = ()) -> onnx.ModelProto:
    graph = helper.make_graph(list(nodes), "g", [], [], initializer=list(tensors))
    return helper.make_model(graph)


def saved(folder: Path, *tensors: TensorProto, nodes: Any = ()) -> Path:
    path = folder / "m.onnx"
    path.write_bytes(model(*tensors, nodes=nodes).SerializeToString())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CompileError) as error:
        files.read(path)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "CNN601"
    return diagnostic.message


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "in fields"])
@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, -2.25], [np.inf, 1e-30]], np.float32),
        np.array([1.5, -65504.0, 6e-8], np.float16),
        np.array([1e300, -0.1], np.float64),
        np.array([-1, 2**62], np.int64),
        np.array([-7, 7], np.int32),
        np.array([-128, 127], np.int8),
        np.array([200], np.uint8),
        np.array([2**63 + 1], np.uint64),
        np.array([True, False]),
        np.array(3.0, np.float32),
        np.zeros((0, 3), np.float32),
    ],
    ids=lambda a: f"{a.dtype}{list(a.shape)}",
)
def test_every_dtype_is_read_as_onnx_reads_it(tmp_path: Path, array: Any, raw: bool) -> None:
    if raw:
        tensor = numpy_helper.from_array(array, "w")
    else:
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor = helper.make_tensor("w", kind, array.shape, array.ravel().tolist())
        assert not tensor.raw_data
    found = files.scan(saved(tmp_path, tensor))["w"]
    assert (found.dtype, found.shape) == (array.dtype.name, array.shape)
    np.testing.assert_array_equal(found.read(), numpy_helper.to_array(tensor))
    assert found.read().dtype == array.dtype


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "in fields"])
def test_bfloat16_is_read_as_float32(tmp_path: Path, raw: bool) -> None:
    values = np.array([1.0, -3.140625, 2.0**100], np.float32)
    halves = (values.view(np.uint32) >> 16).astype(np.uint16)
    tensor = TensorProto(name="w", data_type=TensorProto.BFLOAT16, dims=[3])
    if raw:
        tensor.raw_data = halves.tobytes()
    else:
        tensor.int32_data.extend(halves.tolist())
    found = files.scan(saved(tmp_path, tensor))["w"]
    assert found.dtype == "bfloat16"
    np.testing.assert_array_equal(found.read(), values)


def test_matrices_come_as_dense_layers_have_them(tmp_path: Path) -> None:
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensors = [numpy_helper.from_array(matrix, name) for name in "abcd"]
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["y"]),
        helper.make_node("Gemm", ["y", "b"], ["z"]),
        helper.make_node("Gemm", ["z", "c"], ["u"], transB=1),
        helper.make_node("MatMul", ["d", "u"], ["v"]),
    ]
    found = files.read(saved(tmp_path, *tensors, nodes=nodes))
    for name, wanted in (("a", matrix.T), ("b", matrix.T), ("c", matrix), ("d", matrix)):
        np.testing.assert_array_equal(found[name], wanted)


def test_order_is_that_of_the_nodes(tmp_path: Path) -> None:
    tensors = [numpy_helper.from_array(FOUR, name) for name in ("unread", "b", "a", "shape")]
    nodes = [
        helper.make_node("Conv", ["x", "a", "b"], ["y"]),
        helper.make_node("Reshape", ["y", "shape"], ["z"]),
    ]
    found = files.scan(saved(tmp_path, *tensors, nodes=nodes))
    assert list(found) == ["a", "b", "shape", "unread"]
    assert [t.is_constant for t in found.values()] == [False, False, True, True]


@pytest.mark.parametrize("name", ["lenet", "squeezenet1_1", "nin_cifar10"])
def test_models_written_by_cnndsl_give_their_weights_back(tmp_path: Path, name: str) -> None:
    prepared = prepare(EXAMPLES / f"{name}.cnn", Choice({}, seed=3))
    path = tmp_path / "m.onnx"
    path.write_bytes(emit_onnx(prepared, "m", OnnxOptions())["m.onnx"])
    found = weights_for(prepared.graph, Choice({}, path))
    assert list(found.weights) == list(prepared.weights)
    for key, array in prepared.weights.items():
        np.testing.assert_array_equal(found.weights[key], array)
    anonymous = onnx.load(path)
    names = {t.name: f"onnx::{i}" for i, t in enumerate(anonymous.graph.initializer)}
    for node in anonymous.graph.node:
        node.input[:] = [names.get(n, n) for n in node.input]
    for tensor in anonymous.graph.initializer:
        tensor.name = names[tensor.name]
    path.write_bytes(anonymous.SerializeToString())
    by_order = matched(load(EXAMPLES / f"{name}.cnn").graph, path, None, "order")
    assert {ours: t.name for ours, t in by_order.tensors.items()} == {
        ours: names[ours] for ours in prepared.weights
    }


def external(location: str, offset: int = 0, length: int | None = None) -> TensorProto:
    tensor = TensorProto(name="w", data_type=1, dims=[2, 2], data_location=TensorProto.EXTERNAL)
    entries = {"location": location, "offset": str(offset)}
    if length is not None:
        entries["length"] = str(length)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def test_external_data_beside_the_model_are_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.bin").write_bytes(bytes(8) + FOUR.tobytes())
    path = saved(tmp_path, external("data/w.bin", 8, 16))
    np.testing.assert_array_equal(files.read(path)["w"], FOUR)


@pytest.mark.parametrize(
    ("location", "offset", "length", "expected"),
    [
        ("../secret.bin", 0, None, "outside the model's folder"),
        ("/etc/hostname", 0, None, "outside the model's folder"),
        ("C:\\secret", 0, None, "outside the model's folder"),
        ("", 0, None, "outside the model's folder"),
        ("link.bin", 0, None, "a link out of the model's folder"),
        ("none.bin", 0, None, "no such file"),
        ("folder", 0, None, "no such file"),
        ("w.bin", 4, None, "from byte 4"),
        ("w.bin", -4, None, "from byte -4"),
        ("w.bin", 0, 12, "the model says 12"),
        ("w.bin", 2**70, None, "from byte 118"),
    ],
)
def test_external_data_elsewhere_are_refused(
    tmp_path: Path, location: str, offset: int, length: int | None, expected: str
) -> None:
    (tmp_path / "secret.bin").write_bytes(FOUR.tobytes())
    folder = tmp_path / "model"
    (folder / "folder").mkdir(parents=True)
    (folder / "w.bin").write_bytes(FOUR.tobytes())
    os.symlink(tmp_path / "secret.bin", folder / "link.bin")
    assert expected in refusal(saved(folder, external(location, offset, length)))


def packed(**fields: Any) -> bytes:
    return model(TensorProto(name="w", data_type=1, **fields)).SerializeToString()


BROKEN = {
    "empty": (b"", "it is empty"),
    "text": (b"hello, world", "no protobuf"),
    "no graph": (onnx.ModelProto(ir_version=8).SerializeToString(), "holds no graph"),
    "truncated": (packed(dims=[2, 2], raw_data=FOUR.tobytes())[:-3], "truncated"),
    "giant shape": (packed(dims=[2**40, 2**40], raw_data=bytes(16)), "and has 16"),
    "giant shape, no data": (packed(dims=[2**40]), "and has 0 bytes"),
    "negative": (packed(dims=[-1, 4], raw_data=bytes(16)), "malformed shape"),
    "many axes": (packed(dims=[1] * 17, raw_data=bytes(4)), "malformed shape"),
    "too few numbers": (packed(dims=[3], float_data=[1, 2]), "needs 3 numbers, and has 2"),
    "a name twice": (
        model(*[numpy_helper.from_array(FOUR, "w")] * 2).SerializeToString(),
        "names w twice",
    ),
    "strings": (
        model(helper.make_tensor("w", TensorProto.STRING, [1], [b"a"])).SerializeToString(),
        "ONNX type 8",
    ),
    "many fields": (b"\x3a" + b"\x80\x92\xf4\x01" + b"\x08\x01" * 2_000_000, "fields"),
    "endless number": (b"\x3a\x0b" + b"\x08" + b"\xff" * 10, "more than ten bytes"),
}


@pytest.mark.parametrize("case", BROKEN, ids=BROKEN.keys())
def test_broken_models_are_refused_by_name(tmp_path: Path, case: str) -> None:
    content, expected = BROKEN[case]
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    start = time.process_time()
    message = refusal(path)
    assert time.process_time() - start < 5
    assert "bad.onnx" in message
    assert expected in message


SOUND = model(
    numpy_helper.from_array(FOUR, "a"),
    helper.make_tensor("b", 1, [2], [1.0, 2.0]),
    nodes=[helper.make_node("Gemm", ["x", "a", "b"], ["y"], transB=1)],
).SerializeToString()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_models_are_read_or_refused(data: st.DataObject) -> None:
    import tempfile

    content = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
        with suppress(CompileError):
            files.read(path)
