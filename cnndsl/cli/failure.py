"""From exceptions to exit codes: 0 ok, 1 the program is wrong, 2 usage, 70 a fault of ours."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

import click

from cnndsl import __version__
from cnndsl.cli.report import Report
from cnndsl.diagnostics import CompileError
from cnndsl.files import unwritable

OK = 0
WRONG_PROGRAM = 1
USAGE = 2
CLOSED_PIPE = 1
INTERNAL = 70
INTERRUPTED = 130


def guarded(command: click.Command, arguments: Sequence[str]) -> int:
    """Run a command and return the exit code; whatever goes wrong is said on stderr.

    With --json a result that is JSON goes to stdout, whatever goes wrong.
    """
    report = Report(as_json="--json" in takewhile(lambda a: a != "--", arguments))
    try:
        code = _run(command, arguments, report)
        sys.stdout.flush()
        return code
    except (BrokenPipeError, SystemExit):
        # The reader of our output went away (`cnndsl ops | head`), which click and rich turn into
        # an exit of their own: nothing is left to be said.
        _drop_output()
        return CLOSED_PIPE
    except OSError as error:
        # Files are guarded where they are used; what is left is our output, or a temporary folder.
        _drop_output()
        what = error.filename if isinstance(error.filename, str) else "the output"
        report.as_json = False
        report.errors([unwritable(Path(what), error)])
        return WRONG_PROGRAM


def _run(command: click.Command, arguments: Sequence[str], report: Report) -> int:
    try:
        code = command.main(list(arguments), "cnndsl", standalone_mode=False, obj=report)
        return code if isinstance(code, int) else OK
    except CompileError as error:
        report.errors(error.diagnostics, error.table)
        return WRONG_PROGRAM
    except MemoryError:
        from cnndsl.driver.memory import out_of_memory

        report.errors([out_of_memory()])
        return WRONG_PROGRAM
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        report.fault("interrupted")
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        report.fault(error.format_message())
        return error.exit_code
    except OSError:
        raise
    except Exception as error:
        click.echo(crash_report(error, arguments), err=True)
        report.fault(f"a fault of cnndsl: {type(error).__name__}")
        return INTERNAL


def _drop_output() -> None:
    """Send what is still buffered for stdout nowhere, so that Python's exit does not fail on it."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def crash_report(error: Exception, arguments: Sequence[str]) -> str:
    """Return what a report of the fault needs."""
    trace = traceback.format_exception(error)
    # A runaway recursion repeats itself: its two ends tell what there is to tell.
    lines = "".join(trace).splitlines()
    if len(lines) > 80:
        lines = [*lines[:30], f"... {len(lines) - 60} lines left out ...", *lines[-30:]]
    return "\n".join(
        [
            "cnndsl failed: this is a fault of cnndsl, not of your program. Please report:",
            f"  cnndsl {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"  command: cnndsl {shlex.join(arguments)}",
            *(f"  {line}" for line in lines),
        ]
    )
