"""Results are kept piece by piece: an interrupted run loses nothing and can be gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import results
from benchmarks.__main__ import chosen_keys, measure
from benchmarks.measure import JobError, Part, Session, child, thread_counts
from benchmarks.results import Results

ENTRY = {"text_s": 0.1, "command_s": 1.0}


@pytest.fixture(autouse=True)
def tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every look at the clock be a second after the last."""
    seconds = iter(range(100))
    monkeypatch.setattr(results, "now", lambda: f"2026-01-01T00:00:{next(seconds):02}+00:00")


class Work:
    """A part whose pieces are named, that fails or is interrupted where it is told to."""

    def __init__(self, **ends: BaseException) -> None:
        self.ends = ends
        self.done: list[str] = []

    def part(self, name: str = "work") -> Part:
        return Part(name, "some work", {"a": "net1", "b": "net2", "c": "net1"}, self.measure)

    def measure(self, session: Session, key: str) -> dict[str, Any]:
        self.done.append(key)
        if key in self.ends:
            raise self.ends[key]
        return ENTRY

    def run(self, folder: Path, *, resume: bool = False, only: tuple[str, ...] = ()) -> int:
        part, keys = chosen_keys(self.part(), only)
        begun = Results.begin(folder / "work.json", resume=resume)
        return measure(part, keys, Session(folder, 1), begun)


def kept(folder: Path) -> Results:
    found = Results.read(folder / "work.json")
    assert found is not None
    return found


def test_an_interrupted_run_is_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Work(c=KeyboardInterrupt()).run(tmp_path)
    assert list(kept(tmp_path).entries) == ["a", "b"]
    assert kept(tmp_path).unfinished_since
    work = Work()
    assert work.run(tmp_path, resume=True) == 0
    assert work.done == ["c"]
    assert list(kept(tmp_path).entries) == ["a", "b", "c"]
    assert kept(tmp_path).unfinished_since is None


def test_a_part_that_is_finished_is_not_measured_again_on_resuming(tmp_path: Path) -> None:
    Work().run(tmp_path)
    work = Work()
    work.run(tmp_path, resume=True)
    assert work.done == []


def test_entries_of_an_earlier_run_are_measured_again_on_resuming(tmp_path: Path) -> None:
    Work().run(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        Work(b=KeyboardInterrupt()).run(tmp_path)
    assert list(kept(tmp_path).entries) == ["a", "b", "c"]
    work = Work()
    work.run(tmp_path, resume=True)
    assert work.done == ["b", "c"]


def test_a_whole_run_is_gone_on_with_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*options: str, **works: Work) -> int:
        monkeypatch.setattr(command, "PARTS", {name: w.part(name) for name, w in works.items()})
        arguments = [*options, "--results", str(tmp_path)]
        return CliRunner().invoke(command.main, arguments).exit_code

    assert run(one=Work(), two=Work()) == 0
    one = Work(c=KeyboardInterrupt())
    assert run(one=one, two=Work()) != 0
    one, two = Work(), Work()
    assert run("--resume", one=one, two=two) == 0
    assert (one.done, two.done) == (["c"], ["a", "b", "c"])
    one, two = Work(), Work()
    assert run("--resume", one=one, two=two) == 0
    assert one.done == two.done == []
    assert (tmp_path / "README.md").read_text().startswith("# Results")
    assert run(one=Work(), two=Work(a=JobError("outputs differ"))) == 1


def test_a_run_without_resume_measures_everything(tmp_path: Path) -> None:
    Work().run(tmp_path)
    work = Work()
    work.run(tmp_path)
    assert work.done == ["a", "b", "c"]


def test_what_fails_is_kept_as_an_error_and_tried_again(tmp_path: Path) -> None:
    assert Work(b=JobError("outputs differ")).run(tmp_path) == 1
    assert kept(tmp_path).entries["b"]["error"] == "outputs differ"
    assert "error" not in kept(tmp_path).entries["c"]
    work = Work()
    assert work.run(tmp_path, resume=True) == 0
    assert work.done == ["b"]


def test_one_network_is_renewed_alone(tmp_path: Path) -> None:
    Work().run(tmp_path)
    before = kept(tmp_path).entries
    work = Work()
    work.run(tmp_path, only=("net2",))
    after = kept(tmp_path).entries
    assert work.done == ["b"]
    assert [key for key in after if after[key] != before[key]] == ["b"]


@pytest.mark.parametrize("what", ["machine", "versions"])
def test_results_of_another_machine_or_library_are_dropped(tmp_path: Path, what: str) -> None:
    Work().run(tmp_path)
    path = tmp_path / "work.json"
    content = json.loads(path.read_text())
    content[what]["other"] = "than here"
    path.write_text(json.dumps(content))
    work = Work()
    work.run(tmp_path, only=("net2",))
    assert list(kept(tmp_path).entries) == ["b"]


def test_a_child_answers_with_its_last_line() -> None:
    assert child(["sh", "-c", 'echo noise; echo "{\\"a\\": 1}"']) == {"a": 1}
    assert child(["sh", "-c", 'echo "{\\"a\\": $B}"'], {"B": "2"}) == {"a": 2}


def test_a_child_that_fails_says_why() -> None:
    with pytest.raises(JobError, match=r"^the reason$"):
        child(["sh", "-c", "echo much >&2; echo the reason >&2; exit 3"])
    with pytest.raises(JobError, match="exit code 3"):
        child(["sh", "-c", "exit 3"])


@pytest.mark.parametrize(
    ("processors", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])]
)
def test_threads_are_doubled_up_to_all(processors: int, counts: list[int]) -> None:
    assert thread_counts(processors) == counts
