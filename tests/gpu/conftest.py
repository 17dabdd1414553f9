"""CUDA tests run in Numba's simulator, unless NUMBA_ENABLE_CUDASIM=0 asks for a device."""

from __future__ import annotations

import pytest

pytest.importorskip("numba_cuda")
pytest.importorskip("greenlet")

from gpu import simulator
from numba import config

if config.ENABLE_CUDASIM:
    simulator.install()
