"""What the user may decide about the generated module, beyond the program."""

from __future__ import annotations

from dataclasses import dataclass

WINOGRAD = ("auto", "off", "f2", "f4")
"""Where 3x3 convolutions are done by Winograd's method: where the cost model finds it cheaper,
nowhere, or wherever F(2x2, 3x3) or F(4x4, 3x3) can be used."""

FUSE = ("auto", "off", "on")
"""Where pairs of convolutions share a kernel: where the cost model finds it faster, nowhere, or
wherever they can."""

PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
"""What the factors of a convolution's products are rounded to; sums are always float32."""

LEAST_CAPABILITY = {"fp32": (7, 5), "tf32": (8, 0), "bf16": (8, 0), "fp16": (8, 0)}
"""The oldest devices that can do so, by their compute capability."""


@dataclass(frozen=True, slots=True)
class Options:
    """How convolutions are done."""

    winograd: str = "auto"
    fuse: str = "auto"
    precision: str = "fp32"


DEFAULTS = Options()
