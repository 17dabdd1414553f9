"""Models that are not sound, or hostile: named errors, all at once, in bounded time and memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from importers.onnx_models import made, node, random
from onnx import TensorProto, helper, numpy_helper

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.importers.onnx import inference
from cnndsl.importers.onnx.importing import import_model, import_onnx
from cnndsl.importers.onnx.read import parse
from cnndsl.importers.onnx.wire import MAX_FIELDS
from cnndsl.importers.writing.write import write_source

MAP = {"x": ("N", 4, 6, 6)}


def errors(
    model: onnx.ModelProto | bytes, folder: Path | None = None, *, thorough: bool = False
) -> tuple[Diagnostic, ...]:
    def read() -> None:
        proto = parse(model, "m.onnx") if isinstance(model, bytes) else model
        import_model(proto, folder, thorough=thorough)

    with pytest.raises(CompileError) as caught:
        read()
    return caught.value.diagnostics


def error(model: onnx.ModelProto | bytes, folder: Path | None = None) -> str:
    (found,) = errors(model, folder)
    return f"{found.code}: {found.message}"


def convolution() -> onnx.ModelProto:
    return made([node("Conv", ["x", "w"], ["y"])], MAP, {"w": random(5, 4, 1, 1)})


# ------------------------------------------------------------------------- the bytes


def test_bytes_that_are_no_model() -> None:
    whole = convolution().SerializeToString()
    for data in (b"\x80\x04pickle", b"PK\x03\x04" + bytes(30), b"\xff" * 64, whole[:-3]):
        assert "CNN806: m.onnx is not an ONNX model that can be read" in error(data)
    assert "it holds no graph" in error(b"")
    assert "a name in it is not UTF-8" in error(whole.replace(b"Conv", b"Con\xff"))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_model_is_read_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(convolution().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    with suppress(CompileError):
        import_model(parse(bytes(damaged[: data.draw(st.integers(1, len(damaged)))]), "m.onnx"))


def test_a_file_of_empty_messages_is_not_parsed() -> None:
    """Two bytes each here, some hundred when parsed."""
    nodes = b"\x0a\x00" * (MAX_FIELDS + 1)
    graph = b"\x3a" + _varint(len(nodes)) + nodes
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    assert f"it holds more than {MAX_FIELDS:_} fields" in error(graph)
    assert time.process_time() - start < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def test_messages_within_messages_without_end() -> None:
    """Attributes hold graphs, whose nodes hold attributes."""
    inner = b""
    for _ in range(80):
        inner = b"\x0a" + _varint(len(inner)) + inner  # a graph's node
        inner = b"\x32" + _varint(len(inner)) + inner  # an attribute's graph
        inner = b"\x2a" + _varint(len(inner)) + inner  # a node's attribute
    message = b"\x0a" + _varint(len(inner)) + inner
    assert "nest more than" in error(b"\x3a" + _varint(len(message)) + message)


def test_a_model_of_very_many_nodes_is_refused() -> None:
    nodes = b"\x0a\x00" * 1_000_000
    found = error(b"\x08\x09\x42\x04\x0a\x00\x10\x11\x3a" + _varint(len(nodes)) + nodes)
    assert found == "CNN401: the model has more than 200_000 nodes and tensors"


# ------------------------------------------------------------------------- the graph


def test_a_cycle_is_named() -> None:
    nodes = [
        node("Add", ["x", "b"], ["a"], name="first"),
        node("Relu", ["a"], ["b"], name="second"),
        node("Relu", ["b"], ["y"]),
    ]
    assert error(made(nodes, MAP)).startswith("CNN806: the graph has a cycle: ")
    assert "first" in error(made(nodes, MAP))
    itself = made([node("Add", ["x", "y"], ["y"], name="self")], MAP)
    assert 'cycle: Add node "self" reads what Add node "self" makes' in error(itself)


def test_a_chain_of_very_many_nodes_is_no_deep_recursion() -> None:
    names = ["x", *(f"v{i}" for i in range(15_000)), "y"]
    nodes = [node("Relu", [a], [b]) for a, b in pairwise(names)]
    assert len(import_model(made(nodes, MAP)).imported.graph.nodes) == 15_001


def of_layers(count: int) -> onnx.ModelProto:
    """Return a chain of layers in random order, which no block makes shorter."""
    names = ["x", *(f"v{i}" for i in range(count - 1)), "y"]
    ops = np.random.default_rng(0).choice(["Relu", "Sigmoid", "Tanh", "Elu", "Softplus"], count)
    return made([node(op, [a], [b]) for op, (a, b) in zip(ops, pairwise(names), strict=True)], MAP)


@pytest.mark.slow
def test_a_model_of_nearly_as_many_layers_as_there_may_be_is_written() -> None:
    start = time.process_time()
    imported = import_model(of_layers(19_000)).imported
    written = write_source(imported.graph, imported.comments)
    assert len(written.text.splitlines()) > 2_000
    assert time.process_time() - start < 60


def test_a_program_that_would_be_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = import_model(of_layers(300)).imported
    monkeypatch.setattr("cnndsl.syntax.parser.MAX_TOKENS", 100)
    with pytest.raises(CompileError) as caught:
        write_source(imported.graph)
    (found,) = caught.value.diagnostics
    assert (found.code, found.span) == ("CNN404", None)
    assert found.message.startswith("the network's program would be too large: the source has more")


def test_tensors_that_nothing_makes_are_listed_together() -> None:
    nodes = [node("Conv", ["x", "w"], ["a"], name="c"), node("Add", ["a", "b"], ["y"])]
    model = made(nodes, MAP, outputs=("y", "z"))
    assert [d.message for d in errors(model)] == [
        'the output "z" needs a tensor "z", which nothing makes',
        'Conv node "c" needs a tensor "w", which nothing makes',
        'Add node 1 (which makes "y") needs a tensor "b", which nothing makes',
    ]


def test_names_given_twice_are_listed_together() -> None:
    model = made(
        [node("Relu", ["x"], ["y"]), node("Tanh", ["x"], ["y"]), node("Relu", ["x"], ["x"])],
        MAP,
        {"w": random(2)},
    )
    model.graph.initializer.append(numpy_helper.from_array(random(2), "w"))
    model.graph.input.append(model.graph.input[0])
    assert {d.message for d in errors(model)} == {
        'the model has 2 initializers named "w"',
        'the model has 2 inputs named "x"',
        'the model has 2 tensors named "y"',
        'the model has 2 tensors named "x"',
    }


def test_nodes_that_break_their_ops_definition() -> None:
    nodes = [
        node("Conv", ["x"], ["a"], name="c"),
        node("Relu", ["a"], ["b"], name="r", alpha=1.0),
        node("LeakyRelu", ["b"], ["d"], name="l", alpha=3),
        node("MaxPool", ["d"], ["e"], name="m"),
        node("Gather", ["", "e"], ["y"], name="g"),
    ]
    assert [d.message for d in errors(made(nodes, MAP))] == [
        'Conv node "c" has 1 inputs, and takes 2 to 3 (opset 17)',
        'Relu node "r" has the attribute alpha, which the op has not (opset 17)',
        'LeakyRelu node "l" has an attribute alpha of another type than the op\'s (opset 17)',
        'MaxPool node "m" lacks the attribute kernel_shape (opset 17)',
        'Gather node "g" leaves out its input data (opset 17)',
    ]


@pytest.mark.parametrize(
    ("opset", "message"),
    [
        (5, "the model uses opset 5; 6 to"),
        (999, "the model uses opset 999; 6 to"),
    ],
)
def test_opsets_out_of_range(opset: int, message: str) -> None:
    assert message in error(made([node("Relu", ["x"], ["y"])], MAP, opset=opset))


def test_versions_and_parts_that_are_not_read() -> None:
    model = made([node("Relu", ["x"], ["y"])], MAP)
    model.ir_version = 99
    assert "the ONNX format version 99" in error(model)
    model = made([node("Relu", ["x"], ["y"])], MAP)
    del model.opset_import[:]
    assert "must import one version of ONNX's ops, and imports none" in error(model)
    model.opset_import.append(helper.make_opsetid("", 17))
    model.functions.append(
        helper.make_function("own", "f", [], [], [], [helper.make_opsetid("", 17)])
    )
    assert "CNN807: the model defines 1 functions of its own" in error(model)


# ----------------------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((-1, 3), 'axis 0 of "x" has the extent -1'),
        ((0, 3), 'the input "x" has the extent 0 on an axis'),
        ((1, 2**40), "above the limit"),
        ((2**20, 2**20, 2**20), "more than"),
        ((1,) * 6, 'the input "x" has 6 axes'),
    ],
)
def test_extents_of_inputs(shape: tuple[int, ...], message: str) -> None:
    assert message in error(made([node("Relu", ["x"], ["y"])], {"x": shape}))


def test_results_beyond_the_limits() -> None:
    scales = {"s": np.array([1, 1, 4096, 4096], np.float32)}
    nodes = [node("Resize", ["x", "", "s"], ["y"], mode="nearest")]
    model = made(nodes, {"x": (1, 4, 600_000, 600_000)}, scales)
    model.graph.node[0].attribute.append(
        helper.make_attribute("coordinate_transformation_mode", "asymmetric")
    )
    model.graph.node[0].attribute.append(helper.make_attribute("nearest_mode", "floor"))
    assert "CNN403" in error(model)


def test_constants_that_would_fill_the_memory() -> None:
    big = {"n": np.array([2**20, 2**12])}
    filled = [node("ConstantOfShape", ["n"], ["c"], name="c"), node("Add", ["x", "c"], ["y"])]
    assert "makes a constant of shape" in errors(made(filled, MAP, big))[0].message
    for op, tensors in (
        ("Tile", {"t": random(64), "n": np.array([2**30])}),
        ("Expand", {"t": random(1), "n": np.array([2**20, 2**20])}),
    ):
        nodes = [node(op, ["t", "n"], ["c"], name="c"), node("Add", ["x", "c"], ["y"])]
        assert "makes a constant of shape" in errors(made(nodes, MAP, tensors))[0].message
    steps = {"a": np.array(0), "b": np.array(2**50), "c": np.array(1)}
    nodes = [node("Range", ["a", "b", "c"], ["r"]), node("Add", ["x", "r"], ["y"])]
    assert "makes a constant of shape" in error(made(nodes, MAP, steps))


def test_a_small_file_of_very_large_weights() -> None:
    """Each of them is a view of one number; written out they would take 40 gigabytes."""
    shape = {"n": np.array([10_000, 10_000])}
    value = numpy_helper.from_array(np.ones(1, np.float32), "one")
    nodes, name = [], "x"
    for i in range(100):
        nodes.append(node("ConstantOfShape", ["n"], [f"w{i}"], value=value))
        nodes.append(node("MatMul", [name, f"w{i}"], [f"v{i}"]))
        name = f"v{i}"
    nodes.append(node("Relu", [name], ["y"]))
    message = error(made(nodes, {"x": ("N", 10_000)}, shape))
    assert message.startswith("CNN403: the network's weights take 40_000_000_000 bytes")


def test_a_tensor_whose_data_are_not_as_many_as_its_shape_says() -> None:
    model = convolution()
    model.graph.initializer[0].raw_data = bytes(7)
    assert 'its tensor "w" needs 80 bytes, and has 7' in error(model)
    model.graph.initializer[0].dims[0] = -5
    assert "malformed shape" in error(model)
    model.graph.initializer[0].dims[0] = 2**62
    assert "and has 7" in error(model)
    model.graph.initializer[0].data_type = TensorProto.COMPLEX64
    assert "has elements of type complex64, which are not read" in error(model)
    model.graph.initializer[0].data_type = 77
    assert "has elements of type number 77" in error(model)


def test_attributes_that_hold_no_sound_tensor() -> None:
    for op, inputs in (("Constant", []), ("ConstantOfShape", ["s"])):
        made_by = node(op, inputs, ["c"], name="n", value=TensorProto(data_type=1, dims=[1]))
        model = made([made_by, node("Add", ["x", "c"], ["y"])], MAP, {"s": np.array([1])})
        assert "it holds a tensor that needs 1 elements, and has 0" in error(model)


def test_numbers_that_float32_cannot_hold_are_not_made_infinite() -> None:
    weight = random(5, 4, 1, 1).astype(np.float64)
    weight[0, 0, 0, 0] = -1e300
    model = made([node("Conv", ["x", "w"], ["y"])], MAP, {"w": weight})
    assert 'its tensor "w" holds -1e+300, which float32 cannot hold' in error(model)
    weight[0, 0, 0, 0] = -np.inf
    model = made([node("Conv", ["x", "w"], ["y"])], MAP, {"w": weight})
    (imported,) = import_model(model).imported.weights.values()
    assert imported.dtype == np.float32
    assert np.isinf(imported).sum() == 1


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        ({"H": "7", "W": "9"}, {"H": 7, "W": 9}),
        ({"H": "7", "Z": "9"}, {"H": 7}),
        ({"H": "4", "W": "9"}, {}),  # nothing would be left of the map
        *[({"H": text}, {}) for text in ("", "-7", "0", "7.0", "٧", "9" * 10, "7" * 5000)],
    ],
)
def test_usual_sizes_that_a_model_states(stated: dict[str, str], kept: dict[str, int]) -> None:
    """They are what cnndsl's own models keep of a program; a model of others may say anything."""
    nodes = [node("Conv", ["x", "w"], ["y"])]
    model = made(nodes, {"x": ("N", 4, "H", "W")}, {"w": random(5, 4, 5, 5)})
    helper.set_model_props(model, {f"cnndsl.usual_size.{k}": v for k, v in stated.items()})
    graph = import_model(model).imported.graph
    assert dict(graph.usual_sizes) == kept
    write_source(graph)


def test_a_scale_beyond_all_measure_is_refused_at_once() -> None:
    scales = {"s": np.array([1, 1, 2e9, 2e9], np.float32)}
    model = made([node("Resize", ["x", "", "s"], ["y"], mode="nearest")], MAP, scales)
    assert "are not whole numbers for spatial axes" in error(model)


# ---------------------------------------------------------------------- data files


def external(location: str, **entries: str) -> onnx.ModelProto:
    model = convolution()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=value)
    return model


def test_data_files_outside_the_folder_are_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(80))
    (folder / "link").symlink_to(secret)
    (folder / "inside").mkdir()
    os.mkfifo(folder / "pipe")
    for location in ("../secret", str(secret), "link", "inside/../../secret"):
        assert "which is outside the model's folder" in error(external(location), folder)
    for location in ("inside", "pipe", "."):
        assert "which is not a plain file" in error(external(location), folder)
    for location in ("nothing", "a\0b", "", "x" * 5000):
        found = error(external(location), folder)
        assert "which is not there" in found or "names no data file" in found
    assert "lies in another file, and only the model is at hand" in error(external("secret"))


def test_places_in_a_data_file_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(100))
    assert len(import_model(external("data", offset="20"), tmp_path).imported.weights) == 1
    for entries, message in (
        ({"offset": "21"}, "ends at byte 101 of data, which has 100"),
        ({"length": "79"}, "its data file's entry has 79"),
        ({"offset": "-1"}, "malformed offset"),
        ({"offset": "9" * 30}, "malformed offset"),
        ({"offset": "٣"}, "malformed offset"),
    ):
        assert message in error(external("data", **entries), tmp_path)


def test_a_file_that_is_no_plain_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(CompileError, match="CNN801"):
            import_onnx(path)


# -------------------------------------------------------------- what cannot be said


def test_all_refusals_are_told_at_once_with_their_numbers() -> None:
    nodes = [
        node("Abs", ["x"], ["a"], name="abs1"),
        node("Abs", ["a"], ["b"], name="abs2"),
        node("QuantizeLinear", ["b", "s"], ["q"], name="quant"),
        node("DequantizeLinear", ["q", "s"], ["d"], name="dequant"),
        node("AveragePool", ["d"], ["e"], name="pool", kernel_shape=[2, 2], dilations=[2, 2]),
        node("Resize", ["e", "", "f"], ["g"], name="up", mode="cubic"),
        node("Frobnicate", ["g"], ["h"], name="what"),
        node("Softmax", ["h"], ["y"], name="soft", axis=0),
    ]
    tensors = {"s": np.float32(1), "f": np.array([1, 1, 2, 2], np.float32)}
    model = made(nodes, MAP, tensors, opset=19)
    assert [d.message for d in errors(model, thorough=True)] == [
        'Abs node "abs1" and 1 more: the language has no such layer',
        'QuantizeLinear node "quant": quantised models are not read',
        'DequantizeLinear node "dequant": quantised models are not read',
        'AveragePool node "pool": average pools have no dilation in the language',
        'Resize node "up": mode=cubic is not a mode of the language\'s upsample',
        'Frobnicate node "what": ONNX has no such op in this version',
    ]


def test_ops_after_one_of_unknown_result_are_told_too() -> None:
    tensors = {"w": random(4, 4, 4), "r": random(4, 4, 4), "f": random(4), "n": np.array([2**62])}
    nodes = [
        node("LSTM", ["x", "w", "r"], ["a"], name="lstm"),
        node("Abs", ["a"], ["b"], name="abs"),
        node("ConstantOfShape", ["n"], ["c"], name="huge"),
        node("Abs", ["c"], ["d"], name="of a constant"),
        node("Add", ["b", "d"], ["y"], name="sum"),
    ]
    assert [d.message for d in errors(made(nodes, {"x": (2, 4, 4)}, tensors))] == [
        'LSTM node "lstm": the language has no recurrent layers',
        'Abs node "abs": the language has no such layer',
        'ConstantOfShape node "huge": it makes a constant of shape [4611686018427387904]',
    ]


def test_a_model_that_makes_onnx_abort_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX's inference ends the process of some models that break the rules, here of any."""
    nodes = [
        node("Abs", ["x"], ["a"], name="abs"),
        node("Abs", ["a"], ["b"], name="abs2"),
        node("AveragePool", ["b"], ["y"], name="p", kernel_shape=[2, 2], dilations=[2, 2]),
    ]
    model = made(nodes, MAP, opset=19)
    assert len(errors(model, thorough=True)) == 2
    monkeypatch.setattr(inference, "_CODE", "import os; os.abort()")
    assert error(model) == 'CNN807: Abs node "abs" and 1 more: the language has no such layer'
    (found,) = errors(model, thorough=True)
    assert found.message == 'Abs node "abs" and 1 more: the language has no such layer'


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        ("LSTM", "the language has no recurrent layers"),
        ("Loop", "the language has no control flow on tensors"),
        ("RandomNormalLike", "the language has no random numbers"),
    ],
)
def test_ops_are_refused_by_name(op: str, reason: str) -> None:
    inputs = {"LSTM": ["x", "w", "w"], "Loop": ["", "", "x"]}.get(op, ["x"])
    attributes = {}
    if op == "Loop":
        attributes["body"] = helper.make_graph([], "body", [], [])
    model = made([node(op, inputs, ["y"], name="n", **attributes)], MAP, {"w": random(4, 4)})
    assert error(model) == f'CNN807: {op} node "n": {reason}'


def test_ops_of_other_domains_are_refused_by_name() -> None:
    model = made([node("FusedConv", ["x"], ["y"], domain="com.microsoft", name="n")], MAP)
    expected = 'CNN807: com.microsoft.FusedConv node "n": ONNX has no such op in this version'
    assert error(model) == expected


def test_an_attribute_that_would_be_ignored_is_refused() -> None:
    policy = {"mode": "nearest", "keep_aspect_ratio_policy": "not_larger"}
    scales = {"s": np.array([1, 1, 2, 2], np.float32)}
    nodes = [node("Resize", ["x", "", "s"], ["y"], name="n", **policy)]
    expected = "the attribute keep_aspect_ratio_policy='not_larger' is not supported"
    assert error(made(nodes, MAP, scales, opset=18)) == f'CNN807: Resize node "n": {expected}'
    nodes = [node("Cast", ["x"], ["y"], name="n", to=TensorProto.DOUBLE)]
    import_model(made(nodes, MAP))  # a float, and with a notice
    nodes = [node("ReduceMax", ["x"], ["y"], name="n", axes=[2, 3], keepdims=1)]
    import_model(made(nodes, MAP))
    nodes = [node("MaxPool", ["x"], ["y", "i"], name="n", kernel_shape=[2, 2])]
    model = made(nodes, MAP, outputs=("y", "i"))
    assert 'MaxPool node "n": the network uses its indices' in error(model)


def test_a_layer_that_the_language_refuses_is_located() -> None:
    model = made([node("Conv", ["x", "w"], ["y"], name="c")], MAP, {"w": random(5, 3, 1, 1)})
    assert error(model).startswith('CNN604: Conv node "c": its weight must be [5, 4, 1, 1]')
    model = made([node("Conv", ["x", "w"], ["y"], name="c")], MAP, {"w": random(5, 4, 9, 9)})
    assert error(model).startswith('CNN807: Conv node "c": conv spans 9 positions')


def test_terminal_codes_in_names_are_not_printed() -> None:
    nodes = [node("Abs", ["x"], ["y"], name="\x1b[2Jevil\n" + "n" * 10_000)]
    message = error(made(nodes, MAP))
    assert message.isprintable()
    assert len(message) < 400


def test_nothing_of_pickle_is_imported_to_read_a_model(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(convolution().SerializeToString())
    code = (
        "import pickle, sys; pickle.loads = pickle.load = pickle.Unpickler = None\n"
        "from pathlib import Path\n"
        "from cnndsl.importers.onnx.importing import import_onnx\n"
        "print(len(import_onnx(Path(sys.argv[1])).graph.nodes))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m.onnx")], capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr
