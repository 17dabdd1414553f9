"""For every op, the rule that turns a node into a call; one file per kind of layer."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.backends.numba.call import Rule
from cnndsl.backends.numba.rules import arrange, pointwise, windows
from cnndsl.ops.base import Op

RULES: Mapping[type[Op], Rule] = {**windows.RULES, **pointwise.RULES, **arrange.RULES}
