"""The .weights format: a header, then float32 numbers, layer after layer as the .cfg lists them.

The header is major, minor and revision as int32, and how many pictures were seen in training:
64 bits from version 0.2 on, 32 bits before. Nothing in it says what follows, so the network must be
known, and the file must hold exactly its numbers. Files from before versions were written begin
with a learning rate, which reads as a huge version; their dense matrices are transposed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.files import require_plain, unreadable
from cnndsl.importers.darknet.state import Piece
from cnndsl.ops.base import Array

_SHORT, _LONG = 16, 20
"""Bytes of a header that counts pictures in 32 bits, or in 64."""

_LEGACY = 1_000
"""A version above this is a learning rate."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What follows the header. `is_legacy` says that dense matrices are transposed."""

    values: Array
    is_legacy: bool


def read_weights(path: Path, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Array]]:
    """Yield each piece with its numbers; raises CompileError if they are not the file's."""
    numbers = _read(path, pieces)
    start = 0
    for piece in pieces:
        count = prod(piece.shape)
        array = numbers.values[start : start + count]
        start += count
        if piece.role == "running_var" and not (array >= 0).all():
            raise _refused(
                f"{path}: a variance of {_where(piece)} is negative or not a number",
                "the weights may belong to another .cfg file",
            )
        if piece.legacy_shape is not None and numbers.is_legacy:
            yield piece, array.reshape(piece.legacy_shape).T
        else:
            shaped = array.reshape(piece.shape)
            yield piece, shaped if piece.order is None else shaped.transpose(piece.order)


def _read(path: Path, pieces: Sequence[Piece]) -> Numbers:
    wanted = sum(prod(piece.shape) for piece in pieces)
    require_plain(path)
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            header = file.read(_LONG)
            if size < _SHORT:
                raise _refused(f"{path} has {size} bytes; a header alone has {_SHORT}", None)
            version = np.frombuffer(header, "<i4", 3)
            is_legacy = bool((version[:2] > _LEGACY).any())
            length = _header_bytes(version, is_legacy, size, wanted)
            _check_size(path, size - length, wanted, pieces)
            file.seek(length)
            data = file.read(4 * wanted)
    except OSError as error:
        raise CompileError(unreadable(path, error)) from None
    if len(data) != 4 * wanted:
        raise _refused(f"{path} became shorter while it was read", None)
    return Numbers(np.frombuffer(data, "<f4").astype(np.float32, copy=False), is_legacy)


def _header_bytes(version: Array, is_legacy: bool, size: int, wanted: int) -> int:
    if is_legacy:
        # Forks of Darknet write 64 bits there, too; the size tells.
        return _LONG if size - _LONG == 4 * wanted else _SHORT
    major, minor = int(version[0]), int(version[1])
    return _LONG if major * 10 + minor >= 2 else _SHORT


def _check_size(path: Path, size: int, wanted: int, pieces: Sequence[Piece]) -> None:
    if size == 4 * wanted:
        return
    found = size // 4
    if size > 4 * wanted:
        text = f"{path} holds {found:_} numbers, and the network has only {wanted:_}"
        raise _refused(text, "the weights belong to another .cfg file")
    end = next(piece for piece, total in _ends(pieces) if 4 * total > size)
    raise _refused(
        f"{path} holds {max(found, 0):_} numbers, and the network has {wanted:_}: "
        f"it ends within {_where(end)}",
        "the file may be truncated, hold a part of the layers, or belong to another .cfg file",
    )


def _ends(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, int]]:
    total = 0
    for piece in pieces:
        total += prod(piece.shape)
        yield piece, total


def _where(piece: Piece) -> str:
    section = piece.section
    return f"[{section.name}], layer {section.index} (line {section.span.line} of the .cfg file)"


def _refused(message: str, help: str | None) -> CompileError:
    return CompileError(Diagnostic(code="CNN601", message=message, help=help))


def by_parameter(
    pieces: Iterator[tuple[Piece, Array]],
    labels: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, Array]:
    """Return arrays by the names of the parameters they are.

    `labels` are those of the layers, by the values they make; `shapes` are by parameter.
    """
    found: dict[str, Array] = {}
    for piece, array in pieces:
        name = f"{labels[piece.value]}.{piece.role}"
        found[name] = np.ascontiguousarray(array).reshape(shapes[name])
    return found
