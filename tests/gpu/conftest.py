"""CUDA tests run in Numba's simulator, unless a device is asked for."""

from __future__ import annotations

from gpu import simulator
from numba import config

if config.ENABLE_CUDASIM:
    simulator.install()
