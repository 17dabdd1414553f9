"""The lint finds exactly the channels that were made to die, with every backend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnndsl.diagnostics import CompileError
from cnndsl.driver.backends import NAMES
from cnndsl.driver.choice import Choice
from cnndsl.driver.lint import Linted, flat_sided, lint
from cnndsl.driver.prepare import Prepared, prepare
from cnndsl.ops.base import Array
from cnndsl.weights import npz

PROGRAM = """network net
input image: float32[N, 3, H = 12, W = 12]
h = image -> conv3x3(8) -> bn -> relu
h2 = h + (h -> conv3x3(8, bias=true) -> relu6)
h3 = 0.1 * h2 -> conv1x1(6, bias=true) -> hard_sigmoid -> leaky_relu
output y = h3 -> global_avgpool -> dense(5, bias=true) -> relu
output raw = h2
"""


def prepared(folder: Path, program: str = PROGRAM, **planted: tuple[int, float]) -> Prepared:
    """Return a network; for each planted layer, a channel gets a bias and no weight."""
    path = folder / "net.cnn"
    path.write_text(program)
    weights = dict(prepare(path, Choice({})).weights)
    for name, (channel, bias) in planted.items():
        for role, value in (("weight", 0.0), ("bias", bias)):
            array = weights[f"{name}.{role}"].copy()
            array[channel] = value
            weights[f"{name}.{role}"] = array
    (folder / "w.npz").write_bytes(npz.serialize(weights))
    return prepare(path, Choice({}, folder / "w.npz"))


def saved(folder: Path, x: Array, name: str = "x.npy") -> Path:
    np.save(folder / name, x.astype(np.float32))
    return folder / name


def linted(folder: Path, network: Prepared, *paths: Path, backend: str = "reference") -> Linted:
    return lint(network, paths, backend, folder)


def noise(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize("backend", NAMES)
def test_planted_channels_and_no_others_are_found(tmp_path: Path, backend: str) -> None:
    network = prepared(
        tmp_path,
        bn=(3, -0.5),
        conv3x3_2=(6, 7.0),
        conv1x1=(0, 4.0),
        dense=(4, -1.0),
    )
    found = linted(tmp_path, network, saved(tmp_path, noise(40, 3, 12, 12)), backend=backend)
    assert found.samples == 40
    # What follows the dead channel of the first relu still lives on the seven others.
    assert [(la.op, la.channels) for la in found.layers] == [
        ("relu", 8),
        ("relu6", 8),
        ("hard_sigmoid", 6),
        ("relu", 5),
    ]
    first, six, sigmoid, last = found.layers
    assert (first.silent, first.saturated, first.stuck) == ((3,), (), ())
    assert (six.silent, six.saturated, six.stuck) == ((), (6,), ())
    assert (sigmoid.silent, sigmoid.saturated, sigmoid.stuck) == ((), (0,), ())
    assert 4 in last.silent
    assert found.dead == 3 + len(last.dead)
    assert first.span is not None
    assert first.span.line == 3
    assert 0.3 < first.active < 0.6


def test_zero_is_dead_and_the_least_above_it_is_not(tmp_path: Path) -> None:
    program = "network net\ninput x: float32[N, 4]\noutput y = x -> relu\n"
    x = np.array([[0.0, 1e-30, -1.0, -5.0], [-0.0, -1.0, -2.0, 3.0]])
    found = linted(tmp_path, prepared(tmp_path, program), saved(tmp_path, x))
    (layer,) = found.layers
    assert layer.silent == (0, 2)
    assert layer.active == 0.25


def test_never_between_the_flat_parts_is_dead_too(tmp_path: Path) -> None:
    program = "network net\ninput x: float32[N, C, 2]\noutput y = x -> relu6\n"
    x = np.array([[[-1.0, 6.0], [0.0, -1.0], [7.0, 6.0], [7.0, 5.9]]])
    found = linted(tmp_path, prepared(tmp_path, program), saved(tmp_path, x))
    (layer,) = found.layers
    assert (layer.silent, layer.saturated, layer.stuck) == ((1,), (2,), (0,))
    assert layer.dead == (0, 1, 2)


def test_one_file_that_fires_is_enough(tmp_path: Path) -> None:
    program = "network net\ninput x: float32[N, 1, T]\noutput y = x -> relu\n"
    network = prepared(tmp_path, program)
    quiet = saved(tmp_path, -np.ones((70, 1, 3)), "quiet.npy")
    loud = np.full((70, 1, 4), -1.0)
    loud[-1, 0, 3] = 1
    assert linted(tmp_path, network, quiet).dead == 1
    both = linted(tmp_path, network, quiet, saved(tmp_path, loud, "loud.npy"))
    assert (both.dead, both.samples) == (0, 140)


def test_layers_without_a_flat_side_are_left_out(tmp_path: Path) -> None:
    program = "network net\ninput x: float32[N, 3]\noutput y = x -> dense(4) -> gelu -> tanh\n"
    network = prepared(tmp_path, program)
    assert flat_sided(network.graph) == ()
    assert linted(tmp_path, network, saved(tmp_path, noise(2, 3))) == Linted((), 0)


def test_nan_is_no_dead_channel(tmp_path: Path) -> None:
    program = "network net\ninput x: float32[N, 2]\noutput y = x -> relu\n"
    x = saved(tmp_path, np.array([[1.0, np.nan]]))
    with pytest.raises(CompileError, match=r"CNN803.*what enters relu is not a number"):
        linted(tmp_path, prepared(tmp_path, program), x)
