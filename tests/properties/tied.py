"""Networks in which unlike layers have the same weights; each packs them in its own order."""

from __future__ import annotations

from properties.networks import GraphBuilder, float32

from cnndsl.ir.graph import Graph
from cnndsl.ops.activation import Tanh
from cnndsl.ops.conv import Conv
from cnndsl.ops.transposed import ConvTranspose


def one_convolution_three_times() -> Graph:
    """Return a chain, of which two convolutions may share a kernel, whichever comes first."""
    b = GraphBuilder("chain")
    conv = Conv(out_channels=4, kernel=(2, 2), stride=(1, 1), dilation=(1, 1), bias=True)
    value = b.add(Tanh(), b.add(conv, b.input("x", float32(2, 4, 5, 6))))
    for _ in range(2):
        value = b.add(Tanh(), b.add(conv, value, params=b.nodes[0].params))
    return b.graph(value)


def one_group_and_two() -> Graph:
    """Return convolutions, and transposed ones, that split the same weight as they please."""
    b = GraphBuilder("groups")
    shape = {"kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1), "bias": False}
    narrow, wide = b.input("narrow", float32(1, 2, 5, 4)), b.input("wide", float32(1, 4, 5, 4))
    apart = b.add(Conv(out_channels=4, **shape), narrow)
    conv = b.nodes[-1].params
    results = [apart, b.add(Conv(out_channels=4, groups=2, **shape), wide, params=conv)]
    shape |= {"output_padding": (0, 0)}
    results.append(b.add(ConvTranspose(out_channels=2, **shape), wide))
    transposed = b.nodes[-1].params
    op = ConvTranspose(out_channels=4, groups=2, **shape)
    results.append(b.add(op, wide, params=transposed))
    return b.graph(*results)


TIED = {"a chain": one_convolution_three_times(), "groups": one_group_and_two()}
