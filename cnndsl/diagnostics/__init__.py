"""What is said to the user: spans, coded diagnostics, their rendering."""

from cnndsl.diagnostics.model import (
    CompileError,
    Diagnostic,
    Diagnostics,
    Related,
    Severity,
    Source,
    Span,
    Table,
)

__all__ = [
    "CompileError",
    "Diagnostic",
    "Diagnostics",
    "Related",
    "Severity",
    "Source",
    "Span",
    "Table",
]
