"""Run the command line in this process, as `cnndsl` does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cnndsl.cli.failure import guarded
from cnndsl.cli.main import cli

PROGRAM = """network net(classes = 4)
input image: float32[N, 3, H = 16, W = 16]
features = image -> conv3x3(8) -> bn -> relu -> maxpool2x2
output scores = features -> global_avgpool -> dense(classes)
"""


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Outcome]


@pytest.fixture(scope="session")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cnndsl(
    tmp_path: Path,
    cache_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Return a function that runs a command in an empty folder that holds net.cnn only."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    Path("net.cnn").write_text(PROGRAM)

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = guarded(cli, [str(a) for a in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run
