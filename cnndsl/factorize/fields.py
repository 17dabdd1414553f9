"""What a chain sees of a layer's input, against what the layer saw."""

from __future__ import annotations

from cnndsl.analysis.axis_field import AxisField
from cnndsl.analysis.receptive_field import receptive_fields
from cnndsl.factorize.factors import Factor, Factors, chain_graph
from cnndsl.factorize.layer import Layer


def chain_field(factors: Factors, layer: Layer) -> tuple[AxisField, ...]:
    """Return the receptive field of the chain's result in the layer's input, for each axis."""
    graph = chain_graph(factors, layer.input)
    found = receptive_fields(graph, dict(layer.sizes)).of(factors[-1].name)
    return () if found is None else found.hull


def layer_field(layer: Layer) -> tuple[AxisField, ...]:
    """Return the receptive field of the layer itself, for each axis."""
    return chain_field((Factor("layer", layer.op),), layer)


def field_change(factors: Factors, layer: Layer) -> str | None:
    """Return how the receptive field in the layer's input changes; None where it does not."""
    if layer.is_dense:
        return None
    before, after = layer_field(layer), chain_field(factors, layer)
    if before == after:
        return None
    sizes = ["x".join(str(f.size) for f in field) for field in (before, after)]
    if sizes[0] != sizes[1]:
        return f"the receptive field changes from {sizes[0]} to {sizes[1]}"
    return f"the receptive field of {sizes[0]} is shifted"
