"""A folder that keeps generated modules, and what Numba compiled of them, from run to run."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cnndsl.files import write_file

MOST = 32
"""Modules kept, those used last; each takes some megabytes with its compiled kernels."""


@contextmanager
def module_folder() -> Iterator[Path]:
    """Yield the user's cache folder, or where there is none to trust, a temporary one.

    Numba unpickles what it finds beside a module, so nobody else may write there.
    """
    folder = own_folder("modules")
    if folder is not None:
        yield folder
        _prune(folder)
        return
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as temporary:
        yield Path(temporary)


def store(folder: Path, name: str, content: bytes) -> Path:
    """Return the path of a module of this content in the folder: written now, or found there."""
    place = folder / hashlib.sha256(content).hexdigest()[:32]
    place.mkdir(mode=0o700, exist_ok=True)
    path = place / name
    # Numba takes its kernels for stale when the file is written again, even if nothing changed.
    if not path.is_file() or path.read_bytes() != content:
        write_file(path, content, force=True)
    os.utime(place)
    return path


def own_folder(name: str) -> Path | None:
    """Return a folder in $XDG_CACHE_HOME/cnndsl (or its default) if it is this user's alone."""
    try:
        chosen = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
        folder = (Path(chosen) if chosen else Path.home() / ".cache") / "cnndsl" / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except (OSError, RuntimeError):
        return None
    if hasattr(os, "getuid"):
        shared = stat.S_IMODE(status.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or shared:
            return None
    return folder if folder.is_absolute() and os.access(folder, os.W_OK) else None


def _prune(folder: Path) -> None:
    """Remove all but the modules used last."""
    with suppress(OSError):
        for place in sorted(folder.iterdir(), key=lambda p: -p.stat().st_mtime)[MOST:]:
            shutil.rmtree(place, ignore_errors=True)
