"""Engines on a device take turns, and a wrong answer has no speed: without a device."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import jobs
from benchmarks.gpu.cases import ENGINES, PAIRS
from benchmarks.gpu.device import Gpu, describe
from benchmarks.gpu.race import Pace, Race, WrongAnswerError, race, ratio
from cnndsl.analysis.cost import summarize
from cnndsl.driver.choice import Choice
from cnndsl.driver.prepare import Prepared, prepare

PROGRAM = """network tiny
input image: float32[N, 2, H = 6, W = 6]
output scores = image -> conv3x3(4) -> bn -> relu -> global_avgpool -> dense(3)
"""


class Fake:
    """An engine that answers with its input, or wrongly in some rounds, and takes its time."""

    def __init__(
        self, log: list[str], name: str, ms: float = 1.0, wrong: tuple[int, ...] = ()
    ) -> None:
        self.log, self.name, self.ms, self.wrong = log, name, ms, wrong
        self.x: Any = None

    def load(self, inputs: Mapping[str, Any]) -> None:
        self.x = inputs["x"]

    def run(self) -> None:
        self.log.append(self.name)

    def outputs(self) -> dict[str, Any]:
        return {"y": self.x * (1.5 if int(self.x[0]) in self.wrong else 1)}


def run_race(engines: Mapping[str, Fake], pace: Pace) -> Race:
    def fresh(number: int) -> dict[str, Any]:
        return {"x": np.array([number + 1.0, -1.0], np.float32)}

    def elapsed_ms(run: Callable[[], None]) -> float:
        run()
        return float(run.__self__.ms)  # type: ignore[attr-defined]

    found = Race(lambda inputs: {"y": inputs["x"]}, 1e-4, {}, {}, {})
    race(engines, fresh, found, elapsed_ms, pace)
    return found


def test_engines_take_turns_and_another_begins_each_round() -> None:
    log: list[str] = []
    engines = {name: Fake(log, name) for name in ("ours", "eager", "graphs")}
    run_race(engines, Pace(runs=4, untimed=1, timed=2))
    checked = ["ours", "eager", "graphs"]
    rounds = [checked, ["eager", "graphs", "ours"]]
    assert log == [n for turns in rounds for n in [*checked, *(t for t in turns for _ in range(3))]]


def test_times_are_medians_with_their_spread() -> None:
    log: list[str] = []
    engines = {"ours": Fake(log, "ours", 2.0), "eager": Fake(log, "eager", 3.0)}
    entry = run_race(engines, Pace(runs=7, timed=5)).entry()
    assert entry["milliseconds"]["ours"] == {
        "median": 2.0, "lower_quartile": 2.0, "upper_quartile": 2.0, "fastest": 2.0, "runs": 7,
    }  # fmt: skip
    assert ratio(entry, ("eager", "graphs")) == 1.5
    assert ratio(entry, ("graphs",)) is None


@pytest.mark.parametrize("wrong", [(1,), (2,)])
def test_an_answer_of_ours_that_is_wrong_ends_it(wrong: tuple[int, ...]) -> None:
    log: list[str] = []
    engines = {"eager": Fake(log, "eager"), "ours": Fake(log, "ours", wrong=wrong)}
    with pytest.raises(WrongAnswerError, match=r"ours: output is off by 0\.5 of its largest"):
        run_race(engines, Pace(runs=4, timed=2))


@pytest.mark.parametrize("wrong", [(1,), (2,)])
def test_an_engine_of_pytorch_that_is_wrong_has_no_time(wrong: tuple[int, ...]) -> None:
    log: list[str] = []
    engines = {"ours": Fake(log, "ours"), "compile": Fake(log, "compile", wrong=wrong)}
    entry = run_race(engines, Pace(runs=4, timed=2)).entry()
    assert list(entry["milliseconds"]) == ["ours"]
    assert "off by 0.5" in entry["left_out"]["compile"]


@pytest.mark.parametrize("wrong", ["first", "second"])
def test_a_nan_of_any_output_is_wrong(wrong: str) -> None:
    expected = {name: np.ones(2, np.float32) for name in ("first", "second")}
    found = Race(lambda _: expected, 1e-4, {"ours": [], "eager": []}, {}, {})
    got = {**expected, wrong: np.array([1, np.nan], np.float32)}
    found.check("eager", got, expected)
    assert found.entry() == {
        "milliseconds": {},
        "differences": {},
        "left_out": {"eager": "output is off by nan of its largest value, not 0.0001"},
    }
    with pytest.raises(WrongAnswerError):
        found.check("ours", got, expected)
    with pytest.raises(WrongAnswerError):
        found.check("ours", {}, expected)


# -- the whole way, with PyTorch on the processor and our module in the simulator ----------------


class Paper(Gpu):
    """A device that is none: PyTorch on the processor, our module in Numba's simulator."""

    def __init__(self, **faults: Exception) -> None:
        import torch

        self.torch, self.place = torch, torch.device("cpu")
        self.stream: Any = SimpleNamespace(synchronize=lambda: None)
        self.faults = faults
        self.factor = 1.0

    @contextmanager
    def scope(self) -> Any:
        with self.torch.inference_mode():
            yield

    def ours(self, module: Any, weights: Any, *, graphs: bool) -> Any:
        if "ours" in self.faults:
            raise self.faults["ours"]
        net = module.load(weights, device=0, graphs=graphs)
        return lambda *arrays: self.torch.from_numpy(net(*arrays) * np.float32(self.factor))

    def given(self, tensor: Any) -> Any:
        return tensor.numpy()

    def elapsed_ms(self, run: Callable[[], None]) -> float:
        start = perf_counter()
        run()
        return (perf_counter() - start) * 1e3

    def captured(self, run: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        if "graphs" in self.faults:
            raise self.faults["graphs"]
        result = run()
        return lambda: result.copy_(run()), result

    def free(self) -> None:
        pass


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    pytest.importorskip("torch")
    pytest.importorskip("numba_cuda")
    pytest.importorskip("greenlet")
    from gpu import simulator
    from numba import config

    if config.ENABLE_CUDASIM:
        simulator.install()
    path = tmp_path / "tiny.cnn"
    path.write_text(PROGRAM)
    return prepare(path, Choice({}))


def measured(prepared: Prepared, folder: Path, device: Gpu, **more: Any) -> dict[str, Any]:
    engines = more.pop("engines", [name for name in ENGINES if name != "compile"])
    arguments = {"precision": "fp32", "batch": 2, "pace": Pace(runs=4, untimed=1, timed=2)} | more
    return jobs.measured(prepared, engines=engines, folder=folder, device=device, **arguments)


def test_all_engines_answer_alike_and_are_timed(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    real, compiled = inspect.signature(torch.compile), list[Any]()

    def compile_(net: Any, **options: Any) -> Any:
        real.bind(net, **options)
        compiled.append(net)
        return net

    monkeypatch.setattr(torch, "compile", compile_)
    entry = measured(prepared, tmp_path, Paper(), engines=list(ENGINES))
    assert len(compiled) == 1
    assert entry["left_out"] == {}
    assert list(entry["milliseconds"]) == list(ENGINES)
    assert all(t["runs"] == 4 and t["median"] > 0 for t in entry["milliseconds"].values())
    assert 0 < entry["differences"]["ours"] < 1e-6


def test_pytorch_runs_in_bfloat16(prepared: Prepared, tmp_path: Path) -> None:
    entry = measured(
        prepared, tmp_path, Paper(), precision="bf16", engines=["eager", "channels_last"]
    )
    assert list(entry["milliseconds"]) == ["eager", "channels_last"]
    assert 1e-4 < entry["differences"]["eager"] < 3e-2


def test_a_module_with_a_wrong_answer_is_not_timed(prepared: Prepared, tmp_path: Path) -> None:
    device = Paper()
    device.factor = 1.001
    with pytest.raises(WrongAnswerError, match="ours"):
        measured(prepared, tmp_path, device)


def test_what_has_no_room_or_fails_is_left_out(prepared: Prepared, tmp_path: Path) -> None:
    faults = {"ours": MemoryError("9 bytes"), "graphs": RuntimeError("cannot capture\nmore")}
    entry = measured(prepared, tmp_path, Paper(**faults))
    assert list(entry["milliseconds"]) == ["eager", "channels_last"]
    assert entry["left_out"] == {
        "ours": "too little memory on the device (MemoryError: 9 bytes)",
        "ours_launched": "too little memory on the device (MemoryError: 9 bytes)",
        "graphs": "RuntimeError: cannot capture",
        "graphs_channels_last": "RuntimeError: cannot capture",
    }


def test_a_module_that_fails_is_an_error(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="conv3x3: illegal address"):
        measured(prepared, tmp_path, Paper(ours=RuntimeError("conv3x3: illegal address")))


def test_messages_about_memory_are_known() -> None:
    torch = pytest.importorskip("torch")
    assert jobs.out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"))
    assert jobs.out_of_memory(RuntimeError("[2] Call to cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY"))
    assert jobs.out_of_memory(MemoryError())
    assert not jobs.out_of_memory(RuntimeError("CUDA error: an illegal memory access"))


def test_networks_without_pictures_have_no_channels_last(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "line.cnn"
    path.write_text("network line\ninput x: float32[N, 2, 9]\noutput y = x -> conv3(4)\n")
    entry = measured(
        prepare(path, Choice({})), tmp_path, Paper(), engines=["eager", "channels_last"]
    )
    assert entry["left_out"] == {"channels_last": "channels_last is for pictures"}


# -- what the device is asked for ---------------------------------------------------------------


def test_events_surround_a_run_on_an_idle_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    log: list[str] = []

    class Stream:
        cuda_stream = 7

        def __init__(self, device: Any) -> None:
            assert device.type == "cuda"

        def synchronize(self) -> None:
            log.append("idle")

    class Event:
        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing

        def record(self, stream: Any) -> None:
            log.append("event")

        def synchronize(self) -> None:
            log.append("wait")

        def elapsed_time(self, end: Any) -> float:
            return 1.25

    class Graph:
        def replay(self) -> None:
            log.append("replay")

    @contextmanager
    def capture(graph: Graph, *, stream: Stream) -> Any:
        log.append("capture")
        yield
        log.append("captured")

    for name, fake in (("Event", Event), ("CUDAGraph", Graph), ("Stream", Stream)):
        real = getattr(torch.cuda, name)
        for method in (m for m in vars(fake) if not m.startswith("_") and callable(vars(fake)[m])):
            assert callable(getattr(real, method)), f"torch.cuda.{name} has no {method}"
        monkeypatch.setattr(torch.cuda, name, fake)
    inspect.signature(torch.cuda.graph).bind(Graph(), stream=None)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    device = Gpu()
    assert torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    assert device.elapsed_ms(lambda: log.append("run")) == 1.25
    assert log == ["idle", "event", "run", "event", "wait"]
    log.clear()
    replay, result = device.captured(lambda: log.append("run"))
    replay()
    assert log == ["run", "run", "run", "idle", "capture", "run", "captured", "replay"]
    assert result is None
    for allowed in (True, False):
        device.tf32(allowed)
        assert torch.backends.cuda.matmul.allow_tf32 is allowed
        assert torch.backends.cudnn.allow_tf32 is allowed


def test_what_is_missing_is_said() -> None:
    torch = pytest.importorskip("torch")
    found = describe()
    if torch.version.cuda is None:
        assert found == {"missing": f"PyTorch {torch.__version__} is built without CUDA"}
    else:
        assert found.keys() in ({"missing"}, {"machine", "versions"})


# -- programs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", PAIRS)
def test_pairs_are_convolutions_alone(tmp_path: Path, channels: int) -> None:
    found = prepare(Path(jobs.pairs(channels, str(tmp_path))["program"]), Choice({}))
    kinds = [type(node.op).__name__ for node in found.graph.nodes]
    assert len(kinds) == 32
    assert len(set(kinds[::2])) == len(set(kinds[1::2])) == 1
    per_position = summarize(found.graph).macs
    assert per_position == 16 * channels * (9 + channels) * PAIRS[channels] ** 2


def test_a_network_is_made_smaller_once(tmp_path: Path) -> None:
    program = tmp_path / "wide.cnn"
    program.write_text(
        "network wide\ninput x: float32[N, 16, 8, 8]\n"
        "output y = x -> conv3x3(32) -> relu -> conv3x3(32) -> global_avgpool -> dense(4)\n"
    )
    made = jobs.smaller(str(program), 0.5, str(tmp_path / "made"))
    found = prepare(Path(made["program"]), Choice({}, weights=Path(made["weights"])))
    before, after = (summarize(p.graph).macs for p in (prepare(program, Choice({})), found))
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert 0 < after <= before / 2
    program.unlink()
    program.write_text("network wide\ninput x: float32[N, 4]\noutput y = x -> dense(2)\n")
    stamp = Path(made["program"]).stat().st_mtime_ns
    assert jobs.smaller(str(program), 0.5, str(tmp_path / "made")) == made
    assert Path(made["program"]).stat().st_mtime_ns == stamp
