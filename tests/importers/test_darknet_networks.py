"""Networks of .cfg files compute what Darknet computes, with the weights of its files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from importers.darknet_cfgs import ACTIVATIONS, cfgs
from importers.darknet_oracle import Darknet, parse

from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import Source
from cnndsl.importers.darknet.importing import import_cfg
from cnndsl.importers.imported import Imported
from cnndsl.importers.writing.write import write_source
from cnndsl.syntax.formatter import format_program
from cnndsl.syntax.parser import parse as parse_program


def drawn(text: str, seed: int = 0) -> Darknet:
    """Return a network of the oracle that has drawn random weights."""
    network = Darknet(text, random=np.random.default_rng(seed))
    network.forward(picture(text))
    return network


def picture(text: str, samples: int = 2, **sizes: int) -> np.ndarray:
    net = parse(text)[0][1]
    shape = [sizes.get(key, int(net[key])) for key in ("channels", "height", "width")]
    return np.random.default_rng(1).normal(size=(samples, *shape)).astype(np.float32)


def computed(imported: Imported, image: np.ndarray) -> list[np.ndarray]:
    (name,) = (i.value.name for i in imported.graph.inputs)
    return list(run(imported.graph, {name: image}, imported.weights).values())


def check(text: str, folder: Path, version: tuple[int, int, int] = (0, 2, 0)) -> Imported:
    """Check that the import of a file and of random weights for it computes what Darknet does."""
    network = drawn(text)
    path = folder / "net.weights"
    path.write_bytes(network.file(version))
    imported = import_cfg(Source("net.cfg", text), path)
    image = picture(text)
    expected = Darknet(text, path.read_bytes()).forward(image)
    results = computed(imported, image)
    assert len(results) == len(expected)
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(result.ravel(), wanted.ravel(), rtol=2e-4, atol=2e-4)
    return imported


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cfgs())
def test_random_networks_compute_what_darknet_computes(tmp_path: Path, text: str) -> None:
    imported = check(text, tmp_path)
    # Proven to mean the same network, or it raises.
    written = write_source(imported.graph, imported.comments)
    assert set(written.names) == set(imported.weights)
    assert format_program(parse_program(Source("net.cnn", written.text))) == written.text


def of(sections: str, height: int = 6, width: int = 8, channels: int = 4) -> str:
    head = f"[net]\nheight={height}\nwidth={width}\nchannels={channels}\n"
    return head + re.sub(r" +(\[|$)", r"\n\1", re.sub(r" (?=\w+=)", "\n", sections)) + "\n"


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation(name: str) -> None:
    text = of(f"[empty] [shortcut] from=0 activation={name}", 16, 16)
    imported = import_cfg(Source("net.cfg", text))
    image = picture(text) * 2
    (expected,) = Darknet(text).forward(image)
    (result,) = computed(imported, image)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
    write_source(imported.graph)


@pytest.mark.parametrize(
    "sections",
    [
        # YOLOv3-tiny's pool of size 2 and stride 1, and one with a larger step than size.
        "[maxpool] size=2 stride=1",
        "[maxpool] size=3 stride=2",
        "[maxpool] size=2 stride=3 padding=1",
        "[maxpool] stride=2",
        "[maxpool] size=3 stride_x=1 stride_y=2",
        "[convolutional] filters=3 size=3 stride_x=2 stride_y=1 pad=1 activation=leaky",
        "[convolutional] filters=3 size=3 stride_x=2 stride=1 activation=leaky",
        "[convolutional] filters=2 size=4 stride=2 pad=1",
        "[convolutional] filters=8 size=3 pad=1 groups=4 dilation=2 activation=relu",
        "[convolutional] filters=3 size=1 dilation=9 activation=linear",
        "[convolutional] filters=2 size=3 flipped=1 activation=linear",
        "[local] filters=2 size=5 pad=2 stride=2 activation=linear",
        "[connected] output=3 batch_normalize=1 activation=linear [connected] output=2",
        "[connected] output=4 activation=tanh [convolutional] filters=2 activation=linear",
        "[avgpool] [connected] output=2 activation=linear [softmax]",
        "[avgpool] [convolutional] filters=6 activation=linear [softmax] groups=3",
        "[softmax] temperature=2.5",
        "[reorg] stride=2 [convolutional] filters=2 activation=linear",
        "[reorg3d] stride=2 [reorg] stride=2 reverse=1",
        "[crop] crop_height=5 crop_width=4 [crop] crop_height=3 crop_width=4 noadjust=1",
        "[dropout] probability=.5 [route] layers=-1,0 groups=2 group_id=1",
        "[convolutional] filters=6 activation=linear [convolutional] filters=2 activation=linear "
        "[shortcut] from=-2 activation=leaky [shortcut] from=0,-1",
        "[convolutional] filters=2 activation=linear [convolutional] filters=6 activation=linear "
        "[shortcut] from=-2",
        # As ResNet's stages begin in Darknet: fewer places, more channels.
        "[convolutional] filters=6 size=3 stride=2 pad=1 activation=leaky [dropout] "
        "[convolutional] filters=9 size=3 stride=2 pad=1 activation=linear [empty] "
        "[shortcut] from=1 activation=relu",
        "[convolutional] filters=2 size=1 stride=2 activation=linear [shortcut] from=-1 "
        "[maxpool] size=2 stride=1",
        "[dropout] [convolutional] filters=2 stride=2 activation=linear [shortcut] from=0",
        "[upsample] stride=3 scale=.5 [upsample]",
        "[avgpool] [convolutional] filters=4 activation=logistic [empty] "
        "[scale_channels] from=-3 activation=relu",
        "[maxpool] size=1 [convolutional] filters=4 activation=logistic [sam] from=-2",
        "[avgpool] [softmax] [cost] type=sse",
    ],
)
def test_each_section(sections: str, tmp_path: Path) -> None:
    if "scale_channels" in sections:
        sections = "[dropout] probability=.1 " + sections.replace("from=-3", "from=0")
    check(of(sections, 8, 16) if "stride=2 pad=1 act" in sections else of(sections), tmp_path)


def test_reorg_of_sixteen_channels_keeps_the_odd_order(tmp_path: Path) -> None:
    text = of("[reorg] stride=2", 4, 4, 16)
    (result,) = computed(check(text, tmp_path), picture(text))
    sane = picture(text).reshape(2, 16, 2, 2, 2, 2).transpose(0, 3, 5, 1, 2, 4).reshape(2, 64, 2, 2)
    assert result.shape == sane.shape
    assert not np.allclose(result, sane)


@pytest.mark.parametrize("version", [(0, 0, 1), (0, 1, 0), (0, 2, 5), (1, 0, 0), (2, 5, 9)])
def test_versions_of_the_header(version: tuple[int, int, int], tmp_path: Path) -> None:
    check(of("[convolutional] filters=2 batch_normalize=1 [connected] output=2"), tmp_path, version)


def test_matrices_of_very_old_files_are_transposed(tmp_path: Path) -> None:
    text = of("[connected] output=3 activation=linear")
    network = drawn(text)
    body = network.file()[20:]
    for header in (16, 20):  # versions of Darknet read 32 or 64 bits of pictures
        path = tmp_path / f"{header}.weights"
        path.write_bytes(np.array([0.001], "<f4").tobytes() + bytes(header - 4) + body)
        imported = import_cfg(Source("net.cfg", text), path)
        matrix = network.written[1].reshape(-1, 3).T
        (weight,) = (a for name, a in imported.weights.items() if name.endswith("weight"))
        np.testing.assert_array_equal(weight, matrix)


@pytest.mark.parametrize("height", [6, 7, 9])
def test_open_sizes_mean_what_darknet_does_at_each(height: int, tmp_path: Path) -> None:
    sections = (
        "[convolutional] filters=3 size=3 stride=2 pad=1 batch_normalize=1 activation=leaky "
        "[maxpool] size=3 stride=2 [maxpool] size=2 stride=1 [avgpool] "
        "[convolutional] filters=5 activation=linear [softmax]"
    )
    text = of(sections)
    network = drawn(text)
    (tmp_path / "net.weights").write_bytes(network.file())
    imported = import_cfg(Source("net.cfg", text), tmp_path / "net.weights")
    assert imported.graph.usual_sizes == (("H", 6), ("W", 8))
    image = picture(text, height=height)
    (expected,) = Darknet(text, network.file()).forward(image)
    (result,) = computed(imported, image)
    np.testing.assert_allclose(result.ravel(), expected.ravel(), rtol=1e-4, atol=1e-5)


def test_sizes_are_open_as_far_as_they_can_be() -> None:
    def sizes(sections: str) -> tuple[tuple[str, int], ...]:
        return import_cfg(Source("net.cfg", of(sections, 8, 16))).graph.usual_sizes

    halved = "[maxpool] size=2 stride=2 [upsample] stride=2"
    assert sizes("[maxpool] size=2 stride=2") == (("H", 8), ("W", 16))
    assert sizes(f"[dropout] {halved} [shortcut] from=0") == (("h", 4), ("w", 8))
    assert sizes(f"{halved} [connected] output=2") == ()
    fixed = import_cfg(Source("net.cfg", of(halved)), sizes={"height": 10}).graph
    assert str(fixed.inputs[0].value.type) == "float32[N, 4, 10, 8]"


def test_vectors() -> None:
    text = "[net]\ninputs=5\n[connected]\noutput=3\nactivation=linear\n[softmax]\n"
    imported = import_cfg(Source("net.cfg", text))
    assert str(imported.graph.inputs[0].value.type) == "float32[N, 5]"
    assert [o.name for o in imported.graph.outputs] == ["probabilities"]


def test_pooled_maps_stay_maps_for_convolutions_behind_others() -> None:
    def words(sections: str) -> list[str]:
        return [n.op.keyword for n in import_cfg(Source("net.cfg", of(sections))).graph.nodes]

    convolution = "[convolutional] filters=2 activation=linear"
    assert words(f"[avgpool] [dropout] {convolution}") == ["global_avgpool", "dropout", "conv"]
    assert words("[avgpool] [dropout] [softmax]") == ["global_avgpool", "dropout", "softmax"]


def test_shortcuts_from_larger_maps_are_told() -> None:
    sections = "[dropout] [convolutional] filters=4 stride=2 activation=linear [shortcut] from=0"
    imported = import_cfg(Source("net.cfg", of(sections)))
    assert imported.graph.usual_sizes == (("h", 3), ("w", 4))
    assert imported.notices[0].startswith("shortcuts from larger maps (line 10) take every second")


def test_settings_of_boxes_are_comments_and_the_rest_is_told() -> None:
    text = of(
        "[convolutional] filters=12 [yolo] classes=1 num=2 mask=0,1 anchors=1,2 [route] layers=0"
    )
    imported = import_cfg(Source("net.cfg", text))
    assert [o.name for o in imported.graph.outputs] == ["yolo_1", "result"]
    source = write_source(imported.graph, imported.comments).text
    assert "# yolo_1: [yolo] makes boxes of it, by classes=1 num=2 mask=0,1 anchors=1,2" in source
    assert imported.notices[0] == (
        "sections without an activation (line 5) have logistic, as in Darknet"
    )


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 9), st.integers(1, 30))
def test_pools_have_as_many_windows_as_in_darknet(
    size: int, stride: int, padding: int, extent: int
) -> None:
    if padding - padding // 2 >= size or extent + padding < size:
        return
    text = of(f"[maxpool] size={size} stride={stride} padding={padding}", extent, 30, 1)
    imported = import_cfg(Source("net.cfg", text), sizes={"width": 30})
    image = picture(text, 1)
    (expected,) = Darknet(text).forward(image)
    np.testing.assert_array_equal(computed(imported, image)[0], expected.astype(np.float32))
