"""Every scheme, in the order in which reports list them."""

from __future__ import annotations

from cnndsl.factorize.decompose import WeightScheme
from cnndsl.factorize.rewrites import rewrites
from cnndsl.factorize.schemes.asymmetric import Asymmetric3d
from cnndsl.factorize.schemes.channel import ChannelInput, ChannelOutput
from cnndsl.factorize.schemes.cp import Cp3, Cp4
from cnndsl.factorize.schemes.decoupling import DecouplingDepthwiseFirst, DecouplingPointwiseFirst
from cnndsl.factorize.schemes.dense import DenseSvd
from cnndsl.factorize.schemes.spatial import SpatialHorizontal, SpatialVertical
from cnndsl.factorize.schemes.stacked import Stacked
from cnndsl.factorize.schemes.tucker import Tucker2

WEIGHT_SCHEMES: tuple[WeightScheme, ...] = (
    SpatialVertical(),
    SpatialHorizontal(),
    ChannelOutput(),
    ChannelInput(),
    Asymmetric3d(),
    Tucker2(),
    Cp3(),
    Cp4(),
    DecouplingPointwiseFirst(),
    DecouplingDepthwiseFirst(),
    Stacked(),
    DenseSvd(),
)
"""Schemes that compute new tensors from given ones."""

REWRITES = rewrites()
"""Architecture rewrites, nothing between the factors; `rewrites` makes others."""
