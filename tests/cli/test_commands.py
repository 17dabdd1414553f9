"""Every command, on a small program: what it prints, what it writes."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from cnndsl.cli.main import COMMANDS, cli
from cnndsl.weights import files


def names(folder: str = ".") -> list[str]:
    return sorted(p.name for p in Path(folder).iterdir() if p.name != "__pycache__")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cnndsl: Any, command: str) -> None:
    outcome = cnndsl(command, "--help")
    assert outcome.code == 0
    assert f"cnndsl {command}" in outcome.out
    given = [line.split()[1:] for line in outcome.out.split("Examples:\n")[1].splitlines() if line]
    assert given
    for name, *arguments in given:
        assert name == command
        found = cli.get_command(click.Context(cli), name)
        assert found is not None
        found.make_context(name, arguments).close()


def test_help_lists_the_commands(cnndsl: Any) -> None:
    for arguments in ((), ("--help",), ("-h",)):
        outcome = cnndsl(*arguments)
        assert outcome.code == 0
        assert all(f"  {name} " in outcome.out for name in COMMANDS)


def test_check(cnndsl: Any) -> None:
    outcome = cnndsl("check", "net.cnn")
    assert outcome.code == 0
    assert outcome.out == "net.cnn: ok, network net with 6 layers and 268 parameters\n"
    data = cnndsl("check", "net.cnn", "--json").json
    assert data == {"ok": True, "network": "net", "diagnostics": []}


def test_check_reports_warnings_without_failing(cnndsl: Any) -> None:
    with open("net.cnn", "a") as f:
        f.write("unused = features -> conv1x1(2)\n")
    outcome = cnndsl("check", "net.cnn")
    assert outcome.code == 0
    assert "warning[CNN901]" in outcome.err
    (warning,) = cnndsl("summary", "net.cnn", "--json").json["diagnostics"]
    assert cnndsl("check", "net.cnn", "--json").json["diagnostics"] == [warning]
    assert (warning["code"], warning["line"], warning["column"]) == ("CNN901", 5, 1)


def test_summary_json(cnndsl: Any) -> None:
    data = cnndsl("summary", "net.cnn", "--json", "--set", "classes=10").json
    assert data["network"] == "net"
    assert data["params"] == 216 + 16 + 8 * 10 + 10
    assert data["macs"] == 216 * 256 + 80
    assert data["flops"] == 2 * data["macs"]
    assert data["weight_bytes"] == 4 * data["params"]
    assert data["buffer_bytes"] == 64
    assert data["outputs"] == [{"name": "scores", "dtype": "float32", "shape": ["N", 10]}]
    first = data["layers"][0]
    assert first["name"] == "conv3x3"
    assert first["op"] == "conv3x3"
    assert first["output_shape"] == ["N", 8, 16, 16]
    assert (first["params"], first["macs"]) == (216, 216 * 256)


def test_summary_table(cnndsl: Any) -> None:
    out = cnndsl("summary", "net.cnn").out
    (row,) = [line.split() for line in out.splitlines() if line.strip().startswith("conv3x3")]
    assert " ".join(row) == "conv3x3 [N, 8, 16, 16] 216 55,296 99.9 3 1 8,192"
    assert "MACs" in out
    assert "at H = 16, W = 16" in out


def test_summary_with_a_symbol_set(cnndsl: Any) -> None:
    data = cnndsl("summary", "net.cnn", "--json", "--set", "H=32").json
    assert data["layers"][0]["output_shape"] == ["N", 8, 32, 16]


def test_compile_writes_all_targets_with_equal_weights(cnndsl: Any) -> None:
    outcome = cnndsl("compile", "net.cnn", "--target", "all", "--seed", 3)
    assert outcome.code == 0
    assert names() == [
        "net.cnn",
        "net.onnx",
        "net.py",
        "net.safetensors",
        "net_cuda.py",
        "net_cuda.safetensors",
        "net_torch.py",
    ]
    weights = files.read(Path("net.safetensors"))
    stored = {
        t.name: onnx.numpy_helper.to_array(t) for t in onnx.load("net.onnx").graph.initializer
    }
    for name, array in weights.items():
        np.testing.assert_array_equal(stored[name], array)
    assert cnndsl("init", "net.cnn", "-o", "w.safetensors", "--seed", 3).code == 0
    assert Path("w.safetensors").read_bytes() == Path("net.safetensors").read_bytes()
    assert "\n# weights: random, seed 3\n" in Path("net.py").read_text()
    assert "# weights" not in Path("net_torch.py").read_text()


def test_compile_is_reproducible_and_replaces_its_own(cnndsl: Any) -> None:
    cnndsl("compile", "net.cnn", "--target", "all")
    first = {n: Path(n).read_bytes() for n in names()}
    assert cnndsl("compile", "net.cnn", "--target", "all").code == 0
    assert {n: Path(n).read_bytes() for n in names()} == first


def test_output_names_the_main_file(cnndsl: Any) -> None:
    Path("sub").mkdir()
    assert cnndsl("compile", "net.cnn", "-o", "sub/other.py").code == 0
    assert names("sub") == ["other.py", "other.safetensors"]
    assert cnndsl("compile", "net.cnn", "--target", "onnx", "-o", "sub/third.onnx").code == 0
    assert names("sub") == ["other.py", "other.safetensors", "third.onnx"]


def test_compile_never_overwrites_own_files(cnndsl: Any) -> None:
    Path("net.py").write_text("mine\n")
    outcome = cnndsl("compile", "net.cnn", "--target", "all")
    assert outcome.code == 1
    assert "CNN802" in outcome.err
    assert names() == ["net.cnn", "net.py"]
    assert Path("net.py").read_text() == "mine\n"
    assert cnndsl("compile", "net.cnn", "--target", "all", "--force").code == 0
    assert Path("net.py").read_text().startswith("# Generated by cnndsl ")


def test_compile_with_weights_from_a_file(cnndsl: Any) -> None:
    cnndsl("init", "net.cnn", "-o", "w.npz", "--seed", 5)
    assert cnndsl("compile", "net.cnn", "--weights", "w.npz").code == 0
    cnndsl("init", "net.cnn", "-o", "w.safetensors", "--seed", 5)
    content = Path("net.safetensors").read_bytes()
    assert content == Path("w.safetensors").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert f"\n# weights sha256: {digest}\n" in Path("net.py").read_text()


def test_compile_with_wrong_weights_writes_nothing(cnndsl: Any) -> None:
    cnndsl("init", "net.cnn", "-o", "w.npz", "--set", "classes=7")
    before = names()
    outcome = cnndsl("compile", "net.cnn", "--weights", "w.npz")
    assert outcome.code == 1
    assert outcome.err.count("other shape  ") == 2
    (row,) = [line.split("  ") for line in outcome.err.splitlines() if "dense.weight" in line]
    assert {"[4, 8]", "[7, 8]"} <= set(row)
    assert names() == before


def test_errors_shown_are_bounded(cnndsl: Any) -> None:
    files.write(Path("w.npz"), {f"a{i}": np.zeros(1, np.float32) for i in range(1000)})
    outcome = cnndsl("compile", "net.cnn", "--weights", "w.npz")
    assert outcome.code == 1
    assert sum(" -  " in line for line in outcome.err.splitlines()) == 100
    assert "the first 100 of 1007 are shown; --json has all\n" in outcome.err


def test_onnx_versions(cnndsl: Any) -> None:
    cnndsl("compile", "net.cnn", "--target", "onnx", "--opset", 18, "--ir-version", 9)
    model = onnx.load("net.onnx")
    assert model.opset_import[0].version == 18
    assert model.ir_version == 9
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("stage", ["ast", "graph", "plan"])
def test_stages_are_printed_and_nothing_is_written(cnndsl: Any, stage: str) -> None:
    outcome = cnndsl("compile", "net.cnn", "--emit", stage)
    assert outcome.code == 0
    assert "conv3x3" in outcome.out
    assert names() == ["net.cnn"]


def test_emitted_graph_reads_back(cnndsl: Any) -> None:
    from cnndsl.ir.printer import print_graph
    from cnndsl.ir.reader import read_graph

    text = cnndsl("compile", "net.cnn", "--emit", "graph").out
    assert print_graph(read_graph(text)).split()[:3] == text.split()[:3]


def test_explain(cnndsl: Any) -> None:
    out = cnndsl("compile", "net.cnn", "--explain", "fold_batch_norm").out
    assert out.startswith("fold_batch_norm (rounds):\n  bn: ")


def test_run_on_an_array(cnndsl: Any) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)
    np.save("x.npy", x)
    results = {}
    for backend in ("numba-cpu", "onnxruntime", "reference"):
        outcome = cnndsl(
            "run", "net.cnn", "--input", "x.npy", "-o", f"{backend}.npy", "--backend", backend
        )
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out == "scores: float32[2, 4]\n"
        results[backend] = np.load(f"{backend}.npy")
    for result in results.values():
        np.testing.assert_allclose(result, results["reference"], atol=1e-5)
    session = onnxruntime.InferenceSession(onnx_model(cnndsl))
    np.testing.assert_allclose(session.run(None, {"image": x})[0], results["reference"], atol=1e-5)


def onnx_model(cnndsl: Any) -> bytes:
    cnndsl("compile", "net.cnn", "--target", "onnx")
    return Path("net.onnx").read_bytes()


def test_run_overwrites_neither_its_input_nor_foreign_files(cnndsl: Any) -> None:
    np.save("x.npy", np.zeros((1, 3, 16, 16), np.float32))
    Path("link.npy").symlink_to("x.npy")
    np.savez("mine.npz", a=np.zeros(3))
    run = ("run", "net.cnn", "--input", "x.npy", "--backend", "reference", "-o")
    for name in ("x.npy", "link.npy"):
        outcome = cnndsl(*run, name)
        assert outcome.code == 2
        assert "would overwrite an input" in outcome.err
    outcome = cnndsl(*run, "mine.npz")
    assert outcome.code == 1
    assert "CNN802" in outcome.err
    assert "--force" in outcome.err
    assert cnndsl(*run, "mine.npz", "--force").code == 0
    for _ in range(2):
        assert cnndsl(*run, "ours.npz").code == 0


def test_run_on_a_picture(cnndsl: Any) -> None:
    Image.new("RGB", (40, 30), (10, 200, 30)).save("a.png")
    arguments = ("run", "net.cnn", "--input", "a.png", "--top", 2, "--backend", "reference")
    outcome = cnndsl(*arguments)
    assert outcome.code == 0
    rows = [line.split() for line in outcome.out.splitlines() if line.split()[:1] != []]
    values = [float(row[1]) for row in rows if row[0].isdigit()]
    assert len(values) == 2
    assert values[0] >= values[1]


def test_run_with_several_inputs_and_outputs(cnndsl: Any) -> None:
    Path("two.cnn").write_text(
        "network two\ninput a: float32[N, 2]\ninput b: float32[N, 2]\n"
        "output total = a + b\noutput ahead = a - b\n"
    )
    a, b = np.float32([[1, 2]]), np.float32([[10, 30]])
    np.save("a.npy", a)
    np.save("b.npy", b)
    for backend in ("numba-cpu", "onnxruntime", "reference"):
        outcome = cnndsl(
            "run", "two.cnn", "--input", "b=b.npy", "--input", "a=a.npy", "-o", "y.npz",
            "--backend", backend,
        )  # fmt: skip
        assert outcome.code == 0, outcome.err
        with np.load("y.npz") as y:
            np.testing.assert_array_equal(y["total"], a + b)
            np.testing.assert_array_equal(y["ahead"], a - b)
    assert cnndsl("run", "two.cnn", "--input", "a.npy").code == 2
    assert cnndsl("run", "two.cnn", "--input", "a=a.npy", "--backend", "reference").code == 1


@pytest.mark.parametrize("backend", ["numba-cpu", "onnxruntime", "reference"])
@pytest.mark.parametrize(
    "array",
    [np.zeros((1, 4, 16, 16), np.float32), np.zeros((1, 3, 16, 16), np.int64), np.zeros(3)],
    ids=["channels", "dtype", "rank"],
)
def test_run_refuses_inputs_that_do_not_fit(cnndsl: Any, array: Any, backend: str) -> None:
    np.save("x.npy", array)
    outcome = cnndsl("run", "net.cnn", "--input", "x.npy", "--backend", backend)
    assert outcome.code == 1
    assert "CNN803" in outcome.err
    assert "image" in outcome.err


def test_verify(cnndsl: Any) -> None:
    outcome = cnndsl("verify", "net.cnn", "--json", "--batch", 3)
    assert outcome.code == 0
    data = outcome.json
    assert data["ok"] is True
    torch = ["torch"] if importlib.util.find_spec("torch") else []
    tried = ["numba-cpu", "onnxruntime", *torch, "reference"]
    assert [d["backend"] for d in data["differences"]] == tried
    assert all(0 <= d["max_rel"] < 1e-5 for d in data["differences"])
    assert "numba-cpu" in cnndsl("verify", "net.cnn").out


def test_verify_fails_when_a_backend_is_wrong(cnndsl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnndsl.driver import verify

    def wrong(name: str, prepared: Any, folder: Path, options: Any) -> Any:
        return lambda inputs: {"scores": np.full((1, 4), np.nan, np.float32)}

    monkeypatch.setattr(verify, "runner", wrong)
    outcome = cnndsl("verify", "net.cnn", "--json")
    assert outcome.code == 1
    assert outcome.json["ok"] is False
    (first, *_) = outcome.json["differences"]
    assert (first["backend"], first["output"], first["ok"]) == ("numba-cpu", "scores", False)
    assert first["max_abs"] is None
    outcome = cnndsl("verify", "net.cnn")
    assert outcome.code == 1
    (row, *_) = [line.split() for line in outcome.out.splitlines() if "numba-cpu" in line]
    assert row == ["numba-cpu", "scores", "nan", "nan", "nan", "above", "0.0001"]


def test_fmt(cnndsl: Any) -> None:
    ugly = "network   net\ninput x:float32[N,3]  # a comment\noutput y=x->dense( 4 )\n"
    Path("net.cnn").write_text(ugly)
    assert cnndsl("fmt", "net.cnn", "--check").code == 1
    assert Path("net.cnn").read_text() == ugly
    shown = cnndsl("fmt", "net.cnn", "--stdout")
    assert cnndsl("fmt", "net.cnn").code == 0
    formatted = Path("net.cnn").read_text()
    assert formatted == shown.out
    assert "# a comment" in formatted
    assert formatted != ugly
    assert cnndsl("fmt", "net.cnn", "--check").code == 0


def test_ops(cnndsl: Any) -> None:
    assert "conv" in cnndsl("ops").out
    for word in ("conv", "conv3x3"):
        out = cnndsl("ops", word).out
        assert out.startswith("convK(out_channels, stride=1")
        assert "also written rate" in " ".join(out.split())
    outcome = cnndsl("ops", "cnov")
    assert outcome.code == 2
    assert "did you mean conv" in outcome.err


def test_bench(cnndsl: Any) -> None:
    data = cnndsl("bench", "net.cnn", "--runs", 3, "--threads", 1, "--json").json
    assert data["threads"] == 1
    assert data["runs"] == 3
    medians = {name: t["median"] for name, t in data["milliseconds"].items()}
    assert set(medians) == {"numba-cpu", "onnxruntime"}
    assert data["ratio"] == pytest.approx(medians["onnxruntime"] / medians["numba-cpu"])
    assert all(d["max_rel"] < 1e-5 for d in data["differences"].values())


def test_generated_module_is_imported_by_its_name(cnndsl: Any) -> None:
    cnndsl("compile", "net.cnn")
    spec = importlib.util.spec_from_file_location("net", "net.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.load()(np.zeros((1, 3, 8, 8), np.float32)).shape == (1, 4)
