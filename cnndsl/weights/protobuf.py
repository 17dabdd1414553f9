"""Protobuf's wire format: a message is fields one after another, each a tag and a value.

Read here where a message is searched for a few fields: nothing is copied or made of the rest, so
that memory does not grow with what a hostile file holds. Format: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from cnndsl.weights.errors import WeightsFormatError

Buffer: TypeAlias = memoryview

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

_MAX_FIELDS = 2_000_000


@dataclass(slots=True)
class Reader:
    """Walks through messages; a file may hold so many fields and no more."""

    left: int = _MAX_FIELDS

    def fields(self, message: Buffer) -> Iterator[tuple[int, int, int | Buffer]]:
        """Yield number, wire type and value of every field: a whole number, or a view of bytes.

        Raises WeightsFormatError.
        """
        place, end = 0, len(message)
        while place < end:
            self.left -= 1
            if self.left < 0:
                raise WeightsFormatError(f"it holds more than {_MAX_FIELDS:_} fields")
            tag, place = varint(message, place)
            number, wire = tag >> 3, tag & 7
            if wire == VARINT:
                value, place = varint(message, place)
                yield number, wire, value
                continue
            if wire == BYTES:
                size, place = varint(message, place)
            elif wire in (FIXED64, FIXED32):
                size = 8 if wire == FIXED64 else 4
            else:
                raise WeightsFormatError(f"it is no protobuf: a field has the wire type {wire}")
            if size > end - place:
                raise WeightsFormatError(
                    f"it is truncated or no protobuf: a field claims {size} bytes, "
                    f"and {end - place} are left"
                )
            yield number, wire, message[place : place + size]
            place += size


def varint(message: Buffer, place: int) -> tuple[int, int]:
    """Return the whole number that begins at a place, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise WeightsFormatError("it is truncated or no protobuf: a number has no end")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place
    raise WeightsFormatError("it is no protobuf: a number has more than ten bytes")


def signed(value: int) -> int:
    """Return the int64 that a varint stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value


def text(value: int | Buffer) -> str:
    """Return a string field; raises WeightsFormatError."""
    if isinstance(value, int):
        raise WeightsFormatError("it is no ONNX model: a name is a number")
    if len(value) > 10_000:
        raise WeightsFormatError("a name in it is longer than 10 000 bytes")
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        raise WeightsFormatError("a name in it is not UTF-8") from None
