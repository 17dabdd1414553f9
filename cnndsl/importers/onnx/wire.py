"""Look at the bytes of a protobuf message before it is parsed: how many fields it holds.

A parsed message takes some hundred bytes for each field, whatever its length; a file of empty
messages would so fill the memory with a hundred times its size.
"""

from __future__ import annotations

from typing import Any

MAX_FIELDS = 3_000_000
"""Fields of all messages in a file: some 20 for a node, so 150 thousand nodes."""

MAX_DEPTH = 60
"""Depth of messages within each other; protobuf itself refuses 100."""


class WireError(Exception):
    """Bytes are not a message, or one that is too large to parse."""


def check_fields(data: bytes, descriptor: Any) -> None:
    """Walk through a message of a type, tensors' contents left out; raises WireError."""
    view = memoryview(data)
    tables: dict[str, dict[int, Any]] = {}
    fields = 0
    pending: list[tuple[int, int, Any, int]] = [(0, len(data), descriptor, 0)]
    while pending:
        at, end, kind, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise WireError(f"its messages nest more than {MAX_DEPTH} deep")
        nested = tables.get(kind.full_name)
        if nested is None:
            nested = {f.number: f.message_type for f in kind.fields if f.message_type is not None}
            tables[kind.full_name] = nested
        while at < end:
            fields += 1
            if fields > MAX_FIELDS:
                raise WireError(f"it holds more than {MAX_FIELDS:_} fields")
            tag, at = _varint(view, at, end)
            number, wire = tag >> 3, tag & 7
            if wire == 0:
                _, at = _varint(view, at, end)
            elif wire == 1:
                at += 8
            elif wire == 5:
                at += 4
            elif wire == 2:
                length, at = _varint(view, at, end)
                inner = nested.get(number)
                if length > end - at:
                    raise WireError(f"a field claims {length:_} bytes, and {end - at:_} follow")
                if inner is not None:
                    pending.append((at, at + length, inner, depth + 1))
                at += length
            else:
                raise WireError(f"a field has the wire type {wire}, which ONNX does not use")
            if at > end:
                raise WireError("it ends within a field")


def _varint(view: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise WireError("a number takes more than ten bytes")
    raise WireError("it ends within a number")
