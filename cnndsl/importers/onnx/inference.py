"""The types of a model's tensors as ONNX infers them, so that an import can go on after a refusal.

They are asked for in a process of its own: a model that breaks the rules can make ONNX's inference,
which is not written in Python, end the process that it runs in.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from google.protobuf.message import DecodeError
from onnx import ModelProto

from cnndsl.diagnostics import Diagnostics
from cnndsl.importers.onnx.model import Declared
from cnndsl.importers.onnx.read import declared_type

_LARGEST = 1 << 28
"""Bytes of a model that is worth the question."""

_SECONDS = 20

_CODE = """
import sys
from onnx import ModelProto, shape_inference
model = ModelProto.FromString(sys.stdin.buffer.read())
found = shape_inference.infer_shapes(model).graph.value_info
model = ModelProto()
model.graph.value_info.extend(found)
sys.stdout.buffer.write(model.SerializeToString())
"""


def inferred_types(proto: ModelProto, file_bytes: int) -> Mapping[str, Declared]:
    """Return the types that ONNX infers; none if it cannot."""
    if file_bytes > _LARGEST:
        return {}
    # -P: what lies in the current folder, beside an unknown model, is not to be imported.
    command = [sys.executable, "-P", "-c", _CODE]
    try:
        done = subprocess.run(
            command,
            input=proto.SerializeToString(),
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
        inferred = ModelProto.FromString(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError, DecodeError):
        return {}
    found = Diagnostics()
    return {i.name: declared_type(i.type, i.name, found) for i in inferred.graph.value_info}
