"""From exceptions to exit codes: 0 ok, 1 the program is wrong, 2 usage, 70 a fault of ours."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import traceback
from collections.abc import Sequence

import click

from cnndsl import __version__
from cnndsl.cli.report import Report
from cnndsl.diagnostics import CompileError

OK = 0
WRONG_PROGRAM = 1
USAGE = 2
CLOSED_PIPE = 1
INTERNAL = 70
INTERRUPTED = 130


def guarded(command: click.Command, arguments: Sequence[str]) -> int:
    """Run a command and return the exit code; whatever goes wrong is said on stderr."""
    report = Report()
    try:
        code = command.main(list(arguments), "cnndsl", standalone_mode=False, obj=report)
        sys.stdout.flush()
        return code if isinstance(code, int) else OK
    except CompileError as error:
        report.errors(error.diagnostics)
        return WRONG_PROGRAM
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (BrokenPipeError, SystemExit):
        # The reader of our output went away (`cnndsl ops | head`), which click and rich turn into
        # an exit of their own: nothing is left to be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except Exception as error:
        click.echo(crash_report(error, arguments), err=True)
        return INTERNAL


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
