"""The blocks that ship with cnndsl, against the networks they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl import resources
from cnndsl.analysis.cost import summarize
from cnndsl.driver.load import load

USES = {
    "conv.cnn": "x -> conv_bn_relu(8) -> conv_bn(8, 1x3, groups=2)",
    "residual.cnn": "x -> basic(8, 2) -> basic(8) -> bottleneck(4, 2, groups=2) -> bottleneck(4)",
    "separable.cnn": "x -> separable(8, 2) -> inverted_residual(8) -> inverted_residual(9, 2, 1)",
    "inception.cnn": "x -> inception(8, 4, 8, 2, 4, 4) -> inception_bn(8, 4, 8, 2, 4, 4)",
    "squeeze_excite.cnn": "x -> conv3x3(32) -> squeeze_excite -> squeeze_excite(4)",
    "darknet.cnn": "x -> conv_leaky(8, 7, 2) -> narrow_wide(8) -> darknet_stage(8, 2)",
}

MOBILENET_V2 = """
import "std/separable.cnn"
network mobilenet_v2(classes = 1000)
input image: float32[N, 3, 224, 224]
block stage(x, width, depth, stride = 1, expansion = 6) {
  x = x -> inverted_residual(width, stride, expansion)
  return x -> inverted_residual(width, 1, expansion) ** (depth - 1)
}
output logits = image -> conv3x3(32, stride=2, padding=1) -> bn -> relu6
  -> stage(16, 1, 1, 1) -> stage(24, 2, 2) -> stage(32, 3, 2) -> stage(64, 4, 2)
  -> stage(96, 3) -> stage(160, 3, 2) -> stage(320, 1)
  -> conv1x1(1280) -> bn -> relu6 -> global_avgpool -> dense(classes)
"""

RESNEXT50 = """
import "std/residual.cnn"
network resnext50(classes = 1000)
input image: float32[N, 3, 224, 224]
block stage(width, depth, stride = 2) =
  bottleneck(width, stride, 32, 2) -> bottleneck(width, 1, 32, 2) ** (depth - 1)
output logits = image -> conv7x7(64, stride=2, padding=3) -> bn -> relu
  -> maxpool3x3(stride=2, padding=1)
  -> stage(128, 3, 1) -> stage(256, 4) -> stage(512, 6) -> stage(1024, 3)
  -> global_avgpool -> dense(classes)
"""


def test_every_file_is_used() -> None:
    assert {p.name for p in (resources.library() / "std").glob("*")} == set(USES)


@pytest.mark.parametrize("name", USES)
def test_blocks_elaborate(tmp_path: Path, name: str) -> None:
    path = tmp_path / "net.cnn"
    path.write_text(
        f'import "std/{name}"\nnetwork net\ninput x: float32[N, 3, H = 32, W = 32]\n'
        f"output y = {USES[name]}\n"
    )
    loaded = load(path)
    assert loaded.warnings == ()
    declared = (resources.library() / "std" / name).read_text(encoding="utf-8")
    words = [line.split("(")[0].split()[1] for line in declared.splitlines() if "block " in line]
    used = {block for node in loaded.graph.nodes for block, _ in node.path}
    assert set(words) <= used, "every block of the file is used"


@pytest.mark.parametrize(
    ("text", "params", "macs"),
    [(MOBILENET_V2, 3_504_872, 300_774_272), (RESNEXT50, 25_028_904, 4_230_479_872)],
)
def test_published_counts(tmp_path: Path, text: str, params: int, macs: int) -> None:
    path = tmp_path / "net.cnn"
    path.write_text(text.lstrip())
    summary = summarize(load(path).graph, {})
    assert (summary.params, summary.macs) == (params, macs)
