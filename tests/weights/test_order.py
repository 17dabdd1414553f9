"""Weights under names of another framework, matched by order and shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from weights.torchvision_names import resnet50

from cnndsl.diagnostics import CompileError
from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.weights.match import fit
from cnndsl.weights.order import by_order
from cnndsl.weights.stored import StoredTensor, stored

EXAMPLES = Path(__file__).parents[2] / "examples"

STACK = """network net
input x: float32[N, 4, 8, 8]
output y = x -> conv3x3(4) -> bn -> relu -> conv3x3(4) -> bn -> relu -> conv3x3(4) -> dwconv3x3
"""


def described(shapes: dict[str, tuple[int, ...]]) -> dict[str, StoredTensor]:
    """Return tensors that cannot be read: which is which is known from names and shapes alone."""

    def unread() -> np.ndarray:
        raise AssertionError("a tensor was read")

    return {
        name: StoredTensor(name, "float32" if shape else "int64", shape, unread)
        for name, shape in shapes.items()
    }


@pytest.fixture
def stack(tmp_path: Path) -> Graph:
    path = tmp_path / "net.cnn"
    path.write_text(STACK)
    return load(path).graph


def shapes_of(graph: Graph) -> dict[str, tuple[int, ...]]:
    return {p.value.name: p.spec.shape for p in graph.parameters}


def expected(name: str) -> str:
    """Return torchvision's name of a parameter of examples/resnet50.cnn, by the paths of both."""
    *path, layer, role = name.split(".")
    if path == []:
        return f"fc.{role}"
    if len(path) == 1:
        return {"conv7x7": "conv1", "bn": "bn1"}[layer] + f".{role}"
    _, stage, unit = path
    here = {
        "conv1x1": "conv1", "conv3x3": "conv2", "conv1x1_2": "conv3", "conv1x1_3": "downsample.0",
        "bn": "bn1", "bn_2": "bn2", "bn_3": "bn3", "bn_4": "downsample.1",
    }  # fmt: skip
    number = [int(part.rpartition("_")[2]) if part[-1].isdigit() else 1 for part in (stage, unit)]
    return f"layer{number[0]}.{number[1] - 1}.{here[layer]}.{role}"


@pytest.mark.parametrize("sorting", [False, True], ids=["as registered", "sorted by name"])
def test_torchvisions_resnet50_maps_onto_the_example(sorting: bool) -> None:
    graph = load(EXAMPLES / "resnet50.cnn").graph
    theirs = resnet50()
    assert len(theirs) == 320
    matched = by_order(graph, described(dict(sorted(theirs.items())) if sorting else theirs))
    assert matched.problems == ()
    assert {ours: t.name for ours, t in matched.tensors.items()} == {
        p.value.name: expected(p.value.name) for p in graph.parameters
    }
    assert len(matched.left_out) == 53
    assert all(name.endswith("num_batches_tracked") for name in matched.left_out)
    # PyTorch's safetensors are sorted by name: what only order tells apart is said then.
    assert bool(matched.by_order) == sorting


def test_another_number_of_classes_is_the_only_problem() -> None:
    graph = load(EXAMPLES / "resnet50.cnn", {"classes": 10}).graph
    for theirs in (resnet50(), dict(sorted(resnet50().items()))):
        problems = by_order(graph, described(theirs)).problems
        assert sorted((p.tensor, p.wanted, p.got, p.help) for p in problems) == [
            ("dense.bias", "[10]", "[1000]", "it is fc.bias there"),
            ("dense.weight", "[10, 2048]", "[1000, 2048]", "it is fc.weight there"),
        ]


def test_numbers_in_names_count_by_value(stack: Graph) -> None:
    ours = shapes_of(stack)
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in ours))
    renamed = {
        f"features.{7 + layers.index(name.rpartition('.')[0])}.{name.rpartition('.')[2]}": shape
        for name, shape in ours.items()
    }
    matched = by_order(stack, described(dict(sorted(renamed.items()))))
    assert [t.name for t in matched.tensors.values()] == list(renamed)
    assert matched.by_order == ("conv3x3", "bn", "conv3x3_2", "bn_2")


def test_order_decides_between_equal_layers_and_says_so(stack: Graph) -> None:
    ours = shapes_of(stack)
    # All norms first, then the others: the order of the file is not the network's.
    moved = {f"m.{n}": s for n, s in sorted(ours.items(), key=lambda i: "bn" not in i[0])}
    matched = by_order(stack, described(moved))
    assert [t.name for t in matched.tensors.values()] == [f"m.{name}" for name in ours]
    assert matched.by_order == ("conv3x3", "bn", "conv3x3_2", "bn_2")


def test_tensors_without_roles_must_be_in_order(stack: Graph) -> None:
    ours = shapes_of(stack)
    numbered = {f"arr_{i}": shape for i, shape in enumerate(ours.values())}
    matched = by_order(stack, described(numbered))
    assert [t.name for t in matched.tensors.values()] == list(numbered)
    turned = dict(reversed(numbered.items()))
    swapped = {f"t{i}": shape for i, shape in enumerate(turned.values())}
    problems = by_order(stack, described(swapped)).problems
    assert {p.kind.words for p in problems} == {"missing", "not in the network"}


def test_missing_and_extra_layers_are_named(stack: Graph) -> None:
    theirs = {f"m.{name}": shape for name, shape in shapes_of(stack).items()}
    del theirs["m.dwconv3x3.weight"], theirs["m.dwconv3x3.bias"]
    theirs["m.head.weight"] = (7, 4)
    problems = by_order(stack, described(theirs)).problems
    assert [(p.kind.words, p.tensor) for p in problems] == [
        ("missing", "dwconv3x3.weight"),
        ("missing", "dwconv3x3.bias"),
        ("not in the network", "m.head.weight"),
    ]


def test_values_go_where_names_went(stack: Graph) -> None:
    ours = shapes_of(stack)
    values = {f"z.{n}": np.full(s, i, np.float32) for i, (n, s) in enumerate(ours.items())}
    fitted = fit(by_order(stack, {n: stored(n, a) for n, a in values.items()}))
    assert {name: array.flat[0] for name, array in fitted.weights.items()} == {
        name: i for i, name in enumerate(ours)
    }


def test_a_misfit_is_one_error_with_a_table(stack: Graph) -> None:
    with pytest.raises(CompileError) as error:
        fit(by_order(stack, described({"m.a.weight": (1, 2)})))
    table = error.value.table
    assert table is not None
    assert len(table.rows) == len(error.value.diagnostics) == len(stack.parameters) + 1
    assert {d.code for d in error.value.diagnostics} == {"CNN602", "CNN603"}
