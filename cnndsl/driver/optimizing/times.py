"""Times of layers and chains that were measured on this machine, kept from run to run."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

import numba

from cnndsl import __version__
from cnndsl.backends.numba_cpu import emit
from cnndsl.diagnostics import CompileError
from cnndsl.driver.bench import processor
from cnndsl.driver.cache import own_folder
from cnndsl.files import GENERATOR, require_plain, write_file
from cnndsl.passes import pipeline
from cnndsl.resources import templates

FORMAT = "cnndsl times 1"
PRECISION = "float32"
"""What kernels compute in, and so what is timed."""

_MOST = 20_000
_LARGEST_BYTES = 16 << 20

Pair: TypeAlias = tuple[float, float]
"""Seconds of a layer, and of the chain that was timed beside it."""


class Times:
    """A file of times in the user's cache folder; without such a folder nothing is kept.

    A time holds for a processor, a number of threads, a precision and the code that makes kernels:
    those are part of its name. What the file holds that is no time is passed over.
    """

    def __init__(self, threads: int | None) -> None:
        folder = own_folder("times")
        self._path = None if folder is None else folder / "times.json"
        self._where = (
            processor(),
            threads or os.cpu_count(),
            PRECISION,
            numba.__version__,
            _code(),
        )
        self._known: dict[str, Pair] = {} if self._path is None else _read(self._path)

    def find(self, *what: object) -> Pair | None:
        """Return what was measured for these things, if anything was."""
        return self._known.get(self._name(what))

    def keep(self, measured: Mapping[tuple[object, ...], Pair]) -> None:
        """Keep what was measured, by the things that were timed."""
        if self._path is None or not measured:
            return
        # Another run may have written meanwhile.
        self._known = _read(self._path) | self._known
        for what, pair in measured.items():
            self._known[self._name(what)] = pair
        kept = dict(list(self._known.items())[-_MOST:])
        value = {"generator": f"{GENERATOR} {__version__}", "format": FORMAT, "times": kept}
        with suppress(CompileError):  # a cache that cannot be written keeps nothing
            write_file(self._path, (json.dumps(value, indent=2) + "\n").encode(), force=True)

    def _name(self, what: tuple[object, ...]) -> str:
        return hashlib.sha256(repr((self._where, what)).encode()).hexdigest()[:32]


def _code() -> str:
    """Return a digest of the code that plans and makes kernels."""
    digest = hashlib.sha256()
    backend, optimizer = (Path(str(m.__file__)).parent for m in (emit, pipeline))
    for folder in (backend, optimizer, templates() / "numba_cpu", templates() / "numba"):
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".py", ".jinja"):
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Pair]:
    try:
        require_plain(path)
        if path.stat().st_size > _LARGEST_BYTES:
            return {}
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError, CompileError):
        return {}
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        return {}
    times = value.get("times")
    found = times.items() if isinstance(times, dict) else ()
    return {name: (pair[0], pair[1]) for name, pair in found if _is_pair(pair)}


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(s, float) and isfinite(s) and s > 0 for s in value)
    )
