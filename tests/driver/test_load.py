"""Reading programs and what they import."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cnndsl import limits
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.load import load

NETWORK = "network net\ninput x: float32[N, 3, 8, 8]\n"


def errors(path: Path) -> list[Diagnostic]:
    with pytest.raises(CompileError) as caught:
        load(path)
    return list(caught.value.diagnostics)


def write(folder: Path, **files: str) -> Path:
    """Write files (name without suffix, `__` for a folder) and return the path of `main`."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".cnn")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "main.cnn"


def test_blocks_and_constants_come_from_other_files(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main=f'import "parts/blocks.cnn"\n{NETWORK}output y = x -> unit(width)',
        parts__blocks='import "inner.cnn"\nlet width = 4\nblock unit(n) = conv3x3(n) -> act',
        parts__inner="block act = leaky_relu(0.2)",
    )
    loaded = load(main)
    assert [n.label for n in loaded.graph.nodes] == ["unit.conv3x3", "unit.act.leaky_relu"]
    assert loaded.warnings == ()
    assert loaded.source.name == str(main)


def test_imports_are_not_passed_on(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main=f'import "a.cnn"\n{NETWORK}output y = x -> a -> b',
        a='import "b.cnn"\nblock a = b',
        b="block b = relu",
    )
    assert [(d.code, d.span.text if d.span else "") for d in errors(main)] == [("CNN302", "b")]


def test_a_file_is_read_once_however_often_it_is_imported(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main=f'import "a.cnn"\nimport "b.cnn"\nimport "./b.cnn"\n{NETWORK}output y = x -> a -> b',
        a='import "b.cnn"\nblock a = b',
        b="block b = relu",
    )
    assert len(load(main).graph.nodes) == 2


def test_the_library_is_imported_from_anywhere(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main=f'import "parts/stem.cnn"\n{NETWORK}output y = x -> stem',
        parts__stem='import "std/conv.cnn"\nblock stem = conv_bn_relu(4)',
    )
    assert len(load(main).graph.nodes) == 3


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../outside.cnn",
        "parts/../../outside.cnn",
        "link.cnn",
        "parts",
        "a.txt",
        "missing.cnn",
        "",
        "C:/a.cnn",
        "..\\\\outside.cnn",
        "std/missing.cnn",
        "std/../../driver/load.py",
        "https://example.org/a.cnn",
        "x" * 5000 + ".cnn",
    ],
)
def test_imports_stay_in_the_programs_folder(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "project"
    write(tmp_path, outside="block a = relu")
    main = write(folder, main=f'import "{path}"\n{NETWORK}output y = x -> relu', parts__b="")
    (folder / "a.txt").write_text("block a = relu")
    (folder / "link.cnn").symlink_to(tmp_path / "outside.cnn")
    (found,) = errors(main)
    assert found.code == "CNN312"
    assert found.span is not None
    assert found.span.text == f'"{path}"'


def test_an_import_may_go_up_within_the_programs_folder(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main=f'import "parts/a.cnn"\n{NETWORK}output y = x -> a',
        parts__a='import "../b.cnn"\nblock a = b',
        b="block b = relu",
    )
    assert len(load(main).graph.nodes) == 1


def test_a_file_that_imports_itself(tmp_path: Path) -> None:
    main = write(tmp_path, main=f'import "main.cnn"\n{NETWORK}output y = x -> relu')
    assert [d.code for d in errors(main)] == ["CNN313"]


def test_a_long_chain_of_imports(tmp_path: Path) -> None:
    files = {f"f{i}": f'import "f{i + 1}.cnn"\nblock b{i} = b{i + 1}' for i in range(200)}
    main = write(tmp_path, main=f'import "f0.cnn"\n{NETWORK}output y = x -> b0', **files)
    assert [d.code for d in errors(main)] == ["CNN402"]


def test_two_imports_of_one_name(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main=f'import "a.cnn"\nimport "b.cnn"\n{NETWORK}output y = x -> unit',
        a="block unit = relu",
        b="block unit = tanh",
    )
    assert [d.code for d in errors(main)] == ["CNN308"]
    main = write(tmp_path, main=f'import "a.cnn"\n{NETWORK}block unit = tanh\noutput y = x -> unit')
    assert [d.code for d in errors(main)] == ["CNN308"]


def test_errors_in_imported_files_are_shown_there(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main=f'import "a.cnn"\n{NETWORK}output y = x -> a -> missing_with_a',
        a="block a = relu\nblock b = -> relu\n",
    )
    found = errors(main)
    assert all(d.span and d.span.source.name.endswith("a.cnn") for d in found)
    assert found[0].code.startswith("CNN1")


def test_a_file_without_a_place_for_statements(tmp_path: Path) -> None:
    main = write(tmp_path, main=f'import "a.cnn"\n{NETWORK}output y = x -> relu', a="n = 3")
    assert [d.code for d in errors(main)] == ["CNN315"]


def test_files_that_are_no_programs(tmp_path: Path) -> None:
    assert [d.code for d in errors(tmp_path)] == ["CNN801"]
    assert [d.code for d in errors(tmp_path / "missing.cnn")] == ["CNN801"]
    assert [d.code for d in errors(Path("nul\0byte.cnn"))] == ["CNN801"]
    pipe = tmp_path / "pipe.cnn"
    os.mkfifo(pipe)
    assert [d.code for d in errors(pipe)] == ["CNN801"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"network a\xff\xfe", "CNN106"),
        (b"network a\x00", "CNN106"),
        (b"(" * 10_000_000, "CNN404"),
        (b"(" * 1_000_000, "CNN402"),
        (b"", "CNN107"),
        (b"# nothing\n", "CNN107"),
        (b'network x"); import os\n', "CNN1"),
        (b"network import\n", "CNN1"),
    ],
)
def test_texts_that_are_no_programs(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "bad.cnn"
    path.write_bytes(data)
    start = time.process_time()
    assert errors(path)[0].code.startswith(code)
    assert time.process_time() - start < 2
    assert limits.MAX_SOURCE_BYTES < 10_000_000


def test_malformed_utf8_is_located(tmp_path: Path) -> None:
    path = tmp_path / "bad.cnn"
    path.write_bytes("network n\n# déjà ".encode() + b"\xff\n")
    (found,) = errors(path)
    assert found.span is not None
    assert (found.code, found.span.line, found.span.column) == ("CNN106", 2, 8)


def test_settings_reach_the_program(tmp_path: Path) -> None:
    main = write(tmp_path, main="network n(k = 2)\ninput x: float32[N, k]\noutput y = x -> relu")
    assert str(load(main, {"k": 7}).graph.types["y"]) == "float32[N, 7]"
    with pytest.raises(CompileError) as caught:
        load(main, {"z": 7})
    assert [d.code for d in caught.value.diagnostics] == ["CNN317"]
