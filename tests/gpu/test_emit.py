"""The text of generated CUDA modules: deterministic, safe, complete, and as recorded.

`CNNDSL_UPDATE_GOLDEN=1 pytest tests/gpu/test_emit.py` writes the golden file anew.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conformance.modules import HEADER, random_weights
from gpu.modules import module_of
from jinja2 import Environment, meta, nodes

from cnndsl import resources
from cnndsl.backends.numba.module import Tables
from cnndsl.backends.numba_cuda.catalog import KERNELS, LAYERS
from cnndsl.backends.numba_cuda.emit import ModuleContext, emit
from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError
from cnndsl.driver.load import load
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimize

ROOT = Path(__file__).parents[2]
TEMPLATES = resources.templates() / "numba_cuda"
SHARED = resources.templates() / "numba"


def example(name: str) -> Graph:
    return optimize(load(ROOT / "examples" / f"{name}.cnn").graph).graph


def test_the_templates_use_exactly_the_fields_of_the_context() -> None:
    environment = Environment()
    used: set[str] = set()
    given: set[str] = set()  # to a template that another one includes
    for path in (*TEMPLATES.rglob("*.jinja"), *SHARED.rglob("*.jinja")):
        tree = environment.parse(path.read_text())
        used |= meta.find_undeclared_variables(tree)
        given |= {n.name for n in tree.find_all(nodes.Name) if n.ctx == "store"}
    assert used - given == {f.name for c in (ModuleContext, Tables) for f in dataclasses.fields(c)}


def test_every_kernel_and_layer_template_is_in_the_catalog() -> None:
    def files(*folders: Path) -> set[str]:
        return {p.name.removesuffix(".py.jinja") for f in folders for p in f.iterdir()}

    assert files(TEMPLATES / "kernels") == set(KERNELS)
    assert files(TEMPLATES / "layers", SHARED / "layers") == set(LAYERS)


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "from pathlib import Path\n"
        "from cnndsl.driver.load import load\n"
        "from cnndsl.passes.pipeline import optimize\n"
        "from cnndsl.backends.header import Header\n"
        "from cnndsl.backends.numba_cuda.emit import emit\n"
        "import hashlib\n"
        "graph = optimize(load(Path('examples/inception.cnn')).graph).graph\n"
        "text = emit(graph, 'm', header=Header('0', 'test.cnn', '0' * 64, None, ()))\n"
        "print(hashlib.sha256(text.encode()).hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "1")
    }
    text = emit(example("inception"), "m", header=HEADER)
    assert digests == {hashlib.sha256(text.encode()).hexdigest()}


def graph_of_text(folder: Path, text: str) -> Graph:
    source = folder / "net.cnn"
    source.write_text(text)
    return optimize(load(source).graph).graph


def test_names_cannot_meet_python_or_the_module(tmp_path: Path) -> None:
    graph = graph_of_text(
        tmp_path,
        "network plan()\n"
        "input lambda: float32[class, 2, cuda, conv_kernel]\n"
        "def = lambda -> conv3x3(2)\n"
        "run = def -> gelu\n"
        "output print = run + def\n",
    )
    text = emit(graph, "net", header=HEADER)
    tree = ast.parse(text)
    (network,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "network"]
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    assigned = {
        n.id for n in ast.walk(network) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    } | {a.arg for a in network.args.args[1:]}
    assert not assigned & (defined | {"np", "cuda", "plan", "print"})
    weights = random_weights(graph, seed=0)
    x = np.random.default_rng(0).standard_normal((2, 2, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(
        module_of(graph).load(weights)(x),
        run(graph, {"lambda": x}, weights)["print"],
        rtol=1e-5,
        atol=1e-6,
    )


HOSTILE = '""" \\\' + {{ 7 * 7 }} {% raw %} \x1b[31m'


def test_labels_and_names_of_files_are_text_only(tmp_path: Path) -> None:
    graph = graph_of_text(tmp_path, "network n()\ninput x: float32[N, 2]\noutput y = x -> relu\n")
    hostile = dataclasses.replace(
        graph, nodes=(dataclasses.replace(graph.nodes[0], label=HOSTILE),)
    )
    header = dataclasses.replace(HEADER, source_name=f"a.cnn\nraise SystemExit\n{HOSTILE}")
    nodes = [*ast.walk(ast.parse(emit(hostile, "net", header=header)))]
    assert HOSTILE in [n.value for n in nodes if isinstance(n, ast.Constant)]
    assert "SystemExit" not in [n.id for n in nodes if isinstance(n, ast.Name)]
    x = np.array([[1, -2]], np.float32)
    np.testing.assert_array_equal(module_of(hostile).load({})(x), [[1, 0]])


def test_integers_are_not_returned(tmp_path: Path) -> None:
    source = tmp_path / "net.cnn"
    source.write_text(
        "network n()\ninput i: int64[N, 4]\noutput twin = i\noutput y = i -> embedding(3, 2)\n"
    )
    with pytest.raises(CompileError, match=r"CNN702.*cannot return twin"):
        emit(load(source).graph, "net", header=HEADER)


def test_the_module_of_lenet_reads_as_recorded() -> None:
    text = emit(example("lenet"), "lenet", header=HEADER)
    golden = ROOT / "tests" / "golden" / "numba_cuda" / "lenet.py.txt"
    if os.environ.get("CNNDSL_UPDATE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()
