"""What the user may decide about the generated module, beyond the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

WINOGRAD = ("auto", "off", "f2", "f4")
"""Where convolutions may be done by Winograd's method: where the cost model finds it cheaper,
nowhere, or wherever F(2x2, 3x3) or F(4x4, 3x3) can be used."""


@dataclass(frozen=True, slots=True)
class Options:
    """How convolutions are done: `algorithms` names some layers' by label, before `winograd`."""

    winograd: str = "auto"
    algorithms: Mapping[str, str] = field(default_factory=dict)


DEFAULTS = Options()
