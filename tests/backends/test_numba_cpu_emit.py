"""The text of generated modules: complete, deterministic, safe, and true to every field."""

from __future__ import annotations

import ast
import dataclasses
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conformance.cases import Case, cases, vector_cases
from conformance.modules import HEADER, graph_of_cases, module_of, random_weights
from jinja2 import Environment, meta

from cnndsl import resources
from cnndsl.backends.numba.module import Tables
from cnndsl.backends.numba_cpu.emit import ModuleContext, emit
from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import CompileError
from cnndsl.driver.load import load
from cnndsl.ops.activation import Dropout
from cnndsl.ops.base import Op, OpError
from cnndsl.ops.registry import ArgumentSpec, Kind, arguments
from cnndsl.passes.pipeline import optimize
from cnndsl.types.padding import Explicit, Same, Valid

ROOT = Path(__file__).parents[2]
TEMPLATES = resources.templates() / "numba_cpu"
SHARED = resources.templates() / "numba"


def test_the_templates_use_exactly_the_fields_of_the_context() -> None:
    environment = Environment()
    used: set[str] = set()
    for path in (*TEMPLATES.rglob("*.jinja"), *SHARED.rglob("*.jinja")):
        used |= meta.find_undeclared_variables(environment.parse(path.read_text()))
    # A plan alone is told the machine's vectors, which a module finds out.
    assert used == {f.name for c in (ModuleContext, Tables) for f in dataclasses.fields(c)} | {
        "lanes",
        "tile_pixels",
    }


def test_every_kernel_and_layer_template_is_in_the_catalog() -> None:
    from cnndsl.backends.numba_cpu.catalog import FUNCTIONS, KERNELS, LAYERS, WITHOUT_TEMPLATE

    files = {p.name.removesuffix(".py.jinja") for p in (TEMPLATES / "kernels").iterdir()}
    assert files == set(KERNELS) | set(FUNCTIONS) | {"edges"}
    folders = (TEMPLATES / "layers", SHARED / "layers")
    files = {p.name.removesuffix(".py.jinja") for f in folders for p in f.iterdir()}
    assert files == set(LAYERS) - WITHOUT_TEMPLATE


@cache
def cases_by_op() -> dict[type[Op], list[Case]]:
    found: dict[type[Op], list[Case]] = {}
    for case in (*cases(2), *vector_cases()):
        found.setdefault(type(case.op), []).append(case)
    return found


def changed(value: object, spec: ArgumentSpec) -> list[object]:
    """Return other values for a field, none below its minimum."""
    least = spec.minimum if spec.minimum is not None else -(10**9)
    return [v for v in _others(value, spec) if not isinstance(v, int) or v >= least]


def _others(value: object, spec: ArgumentSpec) -> list[object]:
    match spec.kind:
        case Kind.BOOLEAN:
            return [not value]
        case Kind.INTEGER:
            return [-1] if value is None else [int(str(value)) + d for d in (1, -1, 2, 4)]
        case Kind.FLOAT:
            return [float(str(value)) + 0.25]
        case Kind.WORD:
            return [c for c in spec.choices if c != value]
        case Kind.EXTENTS:
            assert isinstance(value, tuple)
            return [(*value[:-1], value[-1] + 1), tuple(reversed(value))]
        case Kind.PADDING:
            others = [Valid(), Same(), Explicit(((2, 1), (0, 2))), Explicit(((1, 1), (1, 2)))]
            return [p for p in others if p != value]


NO_MEANING = {(Dropout, "rate")}
"""Fields that inference does not read."""


@pytest.mark.slow
@pytest.mark.parametrize("op", cases_by_op(), ids=lambda op: op.__name__)
def test_no_field_is_ignored(op: type[Op]) -> None:
    for spec in arguments(op):
        if (op, spec.name) not in NO_MEANING:
            assert any(matters(case, spec) for case in cases_by_op()[op]), spec.name


def matters(case: Case, spec: ArgumentSpec) -> bool:
    """Say whether some other legal value of a field changes what is written."""
    before = code(emit(graph_of_cases([case]), "m", header=HEADER))
    for value in changed(getattr(case.op, spec.name), spec):
        other = Case(dataclasses.replace(case.op, **{spec.name: value}), case.inputs)
        try:
            graph = graph_of_cases([other])
        except OpError:
            continue
        if code(emit(graph, "m", header=HEADER)) != before:
            return True
    return False


def code(text: str) -> str:
    """Return a module's body without comments and documentation."""
    return ast.dump(ast.Module(ast.parse(text).body[1:], []))


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "from pathlib import Path\n"
        "from cnndsl.driver.load import load\n"
        "from cnndsl.passes.pipeline import optimize\n"
        "from cnndsl.backends.header import Header\n"
        "from cnndsl.backends.numba_cpu.emit import emit\n"
        "import hashlib\n"
        "graph = optimize(load(Path('examples/inception.cnn')).graph).graph\n"
        "text = emit(graph, 'm', header=Header('0', 's', '0', None, ()))\n"
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
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(digests) == 1


def test_names_cannot_meet_python_or_the_module(tmp_path: Path) -> None:
    source = tmp_path / "net.cnn"
    source.write_text(
        "network plan()\n"
        "input lambda: float32[class, 2, np, conv_layer]\n"
        "def = lambda -> conv3x3(2)\n"
        "run = def -> relu\n"
        "output print = run + def\n"
    )
    text = emit(optimize(load(source).graph).graph, "net", header=HEADER)
    tree = ast.parse(text)
    (network,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "network"]
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    assigned = {
        n.id for n in ast.walk(network) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    } | {a.arg for a in network.args.args[1:]}
    assert not assigned & (defined | {"np", "plan", "print"})


def test_no_value_is_called_like_a_kernel_or_a_local(tmp_path: Path) -> None:
    """Values are named after their layers: gelu, elu... are kernels of the module as well."""
    source = tmp_path / "net.cnn"
    source.write_text(
        "network n()\n"
        "input shapes: float32[name, 2, shape, expected]\n"
        "output y = shapes -> gelu -> conv3x3(2) -> elu -> silu -> leaky_relu -> tanh -> sigmoid\n"
    )
    graph = optimize(load(source).graph).graph
    module = module_of(graph)
    weights = random_weights(graph, seed=0)
    x = np.ones((3, 2, 4, 5), np.float32)
    np.testing.assert_allclose(
        module.load(weights)(x), run(graph, {"shapes": x}, weights)["y"], rtol=1e-5, atol=1e-6
    )


def test_integers_are_not_returned(tmp_path: Path) -> None:
    source = tmp_path / "net.cnn"
    source.write_text(
        "network n()\ninput i: int64[N, 4]\noutput twin = i\noutput y = i -> embedding(3, 2)\n"
    )
    with pytest.raises(CompileError, match=r"CNN702.*cannot return twin"):
        emit(load(source).graph, "net", header=HEADER)


def test_the_module_of_lenet_reads_as_recorded() -> None:
    graph = optimize(load(ROOT / "examples" / "lenet.cnn").graph).graph
    text = emit(graph, "lenet", header=HEADER)
    golden = ROOT / "tests" / "golden" / "numba_cpu" / "lenet.py.txt"
    if os.environ.get("CNNDSL_UPDATE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "features"),
    [("haswell", "+sse2,+avx,+avx2,+fma"), ("x86-64", "+sse2")],
    ids=["avx2", "sse2"],
)
def test_other_processors_compute_the_same(name: str, features: str) -> None:
    import platform

    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("the processors are x86-64's")
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            "tests/conformance/test_numba_cpu.py", "tests/conformance/test_numba_cpu_winograd.py",
            "tests/conformance/test_numba_cpu_bands.py",
            "tests/conformance/test_numba_cpu_strassen.py",
            "tests/conformance/test_numba_cpu_delivery.py",
            "-k", "0 or 2 or residual or definition or bit_for_bit",
        ],
        cwd=ROOT,
        env={**os.environ, "NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
