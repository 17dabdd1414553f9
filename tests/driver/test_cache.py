"""Generated modules that `run` keeps: found again, the user's alone, and few."""

from __future__ import annotations

import os
from pathlib import Path

import kernel_cache
import numpy as np
import pytest

from cnndsl.driver import cache
from cnndsl.driver.backends import runner
from cnndsl.driver.cache import module_folder, store
from cnndsl.driver.choice import Choice
from cnndsl.driver.prepare import prepare


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(kernel_cache.FOLDER)  # kernels are kept as users have them
    return tmp_path / "home"


def test_a_second_run_compiles_nothing(tmp_path: Path, home: Path) -> None:
    program = tmp_path / "net.cnn"
    program.write_text("network net\ninput x: float32[N, 3]\noutput y = x -> relu\n")
    prepared = prepare(program, Choice({}))
    kernels = []
    for _ in range(2):
        with module_folder() as folder:
            assert folder.is_relative_to(home)
            x = np.float32([[1, -2, 3]])
            np.testing.assert_array_equal(
                runner("numba-cpu", prepared, folder)({"x": x})["y"], [[1, 0, 3]]
            )
        found = [p for p in folder.rglob("*") if p.is_file()]
        kernels.append({p: p.stat().st_mtime_ns for p in found})
    assert any(p.suffix == ".nbc" for p in kernels[0])
    assert kernels[0] == kernels[1]


def test_a_module_of_other_content_is_never_taken(tmp_path: Path) -> None:
    path = store(tmp_path, "a.py", b"x = 1\n")
    path.write_bytes(b"x = 2\n")
    assert store(tmp_path, "a.py", b"x = 1\n") == path
    assert path.read_bytes() == b"x = 1\n"
    assert store(tmp_path, "a.py", b"x = 3\n") != path


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs permissions as Unix has them")
def test_a_folder_that_others_can_write_is_not_trusted(home: Path) -> None:
    with module_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with module_folder() as other:
        assert not other.is_relative_to(home)
    assert not other.exists()
    folder.rmdir()
    (home / "elsewhere").mkdir()
    folder.symlink_to(home / "elsewhere")
    with module_folder() as other:
        assert not other.is_relative_to(home)


def test_no_home_is_no_reason_to_fail(home: Path) -> None:
    home.write_text("not a folder")
    with module_folder() as folder:
        assert folder.is_dir()
    assert not folder.exists()


def test_the_modules_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST", 3)
    with module_folder() as folder:
        paths = [store(folder, "a.py", f"x = {i}\n".encode()) for i in range(5)]
        for i, path in enumerate(paths):
            os.utime(path.parent, (i, i))
        store(folder, "a.py", b"x = 0\n")
    assert [p.exists() for p in paths] == [True, False, False, True, True]
