"""Which layer functions and kernels a generated module can hold, and what each needs."""

from __future__ import annotations

from collections.abc import Iterable

LAYERS: dict[str, tuple[str, ...]] = {
    "channels": (),
    "before": (),
    "same": (),
    "multiply": ("channels",),
    "winograd": ("multiply",),
    "pair": ("multiply", "direct"),
    "direct": ("channels",),
    "conv": ("multiply", "direct", "before"),
    "transposed": ("multiply",),
    "dense": ("multiply",),
    "depthwise": ("direct", "before"),
    "local": ("multiply", "before"),
    "max_pool": ("before",),
    "average_pool": ("before",),
    "global_pool": (),
    "scale_shift": (),
    "prelu": (),
    "activation": (),
    "binary": (),
    "layer_norm": (),
    "group_norm": (),
    "lrn": (),
    "softmax": (),
    "glu": (),
    "gather": (),
    "concat": ("gather",),
    "slice": ("gather",),
    "pad": ("gather",),
    "nearest": ("gather",),
    "bilinear": (),
    "space_to_depth": ("gather",),
    "depth_to_space": ("gather",),
    "channel_shuffle": ("gather",),
    "embedding": (),
    "reshape": (),
}
"""Layers, in the order in which they are written, each with the layers it needs."""

ALWAYS = ("gather", "multiply")
"""Layers of every module: a result that shares its memory is copied out, tiles are tuned."""

KERNELS: dict[str, tuple[str, ...]] = {
    "reduce": ("global_pool", "layer_norm", "group_norm", "softmax"),
    "conv": ("multiply",),
    "pair": ("pair",),
    "chain": ("pair",),
    "words": ("multiply",),
    "tensor": ("multiply",),
    "finish": ("multiply",),
    "thin": ("multiply",),
    "winograd": ("winograd",),
    "direct": ("direct",),
    "local": ("local",),
    "max_pool": ("max_pool",),
    "average_pool": ("average_pool",),
    "global_pool": ("global_pool",),
    "scale_shift": ("scale_shift",),
    "prelu": ("prelu",),
    "activation": ("activation",),
    "binary": ("binary",),
    "layer_norm": ("layer_norm",),
    "group_norm": ("group_norm",),
    "lrn": ("lrn",),
    "softmax": ("softmax",),
    "glu": ("glu",),
    "gather": ("gather",),
    "interpolate": ("bilinear",),
    "embedding": ("embedding",),
}
"""Kernel files, in the order in which they are written, each with the layers that call it."""

OF_FUNCTION = {"norm_layer": "scale_shift", "affine_layer": "scale_shift"}
"""The layer whose file has a function that is not called like it."""


def layers_needed(functions: Iterable[str], extra: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the layers that have some functions, and others, with all that they need, in order."""
    needed: set[str] = set()
    pending = [OF_FUNCTION.get(f, f.removesuffix("_layer")) for f in functions]
    pending += [*ALWAYS, *extra]
    while pending:
        layer = pending.pop()
        if layer not in needed:
            needed.add(layer)
            pending.extend(LAYERS[layer])
    return tuple(layer for layer in LAYERS if layer in needed)


OF_TENSOR_CORES = frozenset({"words", "tensor"})
"""Kernel files for factors that are rounded, instead of `conv`."""


def kernels_needed(layers: Iterable[str], precision: str) -> tuple[str, ...]:
    """Return the kernel files that some layers call at a precision, in order."""
    present = set(layers)
    other = OF_TENSOR_CORES if precision == "fp32" else {"conv"}
    return tuple(
        name for name, callers in KERNELS.items() if present & set(callers) and name not in other
    )
