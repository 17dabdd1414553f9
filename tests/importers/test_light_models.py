"""The nine networks in the onnx package: imported, compiled, run.

Their weights are all 0.02, made in the model; the outputs that ONNX recorded say little more than
that the classes are equal. So each is run with random weights, too: our module, and ONNX Runtime
for the model's own meaning, against the program in float64.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from conformance.modules import module_of
from onnx import helper, numpy_helper

from cnndsl.backends.reference.run import run
from cnndsl.driver.choice import Choice
from cnndsl.driver.import_ import import_file
from cnndsl.driver.prepare import prepare
from cnndsl.files import write_files
from cnndsl.importers.onnx.importing import import_model
from cnndsl.importers.writing.compare import same_network

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NAMES = (
    "bvlc_alexnet",
    "densenet121",
    "inception_v1",
    "inception_v2",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "zfnet512",
)
LINES = {"resnet50": 70, "vgg19": 40, "squeezenet": 40}
"""Of the programs of networks that repeat themselves, at most."""


def randomised(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with random weights, which keep the size of what flows through."""
    rng = np.random.default_rng(5)
    shapes = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    readers = {name: node for node in model.graph.node for name in node.input}
    tensors, nodes = [], []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape":
            nodes.append(node)
            continue
        (name,) = node.output
        shape = tuple(shapes[node.input[0]])
        fan_in = np.prod(shape[1:]) if readers[name].op_type in ("Conv", "Gemm") else 0
        values = rng.standard_normal(shape, np.float32)
        if fan_in > 1:
            values *= np.float32(np.sqrt(2 / fan_in))
        else:  # scales and variances are positive
            values = (1 + np.clip(values, -3, 3) / 5).astype(np.float32)
        tensors.append(numpy_helper.from_array(values, name))
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    result.graph.initializer.extend(tensors)
    given = [*result.graph.input]
    given += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    unique = {i.name: i for i in given}
    del result.graph.input[:]
    result.graph.input.extend(unique.values())
    return result


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_light_model_gives_the_recorded_outputs_and_those_of_onnx_runtime(
    name: str, tmp_path: Path
) -> None:
    """Classes' chances are compared; the float32 sums before them err by some 1e-5."""
    recorded = onnx.TensorProto.FromString((FOLDER / f"light_{name}_output_0.pb").read_bytes())
    program = import_file(FOLDER / f"light_{name}.onnx", tmp_path / "light.cnn")
    assert len(program.text.splitlines()) <= LINES.get(name, 250)
    write_files(program.files)
    weights = tmp_path / "light.safetensors"
    prepared = prepare(tmp_path / "light.cnn", Choice({}, weights))
    assert prepared.warnings == ()
    module = module_of(prepared.optimized.graph)
    x = np.linspace(0, 1, 3 * 224 * 224, endpoint=False, dtype=np.float32).reshape(1, 3, 224, 224)
    y = module.load(dict(prepared.weights))(x)
    expected = numpy_helper.to_array(recorded)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-7)

    model = randomised(onnx.load(FOLDER / f"light_{name}.onnx"))
    again = import_model(model).imported
    names = same_network(replace(again.graph, name="light"), prepared.graph)
    drawn = {names[n]: array for n, array in again.weights.items()}
    y = module.load(drawn)(x)
    module.__dict__["WINOGRAD"] = module.__dict__["STRASSEN"] = "off"
    plain = module.load(drawn)(x)  # the same sums on every processor
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    (theirs,) = session.run(None, {session.get_inputs()[0].name: x})
    # Both round in float32, each in its own order: neither is the other's measure.
    wide = {name: array.astype(np.float64) for name, array in drawn.items()}
    (entry,) = prepared.graph.inputs
    (exact,) = run(prepared.graph, {entry.value.name: x.astype(np.float64)}, wide).values()
    assert np.ptp(exact) > 1e-4
    np.testing.assert_allclose(plain, exact, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(theirs, exact, rtol=2e-3, atol=1e-6)
    if np.abs(exact).max() <= 1:  # chances
        np.testing.assert_allclose(y, exact, rtol=2e-3, atol=1e-6)
    else:  # sums of up to 30: what cancels in them is their own measure
        np.testing.assert_allclose(y, exact, rtol=0, atol=1e-5 * np.abs(exact).max())
