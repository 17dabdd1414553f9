"""Read a program and everything it imports, and elaborate it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from cnndsl import limits, resources
from cnndsl.diagnostics import CompileError, Diagnostic, Source, Span
from cnndsl.elaborate.elaborate import elaborate
from cnndsl.elaborate.inputs import Setting
from cnndsl.elaborate.network_facts import PlannedMemory
from cnndsl.ir.graph import Graph
from cnndsl.syntax.ast import Program
from cnndsl.syntax.parser import parse
from cnndsl.syntax.text import decode

SUFFIX = ".cnn"
LIBRARY = "std"
"""First part of the path of an import from the library that ships with cnndsl."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network, warnings about its program, and the program's text."""

    graph: Graph
    warnings: tuple[Diagnostic, ...]
    source: Source


def load(path: Path, settings: Mapping[str, Setting] | None = None) -> Loaded:
    """Read, parse and elaborate a program; raises CompileError with all that is wrong."""
    source = read_source(path)
    program = parse(source)
    imports = Imports(path, program)
    elaborated = elaborate(program, settings or {}, imports.load, _plan_memory)
    return Loaded(elaborated.graph, elaborated.warnings, source)


def _plan_memory(graph: Graph) -> PlannedMemory:
    """Return what the numba-cpu module plans for one sample at the usual sizes."""
    # Only a claim about it pays for generating the plan.
    from cnndsl.backends.numba_cpu.plan import planned_memory

    planned = planned_memory(graph)
    return PlannedMemory(planned.arena_bytes, planned.live_bytes)


def read_source(path: Path, name: str | None = None) -> Source:
    """Return the text of a file, shown under `name`; raises CompileError."""
    name = str(path) if name is None else name
    try:
        if path.is_dir():
            raise _unreadable(f"{name} is a folder, not a program")
        if path.exists() and not path.is_file():
            raise _unreadable(f"{name} is not a regular file")
        with path.open("rb") as file:
            # One byte over the limit tells that the file is too large, however large it is.
            data = file.read(limits.MAX_SOURCE_BYTES + 1)
            if len(data) > limits.MAX_SOURCE_BYTES:
                raise CompileError(
                    Diagnostic(
                        code="CNN404",
                        message=f"{name} is larger than {limits.MAX_SOURCE_BYTES:_} bytes",
                        help="split it into files and `import` them",
                    )
                )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _unreadable(f"{name} cannot be read: {reason}") from None
    return decode(name, data)


def _unreadable(message: str) -> CompileError:
    return CompileError(Diagnostic(code="CNN801", message=message))


class Imports:
    """Finds imported files: beside the importing file, or in the library under "std/".

    A program may only import from its own folder (and below) and from the library.
    """

    def __init__(self, main: Path, program: Program) -> None:
        self._folder = main.parent.resolve()
        self._library = resources.library().resolve()
        self._programs: dict[Path, Program] = {main.resolve(): program}
        self._places: dict[Source, tuple[Path, str]] = {
            program.source: (self._folder, str(main.parent))
        }

    def load(self, path: str, span: Span) -> Program:
        """Return the program of an import, one object for each file; raises CompileError."""
        check_import_path(path, span)
        pure = PurePosixPath(path)
        if pure.parts[0] == LIBRARY:
            root, folder, shown = self._library, self._library, ""
        else:
            folder, shown = self._places[span.source]
            root = self._library if folder.is_relative_to(self._library) else self._folder
        try:
            target = (folder / pure).resolve()
            exists = target.is_file()
        except (OSError, RuntimeError) as error:  # a name too long, links in a circle
            reason = getattr(error, "strerror", None) or "its links go in a circle"
            raise _refused(span, f"the file to import cannot be found: {reason}", None) from None
        if not target.is_relative_to(root):
            raise _refused(
                span,
                f'"{path}" lies outside the folder of the program',
                "keep imported files in the program's folder or below it",
            )
        if not exists:
            raise _refused(span, f'there is no file "{path}" to import', _suggest(pure, target))
        if target not in self._programs:
            name = str(pure) if shown in ("", ".") else str(PurePosixPath(shown) / pure)
            source = read_source(target, name)
            program = parse(source)
            self._programs[target] = program
            self._places[source] = (target.parent, str(PurePosixPath(name).parent))
        return self._programs[target]


def check_import_path(path: str, span: Span) -> None:
    """Check that an import names a .cnn file by a relative path; raises CompileError."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or "\\" in path or ":" in path or not pure.parts:
        raise _refused(
            span,
            f'"{path}" is not a relative path',
            'write it from the importing file on, with `/`: import "blocks/stem.cnn"',
        )
    if pure.suffix != SUFFIX:
        raise _refused(
            span, f'"{path}" is not a {SUFFIX} file', f'did you mean "{pure.with_suffix(SUFFIX)}"?'
        )


def _refused(span: Span, message: str, help: str | None) -> CompileError:
    return CompileError(Diagnostic(code="CNN312", message=message, span=span, help=help))


def _suggest(path: PurePosixPath, target: Path) -> str | None:
    """Return the help for a file that is not there: the nearest one that is."""
    try:
        known = sorted(p.name for p in target.parent.glob(f"*{SUFFIX}"))
    except OSError:
        return None
    found = get_close_matches(path.name, known, n=1)
    if found:
        return f'did you mean "{path.with_name(found[0])}"?'
    return f"that folder has {', '.join(known[:10])}" if known else None
