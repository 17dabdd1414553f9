"""What exporters of other frameworks write: recognised, and equal to ONNX Runtime's results.

Tolerance: sums of at most a few hundred float32 products, rounded in another order.
"""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import onnx
import pytest
from importers.onnx_models import check, made, node, random
from onnx import TensorProto, helper, numpy_helper

from cnndsl.diagnostics import CompileError
from cnndsl.importers.onnx.importing import import_model
from cnndsl.types.extents import Dim

ONE = np.float32(1)
MAP = {"x": ("N", 4, 6, 6)}
IMAGE = random(2, 4, 6, 6)


def test_gelu_in_the_ways_it_is_spelt_out() -> None:
    half, root = np.float32(0.5), np.float32(sqrt(2))
    pytorch = [
        node("Div", ["x", "root"], ["a"]),
        node("Erf", ["a"], ["b"]),
        node("Add", ["b", "one"], ["c"]),
        node("Mul", ["x", "c"], ["d"]),
        node("Mul", ["d", "half"], ["y"]),
    ]
    check(made(pytorch, MAP, {"root": root, "one": ONE, "half": half}), {"x": IMAGE}, ops=["Gelu"])
    slope, cubic = np.float32(sqrt(2 / pi)), np.float32(0.044715)
    tanh = [
        node("Pow", ["x", "three"], ["a"]),
        node("Mul", ["a", "cubic"], ["b"]),
        node("Add", ["x", "b"], ["c"]),
        node("Mul", ["c", "slope"], ["d"]),
        node("Tanh", ["d"], ["e"]),
        node("Add", ["one", "e"], ["f"]),
        node("Mul", ["x", "half"], ["g"]),
        node("Mul", ["g", "f"], ["y"]),
    ]
    tensors = {"three": np.float32(3), "cubic": cubic, "slope": slope, "one": ONE, "half": half}
    found = check(made(tanh, MAP, tensors), {"x": IMAGE}, ops=["Gelu"])
    assert found.imported.graph.nodes[0].op.approximate


def test_a_pattern_whose_middle_is_read_elsewhere_stays_in_parts() -> None:
    nodes = [
        node("Sigmoid", ["x"], ["gate"]),
        node("Mul", ["x", "gate"], ["y"]),
    ]
    check(made(nodes, MAP), {"x": IMAGE}, ops=["Silu"])
    check(made(nodes, MAP, outputs=("y", "gate")), {"x": IMAGE}, ops=["Sigmoid", "Mul"])


def test_hard_swish_of_a_clip() -> None:
    numbers = {"three": np.float32(3), "low": np.float32(0), "six": np.float32(6)}
    nodes = [
        node("Add", ["x", "three"], ["a"]),
        node("Clip", ["a", "low", "six"], ["b"]),
        node("Div", ["b", "six"], ["gate"]),
        node("Mul", ["x", "gate"], ["y"]),
    ]
    check(made(nodes, MAP, numbers), {"x": 4 * IMAGE}, ops=["HardSwish"])
    found = check(
        made([*nodes[:2], node("Div", ["b", "six"], ["y"])], MAP, numbers),
        {"x": 4 * IMAGE},
        ops=["HardSigmoid"],
    )
    assert found.imported.graph.nodes[0].op.alpha == 1 / 6


def test_clips_are_exact_whatever_their_bounds() -> None:
    for low, high, ops in (
        (0.0, 6.0, ["Relu6"]),
        (0.0, None, ["Relu"]),
        (-0.5, None, ["SRelu"]),
        (None, 0.3, ["Affine", "SRelu", "Affine"]),
        (-0.7, 0.9, ["SRelu", "Affine", "SRelu", "Affine"]),
    ):
        given = {"low": low, "high": high}
        tensors = {n: np.float32(v) for n, v in given.items() if v is not None}
        names = ["" if v is None else n for n, v in given.items()]
        model = made([node("Clip", ["x", *names], ["y"])], MAP, tensors)
        check(model, {"x": 3 * IMAGE}, ops=ops, tolerance=0)


def test_a_batch_norm_takes_the_scale_and_shift_after_it() -> None:
    tensors = {w: np.abs(random(4, seed=i)) + 0.5 for i, w in enumerate(("s", "b", "m", "v"))}
    tensors |= {"scale": random(4, 1, 1), "shift": random(1, 4, 1, 1, seed=9)}
    nodes = [
        node("BatchNormalization", ["x", "s", "b", "m", "v"], ["a"]),
        node("Mul", ["a", "scale"], ["c"]),
        node("Add", ["c", "shift"], ["y"]),
    ]
    check(made(nodes, MAP, tensors), {"x": IMAGE}, ops=["BatchNorm"])
    # Not where something else reads the norm's own result.
    both = made(nodes, MAP, tensors, outputs=("y", "a"))
    check(both, {"x": IMAGE}, ops=["BatchNorm", "BatchNorm"])


def test_a_bias_that_is_added_apart_becomes_the_layers() -> None:
    tensors = {"w": random(5, 4, 3, 3), "b": random(5, 1, 1)}
    nodes = [node("Conv", ["x", "w"], ["a"]), node("Add", ["b", "a"], ["y"])]
    found = check(made(nodes, MAP, tensors), {"x": IMAGE}, ops=["Conv"])
    assert found.imported.graph.nodes[0].op.bias
    tensors = {"w": random(7, 5), "b": random(5)}
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("Add", ["a", "b"], ["y"])]
    check(made(nodes, {"x": ("N", 7)}, tensors), {"x": random(3, 7)}, ops=["Dense"])


def test_a_constant_on_either_side_of_a_subtraction() -> None:
    for constant in (np.float32(2), random(4, 1, 1)):
        for operands in (["c", "x"], ["x", "c"]):
            model = made([node("Sub", operands, ["y"])], MAP, {"c": constant})
            check(model, {"x": IMAGE})


def test_layer_norm_and_dense_layers_between_transposes_see_the_channels() -> None:
    """A block of ConvNeXt, as PyTorch exports it: channels last from the norm to the scale."""
    tensors = {
        "dw": random(4, 1, 7, 7),
        "scale": random(4),
        "shift": random(4, seed=4),
        "w1": random(4, 16) / 4,
        "b1": random(16),
        "w2": random(16, 4) / 4,
        "b2": random(4, seed=5),
        "gamma": random(4, seed=6),
    }
    nodes = [
        node("Conv", ["x", "dw"], ["a"], group=4, pads=[3, 3, 3, 3]),
        node("Transpose", ["a"], ["b"], perm=[0, 2, 3, 1]),
        node("LayerNormalization", ["b", "scale", "shift"], ["c"], axis=-1, epsilon=1e-6),
        node("MatMul", ["c", "w1"], ["d"]),
        node("Add", ["b1", "d"], ["e"]),
        node("Relu", ["e"], ["f"]),
        node("MatMul", ["f", "w2"], ["g"]),
        node("Add", ["b2", "g"], ["h"]),
        node("Mul", ["gamma", "h"], ["i"]),
        node("Transpose", ["i"], ["j"], perm=[0, 3, 1, 2]),
        node("Add", ["x", "j"], ["y"]),
    ]
    ops = ["DepthwiseConv", "LayerNorm", "Conv", "Relu", "Conv", "BatchNorm", "Add"]
    found = check(made(nodes, MAP, tensors), {"x": IMAGE}, ops=ops)
    assert found.imported.notices == ()


def test_constants_spread_over_the_map_are_numbers_per_channel() -> None:
    spread = np.broadcast_to(random(4, 1, 1), (4, 6, 6)).copy()
    model = made([node("Mul", ["x", "c"], ["y"])], {"x": ("N", 4, 6, 6)}, {"c": spread})
    check(model, {"x": IMAGE}, ops=["BatchNorm"])
    spread[0, 0, 0] += 1
    model = made([node("Mul", ["x", "c"], ["y"])], {"x": ("N", 4, 6, 6)}, {"c": spread})
    with pytest.raises(CompileError, match="neither one number nor one per channel"):
        import_model(model)


def test_a_norm_spelt_out_over_the_last_axis() -> None:
    tensors = {"two": np.float32(2), "eps": np.float32(1e-6), "s": random(4), "b": random(4)}
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        node("ReduceMean", ["t"], ["mean"], axes=[-1]),
        node("Sub", ["t", "mean"], ["d"]),
        node("Pow", ["d", "two"], ["q"]),
        node("ReduceMean", ["q"], ["var"], axes=[-1]),
        node("Add", ["var", "eps"], ["e"]),
        node("Sqrt", ["e"], ["r"]),
        node("Div", ["d", "r"], ["n"]),
        node("Mul", ["n", "s"], ["m"]),
        node("Add", ["m", "b"], ["o"]),
        node("Transpose", ["o"], ["y"], perm=[0, 3, 1, 2]),
    ]
    found = check(made(nodes, MAP, tensors), {"x": IMAGE}, ops=["LayerNorm"])
    assert found.imported.graph.nodes[0].op.epsilon == 1e-6


def test_group_norm_as_pytorch_exports_it() -> None:
    tensors = {
        "split": np.array([0, 2, -1]),
        "ones": np.ones(2, np.float32),
        "zeros": np.zeros(2, np.float32),
        "s": random(4, 1, 1),
        "b": random(4, 1, 1, seed=8),
    }
    nodes = [
        node("Reshape", ["x", "split"], ["a"]),
        node("InstanceNormalization", ["a", "ones", "zeros"], ["n"], epsilon=1e-5),
        node("Shape", ["x"], ["shape"]),
        node("Reshape", ["n", "shape"], ["c"]),
        node("Mul", ["c", "s"], ["d"]),
        node("Add", ["d", "b"], ["y"]),
    ]
    found = check(made(nodes, MAP, tensors), {"x": IMAGE}, ops=["GroupNorm"])
    assert found.imported.graph.nodes[0].op.groups == 2


def test_a_flatten_by_shape_arithmetic_keeps_the_batch_symbolic() -> None:
    tensors = {"zero": np.array(0), "rest": np.array([-1]), "axes": np.array([0])}
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"], axis=0),
        node("Unsqueeze", ["n", "axes"], ["u"]),
        node("Concat", ["u", "rest"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["y"]),
    ]
    found = check(made(nodes, MAP, tensors), {"x": IMAGE}, ops=["Flatten"])
    assert found.imported.graph.inputs[0].value.type.shape[0] == Dim.symbol("N")


def test_sizes_computed_for_a_resize() -> None:
    tensors = {
        "start": np.array([2]),
        "stop": np.array([4]),
        "head": np.array([0, 1]),
        "two": np.array([2, 2]),
        "axis": np.array([0]),
        "begin": np.array([0]),
        "none": np.array([], np.float32),
    }
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Slice", ["s", "start", "stop", "axis"], ["hw"]),
        node("Mul", ["hw", "two"], ["twice"]),
        node("Slice", ["s", "begin", "start", "axis"], ["nc"]),
        node("Concat", ["nc", "twice"], ["sizes"], axis=0),
        node(
            "Resize",
            ["x", "", "", "sizes"],
            ["y"],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
    ]
    del tensors["head"], tensors["none"]
    image = {"x": ("N", 4, "H", "W")}
    found = check(made(nodes, image, tensors), {"x": IMAGE}, ops=["Upsample"])
    assert found.imported.graph.nodes[0].op.scale == (2, 2)


def test_an_image_with_channels_last_comes_with_a_notice() -> None:
    """TensorFlow's way: the network has the channels first, and its input is laid out so."""
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        node("Conv", ["t", "w"], ["a"], auto_pad="SAME_UPPER", strides=[2, 2]),
        node("Transpose", ["a"], ["y"], perm=[0, 2, 3, 1]),
    ]
    model = made(nodes, {"x": ("N", 6, 6, 3)}, {"w": random(5, 3, 3, 3)})
    found = check(model, {"x": random(2, 6, 6, 3)}, ops=["Conv"])
    assert found.imported.notices == (
        '"x" is float32[N, 3, 6, 6] in the network: the model\'s axes are its axes (0, 2, 3, 1)',
        '"y" is float32[N, 5, 3, 3] in the network: the model\'s axes are its axes (0, 2, 3, 1)',
    )


def test_shuffled_channels_and_pixels() -> None:
    for split, perm, end, op in (
        ((0, 2, 2, 6, 6), (0, 2, 1, 3, 4), (0, 4, 6, 6), ["ChannelShuffle"]),
        ((-1, 1, 2, 2, 6, 6), (0, 1, 4, 2, 5, 3), (-1, 1, 12, 12), ["DepthToSpace"]),
        ((-1, 4, 3, 2, 3, 2), (0, 3, 5, 1, 2, 4), (-1, 16, 3, 3), ["SpaceToDepth"]),
        (
            (-1, 4, 3, 2, 3, 2),
            (0, 1, 3, 5, 2, 4),
            (-1, 16, 3, 3),
            ["SpaceToDepth", "ChannelShuffle"],
        ),
    ):
        nodes = [
            node("Reshape", ["x", "split"], ["a"]),
            node("Transpose", ["a"], ["b"], perm=perm),
            node("Reshape", ["b", "end"], ["y"]),
        ]
        tensors = {"split": np.array(split), "end": np.array(end)}
        check(made(nodes, {"x": (2, 4, 6, 6)}, tensors), {"x": IMAGE}, ops=op, tolerance=0)


def test_an_embedding_and_a_convolution_along_its_sequence() -> None:
    tensors = {"table": random(11, 8), "w": random(4, 8, 3)}
    nodes = [
        node("Gather", ["table", "x"], ["a"]),
        node("Transpose", ["a"], ["b"], perm=[0, 2, 1]),
        node("Conv", ["b", "w"], ["y"], pads=[1, 1]),
    ]
    model = made(nodes, {"x": ("N", "L")}, tensors, element=TensorProto.INT64)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    numbers = np.random.default_rng(0).integers(0, 11, (2, 9))
    check(model, {"x": numbers}, ops=["Embedding", "Conv"])


def test_layers_that_read_the_same_tensors_share_their_weights() -> None:
    nodes = [
        node("Conv", ["x", "w", "b"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["c"]),
        node("Conv", ["c", "w", "b"], ["y"], pads=[1, 1, 1, 1]),
    ]
    model = made(nodes, MAP, {"w": random(4, 4, 3, 3), "b": random(4)})
    graph = check(model, {"x": IMAGE}).imported.graph
    assert graph.nodes[0].params == graph.nodes[2].params
    assert len(graph.parameters) == 2


def test_a_pool_over_a_padding_that_never_wins_pads_itself() -> None:
    lowest = np.float32(-np.inf)
    nodes = [
        node("Pad", ["x", "pads", "lowest"], ["a"]),
        node("MaxPool", ["a"], ["y"], kernel_shape=[3, 3], strides=[2, 2]),
    ]
    tensors = {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "lowest": lowest}
    check(made(nodes, MAP, tensors), {"x": IMAGE}, ops=["MaxPool"], tolerance=0)


def test_parts_of_a_map() -> None:
    far = np.iinfo(np.int64).max
    for starts, ends, axes, steps, ops in (
        ([1, 1], [-1, far], [2, 3], [1, 1], ["Crop"]),
        ([1], [3], [1], [1], ["Slice"]),
        ([0, 1], [far, far], [2, 3], [2, 2], ["Slice", "Slice"]),
        ([0], [far], [0], [1], ["Identity"]),
    ):
        given = {"starts": starts, "ends": ends, "axes": axes, "steps": steps}
        model = made(
            [node("Slice", ["x", *given], ["y"])], MAP, {n: np.array(v) for n, v in given.items()}
        )
        check(model, {"x": IMAGE}, ops=ops, tolerance=0)
    for index, ops in ((np.array(2), ["Slice", "Flatten"]), (np.array([1, 2]), ["Slice"])):
        model = made([node("Gather", ["x", "i"], ["y"], axis=1)], {"x": ("N", 4, 6)}, {"i": index})
        ops = ["Slice", "Flatten"] if index.ndim == 0 else ops
        check(model, {"x": IMAGE[..., 0]}, ops=ops, tolerance=0)


def test_a_split_makes_what_is_read() -> None:
    nodes = [
        node("Split", ["x", "sizes"], ["a", "b", "c"], axis=1),
        node("Add", ["a", "c"], ["y"]),
    ]
    model = made(nodes, MAP, {"sizes": np.array([1, 2, 1])})
    check(model, {"x": IMAGE}, ops=["Slice", "Slice", "Add"], tolerance=0)


def test_floats_of_other_sizes_become_float32_with_a_notice() -> None:
    weight = random(5, 4, 1, 1)
    model = made(
        [node("Conv", ["x", "w"], ["y"])],
        MAP,
        {"w": weight.astype(np.float16)},
        element=TensorProto.FLOAT16,
    )
    found = import_model(model).imported
    assert found.notices == ("2 tensors of float16 became float32",)
    (array,) = found.weights.values()
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, weight.astype(np.float16).astype(np.float32))
    bfloat = helper.make_tensor("w", TensorProto.BFLOAT16, weight.shape, weight.reshape(-1))
    del model.graph.initializer[:]
    model.graph.initializer.append(bfloat)
    (array,) = import_model(model).imported.weights.values()
    np.testing.assert_allclose(array, weight, rtol=2**-8)


def test_opsets_before_parameters_became_inputs() -> None:
    """Opset 6 to 9: shapes, pads, bounds and scales are attributes."""
    nodes = [
        node("Pad", ["x"], ["a"], pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.5),
        node("Slice", ["a"], ["b"], starts=[1], ends=[4], axes=[1]),
        node("Clip", ["b"], ["c"], min=0.0, max=6.0),
        node("Upsample", ["c"], ["d"], scales=[1.0, 1.0, 2.0, 2.0], mode="nearest"),
        node("Unsqueeze", ["d"], ["e"], axes=[1]),
        node("Squeeze", ["e"], ["f"], axes=[1]),
        node("Dropout", ["f"], ["y"], ratio=0.25),
    ]
    model = made(nodes, {"x": (2, 4, 6, 6)}, opset=8)
    ops = ["Pad", "Slice", "Relu6", "Upsample", "Dropout"]
    check(model, {"x": IMAGE}, ops=ops, tolerance=0)


def test_names_of_the_model_stay_where_they_are_legal() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["/layer1/conv1/out"], name="/layer1/conv1/Conv"),
        node("Relu", ["/layer1/conv1/out"], ["y"], name="relu:0"),
    ]
    graph = import_model(made(nodes, MAP, {"w": random(5, 4, 1, 1)})).imported.graph
    assert [n.label for n in graph.nodes] == ["layer1.conv1.Conv", "relu.0"]
    assert [n.output.name for n in graph.nodes] == ["layer1_conv1_out", "y"]
    assert [p.value.name for p in graph.parameters] == ["layer1.conv1.Conv.weight"]


@pytest.mark.parametrize(
    ("declared", "shape"),
    [
        (("batch", 3, None, None), ("batch", 3, "H", "W")),
        ((None, 3, "16*h", "16*h"), ("N", 3, 16 * Dim.symbol("h"), 16 * Dim.symbol("h"))),
        (("N", 3, "height of it", "conv"), ("N", 3, "height_of_it", "conv_")),
    ],
)
def test_open_extents_become_symbols(declared: tuple, shape: tuple) -> None:
    model = made([node("Relu", ["x"], ["y"])], {"x": declared})
    found = import_model(model).imported.graph.inputs[0].value.type.shape
    assert found == tuple(Dim.symbol(e) if isinstance(e, str) else e for e in shape)


def test_nodes_that_no_output_needs_are_left_out_with_a_notice() -> None:
    nodes = [node("Relu", ["x"], ["y"]), node("Abs", ["x"], ["z"])]
    found = import_model(made(nodes, MAP)).imported
    assert [type(n.op).__name__ for n in found.graph.nodes] == ["Relu"]
    assert found.notices == ("1 nodes that no output needs were left out",)


def test_data_files_are_read_beside_the_model(tmp_path) -> None:
    weight = random(5, 4, 1, 1)
    model = made([node("Conv", ["x", "w"], ["y"])], MAP, {"w": weight})
    onnx.save_model(
        model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0
    )
    proto = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    (array,) = import_model(proto, tmp_path).imported.weights.values()
    np.testing.assert_array_equal(array, weight)
    assert numpy_helper.from_array(weight).raw_data == (tmp_path / "m.data").read_bytes()
