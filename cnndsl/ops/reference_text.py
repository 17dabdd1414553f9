"""Write the reference of the ops as Markdown, from their declarations."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.ops.describe import OpDoc, describe_all


def reference_markdown(heading_level: int = 3) -> str:
    """Return one section per op of the language, by keyword, each with a runnable example."""
    return "\n".join(_section(doc, heading_level) for doc in describe_all())


def _section(doc: OpDoc, level: int) -> str:
    parts = [f"{'#' * level} {doc.keyword}", f"`{doc.signature}`", doc.summary]
    if doc.details:
        parts.append(doc.details)
    if doc.arguments:
        rows = [(a.name, a.type, a.default, a.meaning) for a in doc.arguments]
        parts.append(_table(("argument", "type", "default", "meaning"), rows))
    parts.append(
        f"MACs per sample: {doc.macs_rule}. Other operations: {doc.other_operations_rule}."
    )
    parts.append(f"```cnn\n{doc.example.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
