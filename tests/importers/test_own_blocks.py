"""Source text of a graph that came from a program: its blocks are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from elaborate.elaborating import graph_of

from cnndsl.driver.load import load
from cnndsl.importers.writing.write import write_source

EXAMPLES = Path(__file__).parents[2] / "examples"

USES = """\
network net
input image: float32[N, 3, 32, 32]

block unit(x, width, kernel = 3) {
  h = x -> conv3x3(width) -> relu
  return h + x
}
block stem = conv5x5(16, stride=2) -> bn -> relu
block narrow(rank, width) = conv3x1(rank, bias=false) -> conv1x3(width) -> tanh

features = image -> stem -> unit(16) -> unit(16) -> maxpool2x2
    -> narrow(4, 32) -> narrow(8, 32) -> narrow(8, 24)
output y = features -> global_avgpool
"""


def test_blocks_that_are_used_more_than_once_are_kept() -> None:
    graph = graph_of(USES, "")
    ranks = {node.label for node in graph.nodes if node.label.endswith("conv3x1")}
    assert len(ranks) == 3
    assert write_source(graph, own_blocks=True, ranks=ranks).text == (
        "network net\n"
        "input image: float32[N, 3, 32, 32]\n\n"
        "block unit(x) {\n"
        "  return (x -> conv3x3(16) -> relu) + x\n"
        "}\n"
        "block narrow(width, rank) = conv3x1(rank, bias=false) -> conv1x3(width) -> tanh\n\n"
        "features = image -> conv5x5(16, stride=2) -> bn -> relu\n"
        "    -> unit ** 2 -> maxpool2x2\n"
        "    -> narrow(32, 4) -> narrow(32, 8) -> narrow(24, 8)\n"
        "output y = features -> global_avgpool\n"
    )


def test_ranks_are_parameters_of_their_own() -> None:
    """A rank that happens to be the width of another layer is not computed from it."""
    graph = graph_of(
        "network net\ninput x: float32[N, 8, 16, 16]\n"
        "block f(rank, width) = conv3x1(rank, bias=false) -> conv1x3(width) -> relu\n"
        "output y = x -> f(8, 16) -> f(16, 32) -> f(32, 64) -> f(64, 128)\n",
        "",
    )
    plain = write_source(graph, own_blocks=True).text
    assert "f(8) -> f(16) -> f(32) -> f(64)" in plain
    ranks = {node.label for node in graph.nodes if node.label.endswith("conv3x1")}
    text = write_source(graph, own_blocks=True, ranks=ranks).text
    assert "f(16, 8) -> f(32, 16) -> f(64, 32) -> f(128, 64)" in text


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "mobilenet_v1", "wavenet", "unet"])
def test_networks_keep_their_blocks(name: str) -> None:
    """What is written means the graph, or `write_source` raises."""
    graph = load(EXAMPLES / f"{name}.cnn").graph
    text = write_source(graph, own_blocks=True).text
    used = {block for node in graph.nodes for block, _ in node.path[-1:]}
    kept = [line.split("(")[0].split()[1] for line in text.splitlines() if line[:6] == "block "]
    assert used & set(kept), (used, kept)
