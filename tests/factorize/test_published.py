"""Networks made smaller as published: the counts come out to the last digit."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.analysis.cost import summarize
from cnndsl.driver.load import load
from cnndsl.driver.samples import usual_sizes
from cnndsl.factorize.candidates import places
from cnndsl.factorize.rewrite import Replacement, rewrite
from cnndsl.factorize.scheme import Scheme
from cnndsl.factorize.schemes.asymmetric import Asymmetric3d
from cnndsl.factorize.schemes.spatial import SpatialVertical
from cnndsl.ir.graph import Graph

GRAPH = load(Path(__file__).parents[2] / "examples" / "vgg16.cnn").graph

FOUR_TIMES = (None, 17, 37, 47, 83, 89, 106, 175, 192, 227, 398, 390, 379)
"""Ranks of the 4x list (Zhang et al. 2016, by way of channel-pruning's net.py); the first
convolution is left as it is."""


def convolution_macs(graph: Graph) -> int:
    found = [c.macs for c in summarize(graph).layers if c.op.startswith("conv")]
    assert found
    assert all(isinstance(macs, int) for macs in found)
    return sum(found)


@pytest.mark.parametrize(
    ("scheme", "both", "macs", "times"),
    [
        (Asymmetric3d(), True, 3_835_207_852, "4.00"),
        (SpatialVertical(), False, 4_401_438_720, "3.49"),
    ],
)
def test_vgg16_four_times(scheme: Scheme, both: bool, macs: int, times: str) -> None:
    """With a spatial SVD alone the same ranks save less: 3.49 times."""
    convolutions = [
        place for place in places(GRAPH, usual_sizes(GRAPH))[0] if not place.uses[0].is_dense
    ]
    chosen = {
        place.key: Replacement(scheme.factors(place.uses[0], (rank, rank) if both else (rank,)))
        for place, rank in zip(convolutions, FOUR_TIMES, strict=True)
        if rank is not None
    }
    smaller = rewrite(GRAPH, {}, chosen).graph
    assert convolution_macs(GRAPH) == 15_346_630_656
    assert convolution_macs(smaller) == macs
    assert f"{15_346_630_656 / macs:.2f}" == times
