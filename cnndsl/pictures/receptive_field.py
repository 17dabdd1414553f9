"""Draw receptive fields with Matplotlib: on the image, over time, or on three planes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.pictures.fields import FieldPicture
from cnndsl.pictures.mark import mark, svg_mark

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
"""What a picture may be written as."""

_DPI = 150

_SETTINGS: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",  # ships with Matplotlib
    "font.size": 9,
    "axes.titlesize": 10,
    "svg.hashsalt": "cnndsl",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "path.simplify": False,
}


def require_matplotlib() -> None:
    """Raise CompileError (CNN804) if Matplotlib is missing; call it before long work."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise CompileError(
            Diagnostic(
                code="CNN804",
                message="drawing receptive fields needs Matplotlib",
                help="pip install 'cnndsl[plot]'",
            )
        ) from None


def render(picture: FieldPicture, suffix: str, source_name: str) -> bytes:
    """Return a picture as PNG, SVG or PDF, as the suffix says (one of SUFFIXES).

    Equal pictures give equal bytes with one version of Matplotlib. Raises CompileError (CNN804)
    if that is missing.
    """
    if suffix not in SUFFIXES:
        raise ValueError(f"{suffix} is none of {', '.join(SUFFIXES)}")
    require_matplotlib()
    import matplotlib.style

    with warnings.catch_warnings():
        # The user's own settings must not change a picture; going back to the default ones warns.
        warnings.simplefilter("ignore")
        style = matplotlib.style.context(["default", dict(_SETTINGS)])
        with style:
            return _saved(_figure(picture), suffix, source_name)


def _figure(picture: FieldPicture) -> Figure:
    if len(picture.input_px) == 1:
        from cnndsl.pictures.strips import strips

        return strips(picture)
    from cnndsl.pictures.planes import planes

    return planes(picture)


def _saved(figure: Figure, suffix: str, source_name: str) -> bytes:
    said = mark(source_name)
    metadata: dict[str, dict[str, str | None]] = {
        ".png": {"Software": said},
        ".svg": {"Date": None, "Creator": said},
        ".pdf": {"CreationDate": None, "Creator": said, "Producer": None},
    }
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix[1:], dpi=_DPI, metadata=metadata[suffix])
    content = buffer.getvalue()
    if suffix == ".svg":
        comment = svg_mark(source_name).encode("utf-8") + b"\n"
        content = content.replace(b"<svg", comment + b"<svg", 1)
    return content
