"""The source text of a graph: lowered to a program's parts, re-rolled, printed, and checked."""
