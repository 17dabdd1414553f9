"""How wide text is, how large numbers are shortened, and names made fit to be shown."""

from __future__ import annotations

_REGULAR = {
    30: "'IJijl",
    34: " ,./:;\\|·",
    37: "-f",
    42: "!()[]rt",
    46: '"',
    50: "*_`–",
    55: "?csz",
    58: "FLk",
    62: "PTYaeovxy",
    66: "$0123456789EKSbdghnpqu{}σ",
    70: "ABCRVXZ",
    76: "HNU",
    79: "&DGOQ",
    84: "#+<=>^w~×→−",
    87: "M",
    97: "%½",
    100: "@Wm…",
}
_BOLD = {
    31: "'",
    35: " ijl",
    38: ",./IJ\\|·",
    42: "-:;",
    46: "!()[]f",
    50: "_`rt–",
    53: '"*',
    60: "?csz",
    64: "L",
    67: "kvxy",
    70: "$0123456789EFTaeo",
    74: "CPSYZbdghnpqu{}",
    78: "ABKRVXσ",
    84: "#+<=>DGHNU^~×→−",
    88: "&OQ",
    93: "w",
    101: "%@M…",
    105: "m½",
    111: "W",
}
"""Letters by width, in hundredths of an em, of DejaVu Sans: the widest of the usual fonts."""

_WIDTH = {
    bold: {letter: width for width, letters in table.items() for letter in letters}
    for bold, table in ((False, _REGULAR), (True, _BOLD))
}
_OTHER = 110


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return a width in px that the text does not exceed in the usual sans-serif fonts."""
    widths = _WIDTH[bold]
    return sum(widths.get(letter, _OTHER) for letter in text) / 100 * size


def shortened(text: str, most: int) -> str:
    """Return a text of at most `most` characters, its end replaced by an ellipsis."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def shortened_label(label: str, most: int) -> str:
    """Return a layer's path without the outermost blocks that would make it longer than `most`."""
    if len(label) <= most:
        return label
    parts = label.split(".")
    while len(parts) > 1 and len(".".join(parts)) > most - 1:
        del parts[0]
    return shortened("…" + ".".join(parts), most)


def printable(text: str) -> str:
    """Return text without characters that no picture could show or hold: what files are called."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


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
