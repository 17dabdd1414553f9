"""The comment at the head of every generated text file: what made it, and from what."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cnndsl.files import PYTHON_MARK

_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]")


@dataclass(frozen=True, slots=True)
class Header:
    """Where a generated file came from: no time and no path, so equal inputs give equal bytes.

    `source_name` is the source file's own name, without folders; the hashes are hexadecimal
    SHA-256. Of the weights it has the seed if they are random, the hash of their file otherwise,
    and neither when the file was made without them; `tuning_sha256` is None when none was used.
    """

    version: str
    source_name: str
    source_sha256: str
    weights_sha256: str | None
    passes: tuple[str, ...]
    tuning_sha256: str | None = None
    seed: int | None = None

    def comment(self) -> str:
        """Return the header as Python comment lines, each ended by a line break.

        Whatever a file is called, nothing of its name can leave the comment.
        """
        lines = [
            f"{PYTHON_MARK}{_plain(self.version)} from {_plain(self.source_name)}; do not edit."
        ]
        lines.append(f"# source sha256: {_plain(self.source_sha256)}")
        if self.seed is not None:
            lines.append(f"# weights: random, seed {self.seed}")
        elif self.weights_sha256 is not None:
            lines.append(f"# weights sha256: {_plain(self.weights_sha256)}")
        lines.append(f"# passes: {', '.join(_plain(p) for p in self.passes) or 'none'}")
        if self.tuning_sha256 is not None:
            lines.append(f"# tuning sha256: {_plain(self.tuning_sha256)}")
        return "".join(line + "\n" for line in lines)


def _plain(text: str) -> str:
    return _UNSAFE.sub("_", text[:200])
