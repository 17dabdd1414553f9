"""How messages show the name of a tensor."""

from __future__ import annotations


def shown(name: str) -> str:
    """Return a tensor's name as a message may show it: printable and of bounded length."""
    return name if name.isprintable() and len(name) <= 200 else ascii(name[:200])
