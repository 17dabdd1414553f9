"""What a person sees: tables that fit the terminal, colours and progress only there."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from cnndsl.cli.report import bar

pty = pytest.importorskip("pty")
EXAMPLES = Path(__file__).parents[2] / "examples"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(columns: int, *arguments: str, **environment: str) -> str:
    """Run the command on a terminal of so many columns; return all that it showed."""
    import fcntl
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "cnndsl", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**kept, "TERM": "xterm-256color", **environment},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # how Linux tells that the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    process.wait(timeout=60)
    return shown.decode().replace("\r\n", "\n")


def piped(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cnndsl", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("columns", [40, 80, 120, 200])
def test_summary_never_cuts_a_number(columns: int) -> None:
    file = str(EXAMPLES / "resnet50.cnn")
    layers = json.loads(piped("summary", file, "--json").stdout)["layers"]
    text = ESCAPES.sub("", on_terminal(columns, "summary", file))
    # At 40 columns the numbers alone are wider; from 80 on, nothing is.
    rows = text.split("(not shown")[0].split("FLOPs")[0].splitlines()[:-1]
    assert all(len(line.rstrip()) <= max(columns, 74) for line in rows)
    for layer in layers:
        if layer["macs"]:
            assert f"  {layer['params']:,}  " in text
            assert f" {layer['macs']:,} " in text
    assert (" jump " in text.split("total")[0]) == (columns >= 120)
    assert ("(not shown at this width: result bytes" in text) == (columns < 200)
    if columns >= 80:
        assert " resnet_features.conv7x7 " in text
        assert "\n       bn_2 " in text


def test_a_pipe_gets_everything_on_one_line() -> None:
    done = piped("summary", str(EXAMPLES / "resnet50.cnn"))
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    (row,) = [line for line in done.stdout.splitlines() if "stage_4.bottleneck_3.conv3x3 " in line]
    assert row.split()[0] == "resnet_features.residual_stage_4.bottleneck_3.conv3x3"
    expected = "[N, 512, 7, 7] 2,359,296 115,605,504 2.8 427 32 100,352"
    assert " ".join(row.split()[1:]) == expected


def test_errors_are_coloured_on_terminals_only() -> None:
    assert "\x1b[" in on_terminal(80, "check", "none.cnn")
    assert "\x1b[" not in on_terminal(80, "check", "none.cnn", NO_COLOR="1")
    assert "\x1b[" not in piped("check", "none.cnn").stderr


def test_progress_is_drawn_where_a_step_says_how_far_it_is() -> None:
    assert bar("layer 3 of 12: conv") == "  " + 5 * "━" + 15 * "─"
    assert bar("run 9 of 9") == "  " + 20 * "━"
    assert bar("compiling") == bar("step 1 of 0") == ""
