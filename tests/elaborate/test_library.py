"""The blocks that ship with cnndsl; the examples hold them to the networks they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl import resources
from cnndsl.driver.load import load

USES = {
    "conv.cnn": "x -> conv_bn_relu(8) -> conv_bn(8, 1x3, groups=2)",
    "residual.cnn": "x -> basic(8, 2) -> basic(8) -> bottleneck(4, 2, groups=2) -> bottleneck(4) "
    "-> resnet_features(basic, [1, 1, 2, 1])",
    "separable.cnn": "x -> separable(8, 2) -> inverted_residual(8) -> inverted_residual(9, 2, 1)",
    "inception.cnn": "x -> inception(8, 4, 8, 2, 4, 4) -> inception_bn(8, 4, 8, 2, 4, 4)",
    "inception_v3.cnn": "x -> inception_a(8) -> reduction_b -> inception_c(8) -> reduction_d "
    "-> inception_e",
    "vgg.cnn": "x -> vgg_features([1, 2]) -> vgg_classifier(3)",
    "nin.cnn": "x -> mlpconv([8, 6, 4], 5, padding=2) -> overlapping_maxpool "
    "-> overlapping_avgpool",
    "densenet.cnn": "x -> dense_layer(8) ** 2 -> transition",
    "fire.cnn": "x -> fire(4, 8)",
    "squeeze_excite.cnn": "x -> conv3x3(32) -> squeeze_excite -> squeeze_excite(4)",
    "darknet.cnn": "x -> conv_leaky(8, 7, 2) -> narrow_wide(8) -> darknet_stage(8, 2)",
}


def test_every_file_is_used() -> None:
    assert {p.name for p in (resources.library() / "std").glob("*")} == set(USES)


@pytest.mark.parametrize("name", USES)
def test_blocks_elaborate(tmp_path: Path, name: str) -> None:
    path = tmp_path / "net.cnn"
    path.write_text(
        f'import "std/{name}"\nnetwork net\ninput x: float32[N, 3, 32, 32]\n'
        f"output y = {USES[name]}\n"
    )
    loaded = load(path)
    assert loaded.warnings == ()
    declared = (resources.library() / "std" / name).read_text(encoding="utf-8")
    words = [line.split("(")[0].split()[1] for line in declared.splitlines() if "block " in line]
    used = {block for node in loaded.graph.nodes for block, _ in node.path}
    assert set(words) <= used, "every block of the file is used"
