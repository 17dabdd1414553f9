"""What a tensor is: extents (integers or formulas in symbols), dtypes, padding."""

from cnndsl.types.extents import Dim, Extent, evaluate_extent, symbols_of
from cnndsl.types.tensor import DType, TensorType

__all__ = ["DType", "Dim", "Extent", "TensorType", "evaluate_extent", "symbols_of"]
