"""Exit codes and what goes with them: 1 the program, 2 usage, 70 a fault of ours."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["--nonsense"],
        ["check"],
        ["check", "net.cnn", "--nonsense"],
        ["check", "net.cnn", "--set", "classes"],
        ["check", "net.cnn", "--set", "=3"],
        ["check", "net.cnn", "--set", "classes=three"],
        ["check", "net.cnn", "--set", "classes=3x3"],
        ["check", "net.cnn", "--set", "classes=3", "--set", "classes=4"],
        ["compile", "net.cnn", "--target", "nonsense"],
        ["compile", "net.cnn", "--weights", "w.npz", "--seed", "1"],
        ["compile", "net.cnn", "--seed", "-1"],
        ["compile", "net.cnn", "-o", 'x"); import os'],
        ["compile", "net.cnn", "-o", "class.py"],
        ["compile", "net.cnn", "-o", "numpy.py"],
        ["compile", "net.cnn", "-o", "net.onnx"],
        ["compile", "net.cnn", "--opset", "17"],
        ["compile", "net.cnn", "--explain", "nonsense"],
        ["init", "net.cnn"],
        ["run", "net.cnn"],
        ["run", "net.cnn", "--input", "x.npy", "-o", "y.txt"],
        ["fmt"],
        ["fmt", "net.cnn", "--check", "--stdout"],
    ],
    ids=" ".join,
)
def test_usage(cnndsl: Any, arguments: list[str]) -> None:
    outcome = cnndsl(*arguments)
    assert outcome.code == 2
    assert "Error: " in outcome.err
    assert "Traceback" not in outcome.err
    assert [p.name for p in Path().iterdir()] == ["net.cnn"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check", "none.cnn"], "CNN801"),
        (["check", "."], "CNN801"),
        (["check", "net.cnn", "--set", "clases=3"], "CNN317"),
        (["compile", "net.cnn", "-o", "none/net.py"], "CNN801"),
        (["compile", "net.cnn", "--weights", "none.npz"], "CNN801"),
        (["compile", "net.cnn", "--weights", "net.cnn"], "CNN601"),
        (["init", "net.cnn", "-o", "w.bin"], "CNN601"),
        (["run", "net.cnn", "--input", "none.npy"], "CNN801"),
        (["run", "net.cnn", "--input", "none.png"], "CNN801"),
        (["run", "net.cnn", "--input", "net.cnn"], "CNN803"),
        (["fmt", "none.cnn"], "CNN801"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_user_mistakes(cnndsl: Any, arguments: list[str], code: str) -> None:
    outcome = cnndsl(*arguments)
    assert outcome.code == 1
    assert f"error[{code}]" in outcome.err
    assert "Traceback" not in outcome.err
    assert [p.name for p in Path().iterdir()] == ["net.cnn"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("option", ["--input", "--weights"])
@pytest.mark.parametrize("name", ["pipe.npy", "pipe.npz", "pipe.png"])
def test_a_pipe_is_not_waited_for(cnndsl: Any, option: str, name: str) -> None:
    os.mkfifo(name)
    given = ("--input", "x.npy") if option == "--weights" else ()
    outcome = cnndsl("run", "net.cnn", *given, option, name)
    assert outcome.code == 1
    assert f"cannot read {name}: it is not a plain file" in outcome.err


HOSTILE = {
    "empty": b"",
    "NUL bytes": b"network a\0b\n",
    "not UTF-8": b"network \xff\xfe\n",
    "parentheses": b"network a\ninput x: float32[N]\noutput y = " + b"(" * 10_000_000,
    "few parentheses": b"network a\ninput x: float32[N]\noutput y = " + b"(" * 100_000,
    "brackets": b"[" * 900_000,
    "long power": b"network a\ninput x: float32[N, 3]\noutput y = x -> relu ** 1_000_000_000\n",
    "Python code as a name": b'network x"); import os\ninput x: float32[N, 3]\noutput y = x\n',
    "keyword as a name": b"network for\n",
    "one long line": b"network a" + b"a" * 900_000,
    "minus signs": b"network a\nlet x = " + b"-" * 900_000 + b"1\n",
    "powers": b"network a\nlet x = 9 ** 9 ** 9 ** 9\n",
}


@pytest.mark.parametrize("case", HOSTILE, ids=HOSTILE.keys())
@pytest.mark.parametrize("command", ["check", "compile", "fmt"])
def test_hostile_programs_are_refused_quickly(cnndsl: Any, command: str, case: str) -> None:
    Path("net.cnn").write_bytes(HOSTILE[case])
    start = time.perf_counter()
    outcome = cnndsl(command, "net.cnn")
    assert time.perf_counter() - start < 4
    if command == "fmt" and outcome.code == 0:
        return
    assert outcome.code == 1
    assert "error[CNN" in outcome.err
    assert "Traceback" not in outcome.err
    assert len(outcome.err) < 20_000
    assert [p.name for p in Path().iterdir()] == ["net.cnn"]
    assert Path("net.cnn").read_bytes() == HOSTILE[case]


def test_a_hostile_file_name_never_reaches_the_generated_code(cnndsl: Any) -> None:
    name = 'x"""); import os; os.abort()\n#.cnn'
    Path(name).write_text(Path("net.cnn").read_text())
    assert cnndsl("compile", name, "-o", "safe.py").code == 0
    text = Path("safe.py").read_text()
    (said,) = [line for line in text.splitlines() if "abort" in line]
    assert said.startswith("# Generated by cnndsl ")
    assert '"' not in said
    compile(text, "safe.py", "exec")


@pytest.mark.parametrize("command", ["check", "summary", "verify", "bench"])
def test_errors_as_json(cnndsl: Any, command: str) -> None:
    Path("net.cnn").write_text("network net\ninput x: float32[N, 3]\noutput y = x -> dense(4\n")
    outcome = cnndsl(command, "net.cnn", "--json")
    assert outcome.code == 1
    assert outcome.err == ""
    data = outcome.json
    assert data["ok"] is False
    assert data["diagnostics"][0]["code"].startswith("CNN1")
    assert data["diagnostics"][0]["file"] == "net.cnn"


@pytest.mark.parametrize(
    "arguments",
    [["verify", "net.cnn", "--json", "--nonsense"], ["check", "--json"], ["bench", "--json", "a"]],
    ids=" ".join,
)
def test_wrong_usage_as_json(cnndsl: Any, arguments: list[str]) -> None:
    outcome = cnndsl(*arguments)
    assert outcome.code in (1, 2)
    assert outcome.json["ok"] is False
    assert outcome.json.get("error") or outcome.json["diagnostics"]


def test_without_onnxruntime_and_pytorch(cnndsl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    np.save("x.npy", np.zeros((1, 3, 16, 16), np.float32))
    for arguments in (
        ("bench", "net.cnn", "--runs", "3"),
        ("run", "net.cnn", "--input", "x.npy", "--backend", "onnxruntime"),
    ):
        outcome = cnndsl(*arguments)
        assert outcome.code == 1
        assert "error[CNN701]: ONNX Runtime is not installed" in outcome.err
        assert "pip install 'cnndsl[onnxruntime]'" in outcome.err
    outcome = cnndsl("run", "net.cnn", "--input", "x.npy", "--backend", "torch")
    assert outcome.code == 1
    assert "error[CNN701]: PyTorch is not installed" in outcome.err
    assert "pip install 'cnndsl[torch]'" in outcome.err
    outcome = cnndsl("verify", "net.cnn", "--json")
    assert outcome.code == 0
    assert [d["backend"] for d in outcome.json["differences"]] == ["numba-cpu", "reference"]


def test_without_pillow(cnndsl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    Path("photo.jpg").write_bytes(b"")
    outcome = cnndsl("run", "net.cnn", "--input", "photo.jpg")
    assert outcome.code == 1
    assert "error[CNN803]: photo.jpg cannot be used: reading pictures needs Pillow" in outcome.err
    assert "pip install 'cnndsl[image]'" in outcome.err


def test_what_no_memory_can_hold_is_refused(cnndsl: Any) -> None:
    for arguments, what in (
        (("init", "net.cnn", "-o", "w.npz", "--set", "classes=2G"), "the weights of network net"),
        (("compile", "net.cnn", "--set", "classes=2G"), "the weights of network net"),
        (("verify", "net.cnn", "--set", "H=2G"), "the inputs of network net and its largest"),
        (("bench", "net.cnn", "--set", "H=2G"), "the inputs of network net and its largest"),
    ):
        start = time.perf_counter()
        outcome = cnndsl(*arguments)
        assert time.perf_counter() - start < 2
        assert outcome.code == 1
        assert f"error[CNN401]: {what}" in outcome.err
        assert [p.name for p in Path().iterdir()] == ["net.cnn"]


def test_memory_that_runs_out_halfway(cnndsl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnndsl.cli import check

    def exhausted(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(check, "load", exhausted)
    outcome = cnndsl("check", "net.cnn")
    assert outcome.code == 1
    assert "error[CNN401]: there is not enough memory" in outcome.err


def test_a_fault_of_ours_is_reported(cnndsl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnndsl.cli import check

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(check, "load", broken)
    outcome = cnndsl("check", "net.cnn")
    assert outcome.code == 70
    assert "this is a fault of cnndsl, not of your program" in outcome.err
    assert "ZeroDivisionError: a bug" in outcome.err
    assert "command: cnndsl check net.cnn" in outcome.err
    assert "ZeroDivisionError" in cnndsl("check", "net.cnn", "--json").json["error"]


def test_interruption(cnndsl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnndsl.cli import check

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "load", interrupted)
    outcome = cnndsl("check", "net.cnn")
    assert (outcome.code, outcome.err.strip()) == (130, "interrupted")


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_module_entry_point() -> None:
    done = python("-m", "cnndsl", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("cnndsl ")
    assert python("-m", "cnndsl", "check", "none.cnn").returncode == 1


HEAVY = ("numba", "onnx", "onnxruntime", "lark", "numpy", "rich", "jinja2")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from cnndsl.cli.main import main\n"
        "try:\n    main(['--help'])\n"
        f"except SystemExit:\n    print('HEAVY', [m for m in {HEAVY} if m in sys.modules])\n"
    )
    assert python("-c", code).stdout.endswith("HEAVY []\n")


@pytest.mark.parametrize("command", ["check", "summary"])
def test_checking_needs_no_backend(tmp_path: Path, command: str) -> None:
    program = tmp_path / "net.cnn"
    program.write_text("network net\ninput x: float32[N, 3]\noutput y = x -> dense(4)\n")
    code = (
        "import sys\n"
        "from cnndsl.cli.main import main\n"
        f"try:\n    main([{command!r}, {str(program)!r}])\n"
        "except SystemExit as e:\n"
        "    print(e.code, [m for m in ('numba', 'onnx', 'jinja2') if m in sys.modules])\n"
    )
    assert python("-c", code).stdout.endswith("0 []\n")


def test_a_closed_pipe_is_no_fault() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cnndsl", "ops"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 1
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [["ops"], ["--help"], ["check", "none.cnn", "--json"]])
def test_output_that_cannot_be_written(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "cnndsl", *arguments]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error[CNN801]: cannot write the output: no space left on device\n\n"


def test_streams_that_are_closed() -> None:
    command = f"{sys.executable} -m cnndsl ops >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0
