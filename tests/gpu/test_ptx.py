"""Kernels of the examples compile for every device that is supported, and keep all in registers.

`CNNDSL_UPDATE_GOLDEN=1 pytest -p no:xdist tests/gpu/test_ptx.py` writes the table anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "numba_cuda" / "ptxas.txt"
TITLE = "# Registers and bytes of shared memory of each kernel, by compute capability.\n"
LOCAL = {"thin columns=8 elu"}
"""Kernels whose loops NVVM does not unroll, as the function at their end is long: their sums lie in
local memory. None is of a layer that takes time."""

COLUMNS = ("7.5", "8.0", "9.0")


def compile_part(which: str) -> Any:
    """Compile in a process of its own, which is not in the simulator."""
    done = subprocess.run(
        [sys.executable, "-m", "gpu.ptx", which],
        cwd=ROOT,
        env={
            **os.environ,
            "NUMBA_ENABLE_CUDASIM": "0",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def lines_of(rows: dict[str, Any]) -> dict[str, str]:
    """Return the table's line of each kernel."""
    lines = {}
    for name, by_device in rows.items():
        cells = []
        for device in COLUMNS:
            found = by_device.get(device)
            cell = f"{found['registers']} {found['shared']:>6}" if found else "-"
            cells.append(f"{cell:>12}")
        lines[name] = f"{name:<56}" + "".join(cells)
    return lines


def recorded() -> tuple[str, dict[str, str]]:
    """Return the versions that the table was made with, and its lines by kernel."""
    if not GOLDEN.exists():
        return "", {}
    _, versions, _, *lines = GOLDEN.read_text().splitlines()
    return versions.removeprefix("# "), {line[:56].rstrip(): line for line in lines}


def record(versions: str, lines: dict[str, str], names: list[str]) -> None:
    """Write some lines anew, and leave out kernels that there are no more."""
    kept = {name: line for name, line in recorded()[1].items() if name in names}
    head = f"{'':<56}" + "".join(f"{device:>12}" for device in COLUMNS)
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    table = [line for _, line in sorted({**kept, **lines}.items())]
    GOLDEN.write_text("\n".join((TITLE.rstrip(), f"# {versions}", head, *table)) + "\n")


@pytest.mark.parametrize(
    "which",
    ["lenet", *(pytest.param(f"{i}/2", marks=pytest.mark.slow) for i in range(2))],
)
def test_kernels_compile_and_nothing_spills(which: str) -> None:
    found = compile_part(which)
    rows = found["rows"]
    assert rows
    wide = {n: r["wide"] for n, by in rows.items() for r in by.values() if r["wide"]}
    assert not wide, f"float64 arithmetic: {wide}"
    if not found["ptxas"]:
        pytest.skip("compiled, but not assembled: there is no ptxas that is new enough")
    local = {
        f"{name} on {device}": r
        for name, by_device in rows.items()
        for device, r in by_device.items()
        if (r["stack"] or r["spills"]) and name not in LOCAL
    }
    assert not local, f"local memory: {local}"
    lines = lines_of(rows)
    if os.environ.get("CNNDSL_UPDATE_GOLDEN") and which != "lenet":
        record(found["versions"], lines, found["names"])
    versions, before = recorded()
    if versions != found["versions"]:
        pytest.skip(f"nothing spills; registers were recorded with {versions}, this is "
                    f"{found['versions']}")  # fmt: skip
    for name, line in lines.items():
        assert before.get(name) == line
    if which != "lenet" and not os.environ.get("CNNDSL_UPDATE_GOLDEN"):
        assert set(before) == set(found["names"])
