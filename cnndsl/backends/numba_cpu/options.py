"""What the user may decide about the generated module, beyond the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

WINOGRAD = ("auto", "off", "f2", "f4")
"""Where convolutions may be done by Winograd's method: where the cost model finds it cheaper,
nowhere, or wherever F(2x2, 3x3) or F(4x4, 3x3) can be used."""

STRASSEN = ("auto", "off", "on")
"""Where 1x1 convolutions are done by Strassen's method: where the cost model finds it cheaper, on
processors where that was measured, nowhere, or wherever it can be used."""

FUSE = ("auto", "off", "on")
"""Where pairs of convolutions are done in bands, what lies between them in a thread's cache alone:
where the cost model finds it faster, nowhere, or wherever it can be."""

ALGORITHMS = ("direct", "f2", "f4", "strassen")
"""How one convolution may be done: as defined, by F(2x2, 3x3), F(4x4, 3x3) and their like, or by
Strassen's method."""


@dataclass(frozen=True, slots=True)
class Options:
    """How convolutions are done: `algorithms` names some layers' by label, before the other ones.

    `fuse` says which of those that are done directly share a step.

    `tuning_sha256` is that of the file the algorithms come from.
    """

    winograd: str = "auto"
    strassen: str = "auto"
    fuse: str = "auto"
    algorithms: Mapping[str, str] = field(default_factory=dict)
    tuning_sha256: str | None = None


DEFAULTS = Options()
