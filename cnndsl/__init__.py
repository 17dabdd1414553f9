"""cnndsl: a compiler for convolutional networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnndsl.driver.optimizing.api import optimize

__version__ = "0.1.0"
__all__ = ["__version__", "optimize"]


def __getattr__(name: str) -> Any:
    """Import what is for programs when it is asked for: the commands start without it."""
    if name == "optimize":
        from cnndsl.driver.optimizing.api import optimize

        return optimize
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
