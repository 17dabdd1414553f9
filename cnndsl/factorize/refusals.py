"""Reasons that several schemes share for leaving a layer alone; None where there is none."""

from __future__ import annotations

from cnndsl.factorize.layer import Layer


def not_dense(layer: Layer) -> str | None:
    return "a dense layer has no kernel: dense_svd is for those" if layer.is_dense else None


def one_group(layer: Layer) -> str | None:
    """Refuse grouped layers, whose channels are not free to mix."""
    if layer.groups == 1:
        return None
    if layer.groups == layer.in_channels:
        return "depthwise: no channels are mixed, so there is nothing of low rank across them"
    return f"grouped: its {layer.groups} groups of channels would each need a chain of their own"


def wide_kernel(layer: Layer, otherwise: str) -> str | None:
    """Refuse kernels of one tap."""
    if layer.taps > 1:
        return None
    return f"its kernel has one element: {otherwise}"
