"""The training scripts, where PyTorch is installed."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cnndsl.weights.files import read

torch: Any = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install torch==2.13.0 (extra: torch)"
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Training chooses algorithms for the whole process."""
    before = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(before)


def train(name: str, folder: Path, *options: str) -> float:
    """Run a training script; return the accuracy that it tells."""
    folder.mkdir()
    script = importlib.import_module(f"examples.{name}.train")
    done = CliRunner().invoke(script.main, ["-o", str(folder), *options])
    assert done.exit_code == 0, done.output
    assert re.search("training .*100%", done.output), "progress is shown"
    ((right, count),) = re.findall(r"(\d+) of (\d+) held-out \w+ are right", done.output)
    return int(right) / int(count)


def test_one_epoch_gives_the_same_files_each_time(tmp_path: Path) -> None:
    accuracy = train("digits", tmp_path / "a", "--epochs", "1")
    again = train("digits", tmp_path / "b", "--epochs", "1")
    assert 0.3 < accuracy == again, "it has begun to learn"
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert files == ["answers.safetensors", "digits.safetensors"]
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    committed = read(ROOT / "examples" / "digits" / "digits.safetensors")
    tensors = read(tmp_path / "a" / "digits.safetensors")
    assert {n: a.shape for n, a in tensors.items()} == {n: a.shape for n, a in committed.items()}


def test_patches_to_learn_from_come_from_the_left(tmp_path: Path) -> None:
    from examples.textures.train import patches

    known = torch.rand((6, 1, 512, 320), generator=torch.Generator().manual_seed(1))
    known += 10 * torch.arange(6).reshape(6, 1, 1, 1)
    pictures, classes = patches(known, torch.Generator().manual_seed(2))
    assert pictures.shape == (48, 1, 46, 46)
    means = pictures.numpy().mean(axis=(1, 2, 3))
    # Contrast is from 0.5 to 1.5, brightness from -0.3 to 0.3.
    told = classes.numpy()
    assert np.all(means >= 0.5 * (10 * told + 0.4) - 0.3)
    assert np.all(means <= 1.5 * (10 * told + 0.6) + 0.3)
    assert set(told) == set(range(6))


@pytest.mark.slow
def test_digits_reach_the_stated_accuracy(tmp_path: Path) -> None:
    assert train("digits", tmp_path / "out") >= 0.985


@pytest.mark.slow
def test_textures_are_learnt_in_a_third_of_the_time(tmp_path: Path) -> None:
    """The whole training takes half a minute, and is right in 99.6 %."""
    assert train("textures", tmp_path / "out", "--epochs", "6") >= 0.93
