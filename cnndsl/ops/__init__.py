"""The ops: one file per family; importing this package fills the registry."""

from cnndsl.ops import (  # noqa: F401
    activation,
    conv,
    coupled,
    dense,
    elementwise,
    embedding,
    folding,
    fused,
    local,
    norm,
    pool,
    rearrange,
    resample,
    shape,
    slicing,
    transposed,
)
from cnndsl.ops.base import Op, OpError, ParameterSpec
from cnndsl.ops.registry import all_ops, arguments, keywords, op_by_keyword, op_by_name

__all__ = [
    "Op",
    "OpError",
    "ParameterSpec",
    "all_ops",
    "arguments",
    "keywords",
    "op_by_keyword",
    "op_by_name",
]
