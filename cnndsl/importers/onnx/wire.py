"""Look at the bytes of a protobuf message before it is parsed: how many fields it holds.

A parsed message takes some hundred bytes for each field, whatever its length; a file of empty
messages would so fill the memory with a hundred times its size.
"""

from __future__ import annotations

from typing import Any

MAX_FIELDS = 2_000_000
"""Fields of all messages in a file: some 20 for a node, so a hundred thousand nodes."""

MAX_DEPTH = 60
"""Depth of messages within each other; protobuf itself refuses 100."""


_TEXT = object()
"""Stands for the type of a field that holds text."""


class WireError(Exception):
    """Bytes are not a message, or one that is too large to parse."""


def check_fields(data: bytes, descriptor: Any) -> None:
    """Walk through a message of a type, tensors' contents left out; raises WireError."""
    view = memoryview(data)
    tables: dict[str, dict[int, Any]] = {}

    def nested(kind: Any) -> dict[int, Any]:
        found = tables.get(kind.full_name)
        if found is None:
            found = {f.number: f.message_type for f in kind.fields if f.message_type is not None}
            found |= {f.number: _TEXT for f in kind.fields if f.type == f.TYPE_STRING}
            tables[kind.full_name] = found
        return found

    fields = 0
    at, end, inner = 0, len(data), nested(descriptor)
    outer: list[tuple[int, dict[int, Any]]] = []
    while True:
        while at == end:
            if not outer:
                return
            end, inner = outer.pop()
        fields += 1
        if fields > MAX_FIELDS:
            raise WireError(f"it holds more than {MAX_FIELDS:_} fields")
        tag, at = _varint(view, at, end)
        wire = tag & 7
        if wire == 0:
            _, at = _varint(view, at, end)
        elif wire == 1:
            at += 8
        elif wire == 5:
            at += 4
        elif wire == 2:
            length, at = _varint(view, at, end)
            if length > end - at:
                raise WireError(f"a field claims {length:_} bytes, and {end - at:_} follow")
            kind = inner.get(tag >> 3)
            if kind is None:
                at += length
            elif kind is _TEXT:
                _check_text(view[at : at + length])
                at += length
            else:
                if len(outer) >= MAX_DEPTH:
                    raise WireError(f"its messages nest more than {MAX_DEPTH} deep")
                outer.append((end, inner))
                end, inner = at + length, nested(kind)
        else:
            raise WireError(f"a field has the wire type {wire}, which ONNX does not use")
        if at > end:
            raise WireError("it ends within a field")


def _check_text(content: memoryview) -> None:
    try:
        bytes(content).decode("utf-8")
    except UnicodeDecodeError:
        raise WireError("a name in it is not UTF-8") from None


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
