"""What was computed for layers, kept in a folder: a run that was interrupted goes on from there."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import numpy as np

from cnndsl import __version__
from cnndsl.diagnostics import CompileError
from cnndsl.factorize.factors import Factors, chain_graph
from cnndsl.factorize.layer import Layer
from cnndsl.factorize.rectifier import Rectifier
from cnndsl.factorize.scheme import Decomposition, Ranks, Scheme
from cnndsl.factorize.statistics import Statistics
from cnndsl.files import unwritable, write_file
from cnndsl.ops.base import Array
from cnndsl.weights import npz
from cnndsl.weights.errors import WeightsFormatError

_NAME = "name"
"""Array with the file's own name: a file that was renamed is not taken for another one."""

_ERRORS = ("error", "output_error", "rectified_error")


class Kept:
    """Results by the digest of all that they were computed from; without a folder none is kept.

    So a folder may serve many runs, and a result is never taken for another one. A file that cannot
    be read, or does not hold what it should, is computed and written again. `reused` counts what
    earlier runs left. Raises CompileError (CNN801) for a folder that cannot be used.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self.reused = 0
        self._before: frozenset[str] = frozenset()
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._before = frozenset(path.name for path in folder.iterdir())
            except OSError as error:
                raise CompileError(unwritable(folder, error)) from None

    def errors(
        self,
        scheme: Scheme,
        layer: Layer,
        ranks: Sequence[Ranks],
        given: Sequence[object],
        compute: Callable[[], Sequence[float]],
    ) -> tuple[float, ...]:
        """Return the errors of a scheme at some ranks, for the tensors and statistics given."""
        path = self._path("errors", scheme, layer, tuple(ranks), *given)
        found = None if path is None else self._read(path, {"errors": (len(ranks),)})
        if found is not None:
            return tuple(map(float, found["errors"]))
        errors = tuple(compute())
        self._write(path, {"errors": np.asarray(errors)})
        return errors

    def decomposition(
        self,
        scheme: Scheme,
        layer: Layer,
        ranks: Ranks,
        given: Sequence[object],
        compute: Callable[[], Decomposition],
    ) -> Decomposition:
        """Return a layer's decomposition, for the tensors and statistics given."""
        path = self._path("tensors", scheme, layer, ranks, *given)
        if path is None:
            return compute()
        factors = scheme.factors(layer, ranks)
        shapes = _shapes(factors, layer)
        found = self._read(path, {**shapes, "errors": (len(_ERRORS),)})
        if found is not None:
            known = [None if np.isnan(e) else float(e) for e in found["errors"]]
            tensors: list[dict[str, Array]] = [{} for _ in factors]
            for name in shapes:
                at, role = name.split(".")
                tensors[int(at)][role] = found[name]
            assert known[0] is not None
            return Decomposition(
                factors=factors,
                tensors=tuple(tensors),
                ranks=ranks,
                error=known[0],
                output_error=known[1],
                rectified_error=known[2],
            )
        made = compute()
        arrays = {
            f"{at}.{role}": array
            for at, own in enumerate(made.tensors)
            for role, array in own.items()
        }
        errors = [getattr(made, name) for name in _ERRORS]
        arrays["errors"] = np.asarray([np.nan if e is None else e for e in errors])
        self._write(path, arrays)
        return made

    def _path(self, *parts: object) -> Path | None:
        if self._folder is None:
            return None
        digest = hashlib.sha256(__version__.encode())
        for part in parts:
            _add(digest, part)
        return self._folder / f"{digest.hexdigest()[:40]}.npz"

    def _read(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array] | None:
        with suppress(OSError, WeightsFormatError, zipfile.BadZipFile, CompileError):
            if not path.is_file():
                return None
            found = {t.name: np.asarray(t.read(), np.float64) for t in npz.scan(path)}
            name = found.pop(_NAME, None)
            mine = name is not None and np.array_equal(name, _name_of(path))
            if mine and {n: a.shape for n, a in found.items()} == dict(shapes):
                self.reused += path.name in self._before
                return found
        return None

    def _write(self, path: Path | None, arrays: Mapping[str, Array]) -> None:
        if path is not None:
            write_file(path, npz.serialize({**arrays, _NAME: _name_of(path)}), force=True)


NONE_KEPT = Kept()


def _shapes(factors: Factors, layer: Layer) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a chain's tensors, each called by its factor's place and its role."""
    places = {factor.name: at for at, factor in enumerate(factors)}
    return {
        f"{places[p.value.name.rpartition('.')[0]]}.{p.spec.role}": p.spec.shape
        for p in chain_graph(factors, layer.input).parameters
    }


def _name_of(path: Path) -> Array:
    return np.frombuffer(path.stem.encode(), np.uint8).astype(np.float64)


def _add(digest: hashlib._Hash, part: object) -> None:
    """Add a value to a digest, so that values that differ in anything differ in it."""
    match part:
        case np.ndarray():
            digest.update(f"[{part.dtype} {part.shape}]".encode())
            digest.update(part.tobytes())
        case Statistics() | Rectifier():
            digest.update(type(part).__name__.encode())
            for f in fields(part):
                _add(digest, getattr(part, f.name))
        case _:
            digest.update(f"<{part!r}>".encode())
