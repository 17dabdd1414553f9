"""The register tile keeps its sums in registers, whatever processor LLVM has in mind."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conformance.cases import floats
from conformance.modules import HEADER
from properties.networks import GraphBuilder

from cnndsl.backends.numba_cpu.emit import emit
from cnndsl.ops.conv import Conv
from cnndsl.types.padding import Same

ASSEMBLY = """
from numba import njit
import net

network = net.load({"conv_0.weight": net.np.zeros((16, 16, 1, 1), net.np.float32)})
network(net.np.zeros((1, 16, 8, 8), net.np.float32))
(kinds,) = net.tile.signatures
again = njit(nogil=True, error_model="numpy")(net.tile.py_func)  # what is kept has no text
again.compile(kinds)
(text,) = again.inspect_asm().values()
print(text)
"""


@pytest.mark.parametrize("name", ["haswell", "skylake", "znver3"])
def test_no_sum_goes_through_memory(name: str, tmp_path: Path) -> None:
    """Of 16 registers 12 hold sums: if LLVM puts some off, or reads ahead, there is none left.

    A sum that is stored and loaded at every turn made the tile take twice its time.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("the processors are x86-64's")
    b = GraphBuilder("net")
    ones = (1, 1)
    conv = Conv(
        out_channels=16, kernel=ones, stride=ones, dilation=ones, padding=Same(), bias=False
    )
    graph = b.graph(b.add(conv, b.input("x", floats(1, 16, 8, 8))))
    (tmp_path / "net.py").write_text(emit(graph, "net", header=HEADER), encoding="utf-8")
    features = "+sse2,+avx,+avx2,+fma"
    done = subprocess.run(
        [sys.executable, "-c", ASSEMBLY],
        cwd=tmp_path,
        env={**os.environ, "NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    tiles = re.findall(r"^tile_6_2(\w*):\n(.*?)^\.Lfunc_end", done.stdout, re.MULTILINE | re.DOTALL)
    assert {crossing for crossing, _ in tiles} == {"", "_crossing"}
    for crossing, text in tiles:
        lines = text.splitlines()
        sums = [i for i, line in enumerate(lines) if "vfmadd" in line]
        assert len(sums) >= 12
        through = re.compile(r"rsp\).*ymm|ymm.*rsp\)")
        found = [line for line in lines[sums[0] : sums[-1]] if through.search(line)]
        assert found == [], f"tile_6_2{crossing}"
