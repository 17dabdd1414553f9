"""The limits that keep a program, and what it expands to, bounded."""

from __future__ import annotations

from typing import Final

MAX_SOURCE_BYTES: Final = 1 << 20
"""Size of one source file in bytes of UTF-8."""

MAX_TOKENS: Final = 50_000
"""Tokens (words, numbers, operators, brackets) in one source file."""

MAX_NESTING: Final = 100
"""Depth of brackets, and of an expression's operators within each other."""

MAX_BLOCK_NESTING: Final = 50
"""Depth of blocks that use blocks."""

MAX_NODES: Final = 20_000
"""Nodes of the graph a program expands to; the deepest published networks have some 4_000."""

MAX_STEPS: Final = 200_000
"""Steps of work while a program is expanded: about a second, and 15 for each layer made."""

MAX_LIST_LENGTH: Final = 100_000
"""Items in a list made while a program is expanded."""

MAX_INTEGER: Final = 2**63 - 1
"""The largest magnitude of a whole number."""

MAX_EXTENT: Final = 2**31 - 1
"""The largest extent of a tensor's axis."""

MAX_ELEMENTS: Final = 2**40 - 1
"""The largest number of elements of a tensor whose extents are known."""

MAX_EVALUATION_DEPTH: Final = 1_000
"""Depth of expressions, blocks and layers within each other while they are expanded."""

MAX_IMPORT_NESTING: Final = 50
"""Length of a chain of files that import each other."""

MAX_FORMULA_TERMS: Final = 200
"""Terms of a formula in symbols, those inside its divisions counted too."""

MAX_FORMULA_DEGREE: Final = 16
"""Factors in one term of a formula in symbols."""
