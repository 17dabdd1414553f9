"""How wide text is, how large numbers are shortened, and names made fit to be shown."""

from __future__ import annotations

_WIDTHS = {
    "'": 31,
    "ijl": 34,
    " /IJ\\|": 37,
    ",.·:;": 40,
    "-": 42,
    "f!()[]": 46,
    "tr_`–": 50,
    '"*?zcs': 60,
    "vxyLk": 66,
    "aEFTeo": 69,
    "$0123456789hnu{}": 71,
    "SYbdgpqCPZ": 73,
    "ABKRVX": 77,
    "UGDHNOQ#+<=>^~×→−": 85,
    "&w": 92,
    "%@M…mW½": 110,
}
"""Hundredths of an em, of bold letters in DejaVu Sans, the widest of the usual fonts."""

_WIDTH = {letter: width for letters, width in _WIDTHS.items() for letter in letters}
_OTHER = 110
_REGULAR = 0.92
"""Regular letters are at least this much narrower than bold ones."""


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return a width in px that the text does not exceed in the usual sans-serif fonts."""
    hundredths = sum(_WIDTH.get(letter, _OTHER) for letter in text)
    return hundredths / 100 * size * (1.0 if bold else _REGULAR)


def shortened(text: str, most: int) -> str:
    """Return a text of at most `most` characters, its end replaced by an ellipsis."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def quantity(number: int) -> str:
    """Return a count with three significant digits and a prefix: 1_814_073_344 is 1.81 G."""
    if number < 1000:
        return str(number)
    value, prefixes = float(number), iter("kMGTPEZYRQ")
    prefix = ""
    while value >= 999.5:
        value, prefix = value / 1000, next(prefixes, "")
        if not prefix:
            return f"{number:.2e}"
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f} {prefix}"


def percent(share: float) -> str:
    """Return a share of the whole: 0.123 is 12 %, 0.0123 is 1.2 %."""
    value = 100 * share
    if value == 0:
        return "0 %"
    if value < 0.05:
        return "< 0.1 %"
    return f"{value:.1f} %" if value < 9.95 else f"{value:.0f} %"
