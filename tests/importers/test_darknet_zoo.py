"""The cfgs of Darknet's own networks: the same networks as the gallery's, with the same counts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from importers.darknet_oracle import Darknet
from importers.normal import structure

from cnndsl.analysis.cost import summarize
from cnndsl.backends.reference.run import run
from cnndsl.diagnostics import Source
from cnndsl.driver.import_ import import_file
from cnndsl.driver.load import load
from cnndsl.importers.darknet.importing import import_cfg, import_darknet
from cnndsl.importers.writing.compare import same_network
from cnndsl.ir.graph import Graph

CFGS = Path(__file__).parent / "darknet"
ZOO = Path(__file__).parents[2] / "examples"
GOLDEN = Path(__file__).parents[1] / "golden" / "importers" / "yolov3.cnn"

PARAMETERS = {  # as Darknet counts them, with running statistics
    "darknet19": 20_856_776,
    "darknet53": 41_645_640,
    "yolov1": 197_328_243,
    "yolov3": 62_001_757,
}
LINES = {"darknet19": 14, "darknet53": 16, "yolov1": 19, "yolov3": 31}


def zoo(name: str, imported: Graph) -> Graph:
    """Return a network of the gallery, its outputs called as in the imported one."""
    graph = load(ZOO / f"{name}.cnn").graph
    names = zip(graph.outputs, imported.outputs, strict=True)
    return replace(graph, outputs=tuple(replace(o, name=i.name) for o, i in names))


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_cfg_is_the_network_of_the_gallery(name: str) -> None:
    imported = import_darknet(CFGS / f"{name}.cfg")
    graph = zoo(name, imported.graph)
    same_network(structure(imported.graph), structure(graph))
    sizes = summarize(imported.graph), summarize(graph)
    assert sizes[0].params == sizes[1].params
    usual = dict(imported.graph.usual_sizes)
    assert usual == dict(graph.usual_sizes)
    assert str(sizes[0].macs) == str(sizes[1].macs)
    assert sum(np.prod(p.spec.shape) for p in imported.graph.parameters) == PARAMETERS[name]


@pytest.mark.parametrize("name", LINES)
def test_how_long_the_programs_are(name: str, tmp_path: Path) -> None:
    program = import_file(CFGS / f"{name}.cfg", tmp_path / f"{name}.cnn")
    assert len(program.text.splitlines()) == LINES[name]
    assert [path.suffix for path in program.files] == [".cnn"]


def test_the_program_of_yolov3_is_the_golden_one(tmp_path: Path) -> None:
    text = import_file(CFGS / "yolov3.cfg", tmp_path / "yolov3.cnn").text
    if os.environ.get("CNNDSL_UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def computes_the_same(name: str, size: int, folder: Path) -> None:
    """Compare three: the oracle, the imported network, and the gallery's with the same weights."""
    text = (CFGS / f"{name}.cfg").read_text(encoding="utf-8")
    image = np.random.default_rng(3).normal(size=(1, 3, size, size)).astype(np.float32)
    network = Darknet(text, random=np.random.default_rng(4), calm=True)
    expected = network.forward(image)
    path = folder / f"{name}.weights"
    path.write_bytes(network.file())
    assert path.stat().st_size == 4 * PARAMETERS[name] + 20
    imported = import_cfg(Source(name, text), path)
    graph = zoo(name, imported.graph)
    ours = same_network(structure(imported.graph), structure(graph))
    weights = {ours[name]: array for name, array in imported.weights.items()}
    results = run(imported.graph, {"image": image}, imported.weights)
    others = run(graph, {"image": image}, weights)
    for wanted, found in zip(expected, results.items(), strict=True):
        output, array = found
        scale = np.abs(wanted).max()
        assert np.abs(array.ravel() - wanted.ravel()).max() <= 1e-4 * scale
        np.testing.assert_array_equal(array, others[output])


def test_darknet19_computes_what_darknet_does(tmp_path: Path) -> None:
    computes_the_same("darknet19", 32, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["darknet53", "yolov3"])
def test_large_networks_compute_what_darknet_does(name: str, tmp_path: Path) -> None:
    computes_the_same(name, 32, tmp_path)
