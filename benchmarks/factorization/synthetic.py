"""Weights whose singular values fall like those of trained ones: by a power law, in every mode."""

from __future__ import annotations

import numpy as np

from cnndsl.ir.graph import Graph
from cnndsl.ops.base import Array
from cnndsl.weights.initialize import initialize

DECAY = 0.7
"""Singular value i of an unfolding is about i^-DECAY of the largest one."""

_TURNED = 1024
"""Channels up to which a mode is turned."""


def weights_of(graph: Graph, seed: int, decay: float = DECAY) -> dict[str, Array]:
    """Return initial weights, kernels turned into ones of falling spectra, of the same size."""
    found = initialize(graph, seed)
    rng = np.random.default_rng(seed)
    for name, array in found.items():
        if array.ndim >= 2:
            found[name] = decaying(array, decay, rng)
    return found


def decaying(kernel: Array, decay: float, rng: np.random.Generator) -> Array:
    """Return a kernel whose every mode has a spectrum that falls by a power law.

    Normal numbers are scaled along each mode by i^-decay. Then modes are turned by random
    orthogonal matrices, the largest ones left out: no singular value depends on it. The norm is
    that of the kernel.
    """
    made = rng.standard_normal(kernel.shape)
    for axis, size in enumerate(kernel.shape):
        falling = np.arange(1, size + 1) ** -decay
        made *= falling.reshape(-1, *(1,) * (kernel.ndim - 1 - axis))
        if size <= _TURNED:
            turn = np.linalg.qr(rng.standard_normal((size, size)))[0]
            made = np.moveaxis(np.tensordot(turn, made, (1, axis)), 0, axis)
    scale = np.linalg.norm(kernel) / np.linalg.norm(made)
    return (made * scale).astype(np.float32)
