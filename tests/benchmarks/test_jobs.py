"""What runs in a process of its own does what its name says."""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import jobs
from benchmarks.measure import child, job, peers
from benchmarks.networks import ROOT

PROGRAM = """network tiny
input image: float32[N, 3, H = 16, W = 16]
output scores = image -> conv3x3(8) -> relu -> global_avgpool -> dense(4)
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "tiny.cnn"
    path.write_text(PROGRAM)
    return str(path)


def test_neighbours_are_busy_and_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*arguments: object) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    with jobs.busy(2):
        assert len(started) == 2
        for neighbour in started:
            with pytest.raises(subprocess.TimeoutExpired):
                neighbour.wait(1)
    assert all(p.returncode for p in started)


def test_a_neighbour_does_not_outlive_a_benchmark_that_is_killed() -> None:
    program = """
import time
from benchmarks.jobs import busy
with busy(1):
    print("busy", flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as benchmark:
        assert benchmark.stdout is not None
        assert benchmark.stdout.readline() == b"busy\n"
        benchmark.kill()
        # The pipe ends when the neighbour, which has it, too, is gone.
        assert select.select([benchmark.stdout], [], [], 30)[0]
        assert benchmark.stdout.read() == b""


@pytest.mark.slow
def test_a_network_is_timed_against_all_peers(program: str, tmp_path: Path) -> None:
    found = job(
        "speed", program=program, settings={}, against=peers(), batch=2, threads=1,
        pace={"runs": 4, "untimed": 1, "timed": 2}, folder=str(tmp_path), neighbours=1,
    )  # fmt: skip
    assert list(found["milliseconds"]) == ["numba-cpu", *peers()]
    assert (found["batch"], found["threads"], found["runs"]) == (2, 1, 4)
    assert list(tmp_path.glob("*/tiny.py"))


@pytest.mark.slow
def test_users_of_every_engine_start_from_files(program: str, tmp_path: Path) -> None:
    files = job("files", program=program, settings={}, folder=str(tmp_path))
    script = str(Path(jobs.__file__).with_name("as_a_user.py"))
    for engine in ("numba-cpu", *peers()):
        found = child([sys.executable, script, engine, files[engine], files["inputs"], "1"])
        assert found["first_s"] > 0
        assert 20e6 < found["peak_bytes"] < 4e9
    assert list(tmp_path.glob("__pycache__/*.nbi"))  # what a warm start finds


@pytest.mark.slow
def test_the_width_is_what_numba_is_told(program: str, tmp_path: Path) -> None:
    found = job(
        "width", program=program, folder=str(tmp_path), runs=2,
        env={"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    )  # fmt: skip
    assert found["lanes"] == 4
    assert 0 < found["done_gflops"] < found["peak_gflops"]


@pytest.mark.slow
def test_compile_times(program: str) -> None:
    found = job("compile_time", program=program, runs=1)
    assert 0 < found["text_s"] < found["command_s"]
