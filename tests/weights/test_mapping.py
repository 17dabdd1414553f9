"""Mapping files: globs, what they capture, and what is refused in one run with its line."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from cnndsl.diagnostics import CompileError, Source
from cnndsl.weights.mapping import Rule, parse_mapping, read_mapping, rename, serialize
from cnndsl.weights.stored import stored


def rules(text: str) -> tuple[Rule, ...]:
    return parse_mapping(Source("net.map", text))


def became(text: str, *names: str) -> dict[str, str]:
    tensors = {name: stored(name, np.zeros(1, np.float32)) for name in names}
    return {t.name: new for new, t in rename(tensors, rules(text)).tensors.items()}


@pytest.mark.parametrize(
    ("rule", "name", "new"),
    [
        ("a.b -> c.d", "a.b", "c.d"),
        ("a.* -> b.*", "a.weight", "b.weight"),
        ("a.* -> b.*", "a.x.weight", None),
        ("a.** -> b.**", "a.x.weight", "b.x.weight"),
        ("module.** -> **", "module.a.b", "a.b"),
        ("layer*.*.conv*.** -> s*.u*.c*.**", "layer1.10.conv2.weight", "s1.u10.c2.weight"),
        ("**.a*b -> **/*", "x.a.y.acb", "x.a.y/c"),
        ("*a*a -> *-*", "xaya", "x-y"),
        ("*ab -> *", "abab", "ab"),
        ("** -> x.**", "", None),
        ("*.weight -> *.w", ".weight", ".w"),
        ("a.b -> c", "a.bc", None),
        ("a.b -> c", "xa.b", None),
    ],
)
def test_patterns(rule: str, name: str, new: str | None) -> None:
    (parsed,) = rules(rule)
    if name:
        assert parsed.apply(name) == new


def test_the_first_line_that_fits_counts_and_other_names_stay() -> None:
    text = "# from torch\n\na.bias -> first\na.* -> rest.*   # all others\n"
    assert became(text, "a.bias", "a.weight", "b.weight") == {
        "a.bias": "first",
        "a.weight": "rest.weight",
        "b.weight": "b.weight",
    }


def test_a_dash_leaves_tensors_out() -> None:
    tensors = {n: stored(n, np.zeros(1, np.float32)) for n in ("aux.x", "aux.y", "b")}
    renamed = rename(tensors, rules("aux.* -> -"))
    assert list(renamed.tensors) == ["b"]
    assert renamed.left_out == ("aux.x", "aux.y")


def test_everything_wrong_is_said_in_one_run(tmp_path: Path) -> None:
    path = tmp_path / "net.map"
    path.write_text("a -> b\na b\n* -> c\n** -> *.*\n")
    with pytest.raises(CompileError) as error:
        read_mapping(path)
    found = [(d.code, d.span.line) for d in error.value.diagnostics if d.span]
    assert found == [("CNN605", 2), ("CNN605", 3), ("CNN605", 4)]


def test_lines_that_fit_nothing_and_names_that_meet_are_refused() -> None:
    with pytest.raises(CompileError) as error:
        became("a -> c\nb -> c\nx.* -> y.*\n", "a", "b")
    assert [(d.message, d.span.line) for d in error.value.diagnostics if d.span] == [
        ("a and b both become c", 2),
        ("no tensor of the weights is left that fits x.*", 3),
    ]


def test_a_written_mapping_is_read_back() -> None:
    text = serialize({"a.b": "c.d", "onnx::Conv_1": "e"}, ["f"]).decode()
    assert became(text, "a.b", "onnx::Conv_1", "f") == {"a.b": "c.d", "onnx::Conv_1": "e"}
    with pytest.raises(CompileError):
        serialize({"a*": "b"}, [])


def test_no_pattern_takes_long() -> None:
    start = time.process_time()
    (rule,) = rules("**a" * 20 + "**b -> " + "**x" * 21)
    assert rule.apply("a" * 499 + "c") is None
    assert rule.apply("ac" * 240 + "c.b" * 2) is not None
    (rule,) = rules("*a" * 20 + "*b -> " + "*x" * 21)
    assert rule.apply("a" * 498 + "cb") is not None
    assert time.process_time() - start < 2


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"#" * ((1 << 20) + 1)])
def test_files_that_are_no_mapping_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.map").write_bytes(content)
    with pytest.raises(CompileError) as error:
        read_mapping(tmp_path / "net.map")
    assert [d.code for d in error.value.diagnostics] == ["CNN605"]
