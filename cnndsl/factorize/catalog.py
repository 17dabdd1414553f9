"""Every scheme, in the order in which reports list them."""

from __future__ import annotations

from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.schemes.channel import ChannelInput, ChannelOutput
from cnndsl.factorize.schemes.spatial import SpatialHorizontal, SpatialVertical

WEIGHT_SCHEMES: tuple[WeightScheme, ...] = (
    SpatialVertical(),
    SpatialHorizontal(),
    ChannelOutput(),
    ChannelInput(),
)
"""Schemes that compute new tensors from given ones."""
