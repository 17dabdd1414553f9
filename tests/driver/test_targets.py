"""Names of targets and of the files they write."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.driver.targets import RequestError, base_path, cuda_name, resolve_targets


@pytest.mark.parametrize(
    ("output", "targets", "expected"),
    [
        (None, ["numba-cpu"], "net"),
        ("a/b.py", ["numba-cpu"], "a/b"),
        ("a/b", ["numba-cpu"], "a/b"),
        ("b.onnx", ["onnx"], "b"),
        ("b.py", ["numba-cpu", "onnx"], "b"),
        ("b.onnx", ["numba-cpu", "onnx"], "b"),
        ("resnet-18.onnx", ["onnx"], "resnet-18"),
    ],
)
def test_base_path(output: str | None, targets: list[str], expected: str) -> None:
    assert base_path(Path(output) if output else None, "net", targets) == Path(expected)


@pytest.mark.parametrize(
    "output",
    [
        'x"); import os.py',
        "resnet-18.py",
        "class.py",
        "a.b.py",
        "é.py",
        "1net",
        "net.onnx",
        "json",
        "numpy.py",
        "numba",
        "net.txt",
        "/",
        "__main__\n",
        "",
    ],
)
def test_names_that_python_cannot_import_are_refused(output: str) -> None:
    with pytest.raises(RequestError):
        base_path(Path(output), "net", ["numba-cpu"])


def test_a_folder_is_no_main_file(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"names no file: write .*/net"):
        base_path(tmp_path, "net", ["numba-cpu"])


def test_networks_named_like_modules_need_another_name() -> None:
    with pytest.raises(RequestError, match="hide"):
        base_path(None, "random", ["numba-cpu"])


def test_all_targets_are_those_that_are_built() -> None:
    assert resolve_targets("all") == ("numba-cpu", "numba-cuda", "onnx", "torch")
    assert resolve_targets("numba-cuda") == ("numba-cuda",)


def test_a_cuda_module_gives_way_to_the_one_for_processors() -> None:
    assert cuda_name(Path("net"), ["numba-cuda"]) == "net"
    assert cuda_name(Path("net"), ["numba-cpu", "numba-cuda"]) == "net_cuda"
