"""The page about training: its commands print what it shows, in the order of the page.

`CNNDSL_UPDATE_GOLDEN=1 pytest tests/docs/test_train_in_pytorch.py` writes the outputs anew.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from docs.test_documents import ROOT, blocks

PAGE = ROOT / "docs" / "train_in_pytorch.md"
TEXT = PAGE.read_text(encoding="utf-8")
SESSION = re.compile(r"```(console|python)\n((?:\$|>>>) .*?)```", re.DOTALL)
STEP = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def files() -> dict[str, str]:
    """Return the files that the page shows, by name."""
    (program,) = blocks(TEXT, "cnn")
    (names,) = blocks(TEXT, "text")
    scripts = [b for b in blocks(TEXT, "python") if "save_file(" in b]
    return {
        "small.cnn": program,
        "train.py": scripts[0],
        "begin.py": scripts[1],
        "wrapped.map": names,
    }


def run(command: str, folder: Path) -> str:
    name, *arguments = shlex.split(command)
    start = {"cnndsl": [sys.executable, "-m", "cnndsl"], "python": [sys.executable]}[name]
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [*start, *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(p for p in paths if p),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "OMP_NUM_THREADS": "1",  # threads of tests beside each other wait for one another
        },
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (done.stdout + done.stderr).splitlines()
    return "".join(line.rstrip() + "\n" for line in lines if line.strip())


def shipped(session: str, folder: Path) -> str:
    """Run the lines of a Python session, which load neither cnndsl nor PyTorch."""
    *lines, last = re.findall(r"^>>> (.*)$", session, re.MULTILINE)
    lines += [f"print({last})", "import sys", 'assert not {"cnndsl", "torch"} & {*sys.modules}']
    (folder / "session.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return run("python session.py", folder)


def steady(text: str) -> list[str]:
    """Return lines without what another machine, or a change of the code, prints differently."""
    varies = r"\d+ of 449|[\d,]+ bytes|(?<=  )\d+(\.\d+)?(e[+-]\d+)?(?= |$)|─+| +"
    return [re.sub(varies, " ", line).strip() for line in text.splitlines()]


def test_the_page_is_true_from_program_to_answers(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
    for name, text in files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    shown: list[tuple[str, str]] = []
    printed: list[tuple[str, str]] = []
    text = TEXT
    for kind, session in SESSION.findall(TEXT):
        if kind == "python":
            last = session.rstrip().splitlines()[-1] + "\n"
            shown.append(("session", last))
            printed.append(("session", shipped(session, tmp_path)))
            text = text.replace(session, session.removesuffix(last) + printed[-1][1])
            continue
        steps = STEP.findall(session)
        found = [(command, run(command, tmp_path)) for command, _ in steps]
        shown += steps
        printed += found
        text = text.replace(session, "".join(f"$ {c}\n{out}" for c, out in found))
    if os.environ.get("CNNDSL_UPDATE_GOLDEN"):
        PAGE.write_text(text, encoding="utf-8")
        return
    assert len(shown) == 9
    for (command, expected), (_, out) in zip(shown, printed):
        if command != "session":
            assert steady(out) == steady(expected), command

    # What was shipped is right where PyTorch was, on the page and here.
    for told in (shown, printed):
        outputs = dict(told)
        (right,) = re.findall(r"^(\d+) of 449 ", outputs["python train.py"])
        assert int(right) == int(outputs["session"])
        assert int(right) >= 0.93 * 449

    module = (tmp_path / "small_torch.py").read_text(encoding="utf-8")
    (excerpt,) = [b for b in blocks(TEXT, "python") if b.startswith("class ")]
    assert excerpt in module
    assert not re.search(r"^\s*(import|from) cnndsl", module, re.MULTILINE)
