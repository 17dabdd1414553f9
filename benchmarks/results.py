"""What was measured, in one JSON file for each part, written anew after every piece."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.networks import ROOT
from cnndsl import __version__
from cnndsl.driver.bench import processor
from cnndsl.driver.memory import physical_bytes

FOLDER = Path(__file__).resolve().parent / "results"
LIBRARIES = ("numba", "llvmlite", "numpy", "onnxruntime", "openvino")


@dataclass
class Results:
    """The entries of one part, by their keys, with where and when they were measured.

    Entries stay until they are measured again, so that one network can be renewed alone; but all of
    a file are of one machine and of equal versions of the libraries.
    """

    path: Path
    machine: dict[str, Any]
    versions: dict[str, str]
    entries: dict[str, dict[str, Any]]
    unfinished_since: str | None = None
    """When the run began that has not come to its end."""

    @classmethod
    def read(cls, path: Path) -> Results | None:
        """Return what a file holds; None if there is none."""
        if not path.exists():
            return None
        return cls(path, **json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def begin(
        cls,
        path: Path,
        *,
        resume: bool = False,
        here: dict[str, Any] | None = None,
        versions: dict[str, str] | None = None,
    ) -> Results:
        """Return a part's results with a run begun, or with `resume` the last one gone on with.

        `here` and `versions` tell of the machine and its libraries, if a processor is not all.
        """
        kept = cls.read(path)
        here, versions = here or machine(), versions or library_versions()
        if kept is None or (kept.machine, kept.versions) != (here, versions):
            kept = cls(path, here, versions, {}, now())
        elif not resume:
            kept.unfinished_since = now()
        kept._write()
        return kept

    def has(self, key: str) -> bool:
        """Return whether the last run measured an entry already, and could."""
        entry = self.entries.get(key)
        return (
            entry is not None
            and "error" not in entry
            and entry["measured"] >= (self.unfinished_since or "")
        )

    def add(self, key: str, entry: dict[str, Any]) -> None:
        """Keep an entry and write the file: an interrupted run loses nothing."""
        self.entries[key] = {**entry, "measured": now(), "cnndsl": cnndsl_version()}
        self._write()

    def finish(self) -> None:
        """Note that the run came to its end."""
        self.unfinished_since = None
        self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "machine": self.machine,
            "versions": self.versions,
            "entries": self.entries,
            "unfinished_since": self.unfinished_since,
        }
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, self.path)


def read_all(folder: Path) -> dict[str, Results]:
    """Return what a folder holds, by the parts' names."""
    found = {path.stem: Results.read(path) for path in sorted(folder.glob("*.json"))}
    return {name: results for name, results in found.items() if results is not None}


def now() -> str:
    """Return the time in UTC, to the microsecond, as ISO 8601 writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def machine() -> dict[str, Any]:
    """Return what is known of this machine."""
    import llvmlite.binding as llvm

    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return {
        "processor": f"{processor()}, LLVM's {llvm.get_host_cpu_name()}",
        "vectors": _vectors(),
        "processors": processors or os.cpu_count() or 1,
        "memory_gib": round((physical_bytes() or 0) / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _vectors() -> str:
    """Return the widest vectors that float32 arithmetic can use here."""
    import llvmlite.binding as llvm

    try:
        flags = llvm.get_host_cpu_features()
    except RuntimeError:  # LLVM cannot tell on this system
        return "vectors unknown"
    for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("neon", "NEON")):
        if flags.get(flag):
            return name
    return "SSE2" if flags.get("sse2") else "no vectors known"


def library_versions(names: Sequence[str] = LIBRARIES) -> dict[str, str]:
    """Return the versions of the libraries that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def cnndsl_version() -> str:
    """Return the version, with the commit where there is one."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--", "cnndsl", "templates", "grammars")
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return f"{__version__} ({commit}{', changed' if changed else ''})"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
