"""Constants are computed as ONNX's conformance suite says; sizes that are symbols stay exact."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.backend.test.loader import load_model_tests

from cnndsl.importers.onnx.fold import RULES, can_fold, fold
from cnndsl.importers.onnx.folding import FoldError, shape_vector
from cnndsl.importers.onnx.model import NodeView
from cnndsl.importers.onnx.read import OLDEST_OPSET, _node
from cnndsl.types.extents import Dim

N, H = Dim.symbol("N"), Dim.symbol("H")


def view(proto: onnx.NodeProto, opset: int = 17) -> NodeView:
    from cnndsl.diagnostics import Diagnostics

    found = Diagnostics()
    result = _node(0, proto, opset, found)
    found.raise_if_errors()
    return result


def _plain(array: Any) -> bool:
    return isinstance(array, np.ndarray | np.generic) and array.dtype.name in (
        "float32",
        "int8",
        "int32",
        "int64",
        "uint8",
        "bool",
    )


def test_every_rule_gives_what_onnx_recorded() -> None:
    """Refused are only constants that no network needs: elements of other types, none at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = load_model_tests(kind="node")
    refused: list[str] = []
    tried: dict[str, int] = dict.fromkeys(RULES, 0)
    for case in cases:
        if len(case.model.graph.node) != 1 or case.model.graph.node[0].op_type not in RULES:
            continue
        proto, opset = case.model.graph.node[0], case.model.opset_import[0].version
        ((inputs, outputs),) = case.data_sets
        if not all(map(_plain, (*inputs, *outputs))):
            continue
        given = map(np.asarray, inputs)
        node = view(proto, max(opset, OLDEST_OPSET))
        operands = [next(given) if name else None for name in node.inputs]
        try:
            results = fold(node, operands)
        except FoldError:
            refused += [case.name] if all(a.size for a in (*inputs, *outputs)) else []
            continue
        for result, expected in zip(results, outputs, strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-5, err_msg=case.name)
            assert result.shape == expected.shape, case.name
            assert result.dtype == expected.dtype, case.name
        tried[node.op] += 1
    assert refused == []
    untried = {op for op, count in tried.items() if not count}
    assert untried <= {"Cast"}  # to other floats, all of them
    assert sum(tried.values()) > 150


def computed(op: str, *operands: Any, **attributes: Any) -> Any:
    proto = helper.make_node(op, [f"x{i}" for i in range(len(operands))], ["y"], **attributes)
    return fold(view(proto), operands)[0]


def test_formulas_pass_through_arithmetic_on_shapes() -> None:
    shape = shape_vector((N, 3, 2 * H, 8))
    assert shape.dtype == object
    assert computed("Gather", shape, np.array([1, 3])).dtype == np.int64
    two = np.array([2])
    row = computed("Slice", shape, np.array([2]), np.array([3]))
    assert computed("Mul", row, two).tolist() == [4 * H]
    assert computed("Add", row, two).tolist() == [2 * H + 2]
    assert computed("Div", row, two).tolist() == [H]
    assert computed("Sub", row, row).tolist() == [0]
    assert computed("Mod", row, two).tolist() == [0]
    joined = computed("Concat", row, np.array([-1]), axis=0)
    assert joined.tolist() == [2 * H, -1]
    floats = computed("Cast", row, to=onnx.TensorProto.FLOAT)
    assert computed("Floor", computed("Mul", floats, np.array([2.0]))).tolist() == [4 * H]
    same = computed("Equal", joined, np.array([-1, -1]))
    assert same.tolist() == [False, True]
    assert computed("Where", same, np.array([1, 1]), joined).tolist() == [2 * H, 1]


@pytest.mark.parametrize(
    ("op", "operands"),
    [
        ("Less", (shape_vector((N,)), np.array([3]))),
        ("Equal", (shape_vector((N,)), np.array([3]))),
        ("Mul", (shape_vector((N,)), np.array([1.5]))),
        ("Div", (shape_vector((N,)), shape_vector((H,)))),
        ("Range", (np.array(0), np.asarray(N, object), np.array(1))),
        ("Reshape", (np.zeros(4), shape_vector((N, 2)))),
        ("Max", (shape_vector((N,)), np.array([3]))),
    ],
)
def test_what_depends_on_the_size_of_a_symbol_is_not_guessed(op: str, operands: Any) -> None:
    with pytest.raises(FoldError):
        computed(op, *operands)


def test_ops_without_a_rule_are_told() -> None:
    assert can_fold(view(helper.make_node("Shape", ["x"], ["y"])))
    assert not can_fold(view(helper.make_node("Conv", ["x", "w"], ["y"])))
