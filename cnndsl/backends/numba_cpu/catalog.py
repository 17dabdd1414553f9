"""Which layer functions and kernels a generated module can hold, and what each needs."""

from __future__ import annotations

from collections.abc import Iterable

from cnndsl.backends.numba.activations import Activation

LAYERS: dict[str, tuple[str, ...]] = {
    "axes": (),
    "before": (),
    "channels": (),
    "matrix": (),
    "taps": (),
    "aligned": (),
    "same": (),
    "multiply": ("matrix", "channels", "taps"),
    "points": (),
    "winograd": ("channels", "points"),
    "groups": ("gather", "binary"),
    "grouped": ("channels", "taps"),
    "conv": ("multiply", "before", "aligned"),
    "transposed": ("multiply", "aligned"),
    "dense": ("multiply",),
    "local": ("matrix", "channels", "taps", "before"),
    "repeat": ("gather",),
    "depthwise": ("grouped", "before"),
    "uses": (),
    "join": ("multiply", "uses"),
    "band": ("uses",),
    "deliver": ("multiply", "uses"),
    "strassen": ("multiply", "points"),
    "max_pool": ("axes", "before"),
    "average_pool": ("axes", "before"),
    "global_pool": ("axes",),
    "scale_shift": ("channels",),
    "prelu": ("channels",),
    "activation": (),
    "binary": (),
    "layer_norm": ("channels",),
    "group_norm": (),
    "lrn": (),
    "softmax": (),
    "glu": (),
    "gather": (),
    "concat": ("gather",),
    "slice": ("gather",),
    "pad": ("gather",),
    "nearest": ("gather",),
    "bilinear": ("axes",),
    "space_to_depth": ("gather",),
    "depth_to_space": ("gather",),
    "channel_shuffle": ("gather",),
    "embedding": (),
    "reshape": ("axes",),
}
"""Layers, in the order in which they are written, each with the layers it needs."""

KERNELS: dict[str, tuple[str, ...]] = {
    "conv": ("multiply",),
    "winograd": ("winograd",),
    "strassen": ("strassen",),
    "local": ("local",),
    "grouped": ("grouped",),
    "band": ("band",),
    "deliver": ("deliver",),
    "max_pool": ("max_pool",),
    "average_pool": ("average_pool",),
    "global_pool": ("global_pool",),
    "scale_shift": ("scale_shift",),
    "prelu": ("prelu",),
    "binary": ("binary",),
    "activation": ("activation",),
    "glu": ("glu",),
    "layer_norm": ("layer_norm",),
    "group_norm": ("group_norm",),
    "lrn": ("lrn",),
    "softmax": ("softmax",),
    "gather": ("gather",),
    "interpolate": ("bilinear",),
    "embedding": ("embedding",),
    "reshape": ("reshape",),
}
"""Kernel files, in the order in which they are written, each with the layers that call it."""

FUNCTIONS: dict[str, tuple[str, ...]] = {
    "exponential": ("glu", "softmax", "lrn"),
    "logarithm": ("lrn",),
    "erfc": (),
    "windows": ("max_pool", "average_pool"),
    "points": ("winograd", "strassen"),
    "stage": ("band",),
}
"""Files of functions of vectors, in order, each with the kernels that call it."""

WITHOUT_TEMPLATE = frozenset({"repeat"})
"""Layers that are only a variant of another one's text."""


def layers_needed(used: Iterable[str]) -> tuple[str, ...]:
    """Return the layers, those needed by others included, in order."""
    needed: set[str] = set()
    pending = list(used)
    while pending:
        layer = pending.pop()
        if layer not in needed:
            needed.add(layer)
            pending.extend(LAYERS[layer])
    return tuple(layer for layer in LAYERS if layer in needed)


def kernels_needed(layers: Iterable[str]) -> tuple[str, ...]:
    """Return the kernel files that some layers call, in order."""
    present = set(layers)
    return tuple(name for name, callers in KERNELS.items() if present & set(callers))


def functions_needed(kernels: Iterable[str], activations: Iterable[Activation]) -> tuple[str, ...]:
    """Return the files of functions that some kernels and activations call, in order."""
    present, formulas = set(kernels), tuple(activations)
    needed = {
        name
        for name, callers in FUNCTIONS.items()
        if present & set(callers) or any(a.uses(name) for a in formulas)
    }
    if needed & {"logarithm", "erfc"}:  # they build on it
        needed.add("exponential")
    return tuple(name for name in FUNCTIONS if name in needed)


def tools_needed(kernels: Iterable[str]) -> tuple[str, ...]:
    """Return the functions that some kernels call by their address."""
    return ("tile",) if {"conv", "winograd", "strassen", "local"} & set(kernels) else ()
