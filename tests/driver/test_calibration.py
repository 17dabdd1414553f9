"""Calibration inputs: files and folders of every kind, put into batches that fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from properties.networks import GraphBuilder, float32

from cnndsl.diagnostics import CompileError
from cnndsl.driver.calibration import batches, expand
from cnndsl.ir.graph import Graph
from cnndsl.ops.activation import Relu
from cnndsl.ops.base import Array
from cnndsl.ops.elementwise import Add
from cnndsl.weights import npz


def one_input(*shape: int | str) -> Graph:
    b = GraphBuilder()
    return b.graph(b.add(Relu(), b.input("x", float32(*shape))))


def two_inputs() -> Graph:
    b = GraphBuilder()
    names = [b.input(name, float32("N", 2)) for name in ("a", "b")]
    return b.graph(b.add(Add(), *names))


def saved(path: Path, *shape: int, start: int = 0) -> Path:
    count = int(np.prod(shape))
    np.save(path, np.arange(start, start + count, dtype=np.float32).reshape(shape))
    return path


def shapes(graph: Graph, *paths: Path, most: int) -> list[tuple[int, ...]]:
    return [b["x"].shape for b in batches(graph, paths, lambda _: most)]


def test_files_of_one_shape_are_put_together_and_large_ones_taken_apart(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a.npy", 7, 1, 2), saved(tmp_path / "b.npy", 2, 1, 2, start=14)
    c, d = saved(tmp_path / "c.npy", 2, 1, 3), saved(tmp_path / "d.npy", 2, 1, 3)
    graph = one_input("N", 1, "T")
    first, second = (3, 1, 2), (2, 1, 3)
    assert shapes(graph, a, b, c, d, most=3) == [first, first, first, second, second]
    found = np.concatenate([x["x"] for x in batches(graph, [a, b], lambda _: 4)])
    np.testing.assert_array_equal(found.ravel(), np.arange(18))


def test_a_batch_holds_what_there_is_room_for(tmp_path: Path) -> None:
    asked: list[dict[str, int]] = []

    def most(sizes: object) -> int:
        assert isinstance(sizes, dict)
        asked.append(sizes)
        return 0

    path = saved(tmp_path / "a.npy", 2, 1, 5)
    found = [b["x"].shape for b in batches(one_input("N", 1, "T"), [path], most)]
    assert found == [(1, 1, 5), (1, 1, 5)]
    assert asked == [{"N": 1, "T": 5}]


def test_a_batch_of_fixed_size_stays(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npy", 4, 3)
    assert shapes(one_input(4, 3), path, path, most=1) == [(4, 3), (4, 3)]
    with pytest.raises(CompileError, match="CNN803"):
        shapes(one_input(3, 3), path, most=1)


def test_pictures_and_folders(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG"):
        Image.new("RGB", (20, 10), "red").save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an input")
    (tmp_path / "inner.npy").mkdir()
    alone = saved(tmp_path.parent / "alone.npy", 1, 3, 8, 8)
    paths = expand([tmp_path, alone])
    assert [p.name for p in paths] == ["a.JPG", "b.png", "alone.npy"]
    assert shapes(one_input("N", 3, 8, 8), *paths, most=9) == [(3, 3, 8, 8)]
    empty = tmp_path / "inner.npy"
    with pytest.raises(CompileError, match=r"CNN803.*the folder holds no inputs"):
        expand([empty])


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(CompileError, match="CNN801") as error:
        expand([tmp_path])
    assert str(tmp_path) in str(error.value)


def test_archives_feed_networks_of_several_inputs(tmp_path: Path) -> None:
    def archive(name: str, **arrays: Array) -> Path:
        (tmp_path / name).write_bytes(npz.serialize(arrays))
        return tmp_path / name

    ones = np.ones((5, 2), np.float32)
    good = archive("good.npz", a=ones, b=2 * ones)
    found = list(batches(two_inputs(), [good, good], lambda _: 4))
    assert [len(f["a"]) for f in found] == [len(f["b"]) for f in found] == [4, 1, 4, 1]
    assert all((f["b"] == 2 * f["a"]).all() for f in found)
    for path, message in (
        (archive("half.npz", a=ones), "input b is missing"),
        (archive("more.npz", a=ones, b=ones, c=ones), "has no input c"),
        (archive("wide.npz", a=ones, b=ones.astype(np.float64)), "the array has dtype float64"),
        (archive("short.npz", a=ones, b=ones[:2]), "axis 0 of b is N"),
        (saved(tmp_path / "a.npy", 5, 2), "the network has the inputs a, b"),
    ):
        with pytest.raises(CompileError, match=message) as error:
            list(batches(two_inputs(), [path], lambda _: 4))
        assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("shape", "message"), [((1, 4), "CNN803.*axis 1 of x is 3"), ((3,), "CNN803.*of 2 axes")]
)
def test_a_file_that_does_not_fit_is_named(
    tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    good, bad = saved(tmp_path / "a.npy", 1, 3), saved(tmp_path / "b.npy", *shape)
    with pytest.raises(CompileError, match=message) as error:
        shapes(one_input("N", 3), good, bad, most=1)
    assert str(bad) in str(error.value)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "x.npz"
    broken.write_bytes(b"PK not really")
    graph = one_input("N", 3)
    with pytest.raises(CompileError, match=r"CNN803.*not a sound zip archive"):
        shapes(graph, broken, most=1)
    with pytest.raises(CompileError, match="CNN801"):
        shapes(graph, tmp_path / "nothing.npz", most=1)
