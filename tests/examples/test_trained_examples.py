"""The trained examples: committed weights, their accuracy, and the same answers everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cnndsl.driver.backends import Runner, runner
from cnndsl.driver.choice import Choice
from cnndsl.driver.prepare import Prepared, prepare
from cnndsl.weights.files import read
from examples.digits import data as digits
from examples.textures import data as textures

MEGABYTE = 10**6


@dataclass(frozen=True)
class Example:
    program: Path
    weights: Path
    answers: Path
    pictures: np.ndarray
    classes: np.ndarray
    accuracy: float

    @property
    def prepared(self) -> Prepared:
        return prepare(self.program, Choice({}, weights=self.weights))

    @property
    def recorded(self) -> np.ndarray:
        (answers,) = read(self.answers).values()
        return np.asarray(answers)


def example(name: str) -> Example:
    data = {"digits": digits, "textures": textures}[name]
    held_out = data.held_out()
    accuracy = {"digits": 0.985, "textures": 0.98}[name]
    return Example(
        data.PROGRAM, data.WEIGHTS, data.ANSWERS, held_out.pictures, held_out.classes, accuracy
    )


Run = Callable[[str, str, np.ndarray], np.ndarray]
"""Name of the example, backend, pictures to outputs."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run an example; each is compiled once for each backend."""
    runners: dict[tuple[str, str], Runner] = {}

    def call(name: str, backend: str, pictures: np.ndarray) -> np.ndarray:
        prepared = example(name).prepared
        if (name, backend) not in runners:
            folder = tmp_path_factory.mktemp(f"{name}_{backend}")
            runners[name, backend] = runner(backend, prepared, folder)
        (given,) = (i.value.name for i in prepared.graph.inputs)
        (outputs,) = runners[name, backend]({given: pictures}).values()
        return np.asarray(outputs)

    return call


BOTH = pytest.mark.parametrize("name", ["digits", "textures"])


@BOTH
def test_the_weights_are_those_of_the_program_and_small(name: str) -> None:
    trained = example(name)
    assert trained.weights.stat().st_size < MEGABYTE
    assert trained.answers.stat().st_size < MEGABYTE
    prepared = trained.prepared
    assert not prepared.warnings, "nothing missing, extra or converted"
    tensors = read(trained.weights)
    assert {p.value.name: p.value.type.shape for p in prepared.graph.parameters} == {
        n: a.shape for n, a in tensors.items()
    }


@BOTH
def test_what_pytorch_answered_is_as_accurate_as_stated(name: str) -> None:
    trained = example(name)
    right = trained.recorded.argmax(1).ravel() == trained.classes
    assert np.mean(right) >= trained.accuracy


@BOTH
@pytest.mark.parametrize("backend", ["numba-cpu", "onnxruntime", "reference", "torch"])
def test_every_backend_gives_the_answers_of_pytorch(run: Run, name: str, backend: str) -> None:
    if backend == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed: recorded answers stand")
    trained = example(name)
    outputs = run(name, backend, trained.pictures)
    expected = trained.recorded
    assert np.array_equal(outputs.argmax(1), expected.argmax(1))
    np.testing.assert_allclose(outputs, expected, atol=1e-5 * np.abs(expected).max())


def test_the_parts_do_not_overlap_and_are_all_there() -> None:
    known, new = digits.trained_on(), digits.held_out()
    assert (len(known.classes), len(new.classes)) == (1348, 449)
    assert set(new.classes) == set(range(10))
    assert 0 <= new.pictures.min() < new.pictures.max() == 1
    assert len({p.tobytes() for p in (*known.pictures, *new.pictures)}) == 1797

    photographs, left = textures.photographs(), textures.trained_on()
    assert photographs.shape == (6, 1, 512, 512)
    assert np.array_equal(left, photographs[..., :320])
    patches = textures.held_out()
    assert patches.pictures.shape == (264, 1, 46, 46)
    assert np.array_equal(patches.pictures[45, 0], photographs[1, 0, :46, 320 + 46 : 320 + 92])
    assert patches.classes[45] == 1
    mosaic = textures.mosaic()
    assert np.array_equal(mosaic.picture[0, 0, 192:, :192], photographs[3, 0, 160:352, 320:])
    assert (mosaic.classes[192:, :192] == 3).all()


def test_a_map_holds_the_answers_of_patches(run: Run) -> None:
    """What the claim about the receptive field means: 46 pixels from every fourth on, no others."""
    picture = textures.mosaic().picture
    scores = run("textures", "numba-cpu", picture)
    assert scores.shape == (1, 6, 85, 133)
    places = [(0, 0), (84, 132), (31, 77), (50, 3)]
    patches = [picture[0, :, 4 * i : 4 * i + 46, 4 * j : 4 * j + 46] for i, j in places]
    alone = run("textures", "numba-cpu", np.stack(patches))
    assert alone.shape == (4, 6, 1, 1)
    expected = np.stack([scores[0, :, i, j] for i, j in places])
    np.testing.assert_allclose(alone[..., 0, 0], expected, atol=1e-5 * np.abs(scores).max())


def test_answers_that_see_one_texture_are_right(run: Run) -> None:
    """The receptive field decides: what sees several textures cannot know which is meant."""
    mosaic = textures.mosaic()
    answers = run("textures", "numba-cpu", mosaic.picture)[0].argmax(0)
    centre, alone = mosaic.seen(*answers.shape)
    assert (centre[0, 0], centre[84, 132]) == (0, 5)
    assert list(centre[42:44, 0]) == [0, 3], "the middle pixel of answer 42 is 191, of 43 195"
    # Three tiles of 192 in a row: answers that begin 1 to 45 pixels before a tile see it too.
    assert alone[0].sum() == 133 - 2 * 11
    right = answers == centre
    assert right[alone].mean() >= 0.99
    assert 0.6 < right[~alone].mean() < 0.9
