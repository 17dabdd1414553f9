"""The text of torch modules: classes, names, and one whole module as golden file. No torch needed.

`CNNDSL_UPDATE_GOLDEN=1 pytest tests/backends/test_torch_text.py` writes the golden file anew.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cnndsl.backends.header import Header
from cnndsl.backends.torch.emit import HELPERS, emit
from cnndsl.backends.torch.lines import WIDTH
from cnndsl.diagnostics import CompileError, Source, Span
from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.resources import templates

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "torch"
EXAMPLES = sorted((ROOT / "examples").glob("*.cnn"))
HEADER = Header("0", "golden.cnn", "0" * 64, None, ())


def graph_of(text: str, folder: Path) -> Graph:
    path = folder / "program.cnn"
    path.write_text(text, encoding="utf-8")
    return load(path).graph


def text_of(text: str, folder: Path) -> str:
    return emit(graph_of(text, folder), "program", header=HEADER)


def formatted(text: str) -> str:
    """Return a text as ruff writes it."""
    command = ["ruff", "format", "--isolated", f"--line-length={WIDTH}", "-"]
    ruff = [sys.executable, "-m", *command]
    return subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout


def test_the_golden_module(tmp_path: Path) -> None:
    program = (GOLDEN / "residual.cnn").read_text(encoding="utf-8")
    text = text_of(program, tmp_path)
    path = GOLDEN / "residual.py"
    if os.environ.get("CNNDSL_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_modules_of_the_examples_are_tidy(path: Path) -> None:
    """Every class, helper and import is used, lines are short, no name of cnndsl is imported."""
    text = emit(load(path).graph, path.stem, header=HEADER)
    assert formatted(text) == text
    tree = ast.parse(text)
    assert max(map(len, text.splitlines())) <= WIDTH
    defined = {n.name for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    for name in defined - {"Network", "load"}:
        assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{name} is not used"
    for name in ("math", "torch", "nn", "F"):
        assert bool(re.search(rf"\bimport(?: \w+ as)? {name}$", text, re.MULTILINE)) == (
            f"{name}." in text
        )
    assert not re.search(r"^\s*(import|from) cnndsl", text, re.MULTILINE)
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    assert not {h for h in HELPERS if h in names} - defined, "a helper is missing"


def test_every_helper_has_a_template() -> None:
    found = {p.name.removesuffix(".py.jinja") for p in (templates() / "torch/helpers").iterdir()}
    assert found == set(HELPERS)


def test_uses_that_differ_in_numbers_share_a_class(tmp_path: Path) -> None:
    text = text_of(
        """network net
input x: float32[N, 3, H, W]
block unit(width, stride, step) =
    conv3x3(width, stride, padding=1) -> relu
    -> conv3x3(2 * width, dilation=step, padding=step) -> leaky_relu(0.1 * step)
output y = x -> unit(8, 1, 1) -> unit(16, 2, 2) -> unit(32, 2, 3)
""",
        tmp_path,
    )
    assert text.count("class Unit") == 1
    assert "def __init__(self, in_channels, channels, stride, padding, slope):" in text
    assert "nn.Conv2d(channels, 2 * channels, 3, padding=padding, dilation=padding)" in text
    assert "self.slope = slope" in text
    assert "F.leaky_relu(x, self.slope)" in text
    assert "self.unit_2 = Unit(16, 16, stride=2, padding=2, slope=0.2)" in text


def test_uses_that_differ_in_structure_have_classes_of_their_own(tmp_path: Path) -> None:
    text = text_of(
        """network net
input x: float32[N, 3, H, W]
block unit(x, width) {
  skip = x if x.channels == width else x -> conv1x1(width)
  return skip + (x -> conv3x3(width))
}
output y = x -> unit(8) -> unit(8) -> unit(16) -> unit(16)
""",
        tmp_path,
    )
    assert re.findall(r"^class (\w+)", text, re.MULTILINE)[:3] == ["Unit", "Unit2", "Network"]
    uses = re.findall(r"self\.(\w+) = (Unit\w*)\((.*)\)", text)
    assert uses == [
        ("unit", "Unit", "3, 8"),
        ("unit_2", "Unit2", "8"),
        ("unit_3", "Unit", "8, 16"),
        ("unit_4", "Unit2", "16"),
    ]


def test_a_layer_torch_cannot_say_is_refused_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnndsl.backends.torch import lower
    from cnndsl.ops.activation import Relu

    monkeypatch.delitem(lower.RULES, Relu)
    program = "network net\ninput x: float32[N, 3]\nblock f = relu -> relu\noutput y = x -> f\n"
    with pytest.raises(CompileError) as error:
        text_of(program, tmp_path)
    first, second = error.value.diagnostics
    assert first.code == second.code == "CNN702"
    assert first.message == "f.relu: the torch target has no way to say Relu"
    assert isinstance(first.span, Span)
    assert isinstance(first.span.source, Source)
    assert first.span.source.text[first.span.start : first.span.end] == "relu"
    assert [name for name, _ in first.trail] == ["f"]


def test_the_text_depends_on_the_program_alone(tmp_path: Path) -> None:
    program = (GOLDEN / "residual.cnn").read_text(encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    assert text_of(program, tmp_path) == text_of(program, tmp_path / "elsewhere")
