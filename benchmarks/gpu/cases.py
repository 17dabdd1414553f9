"""What is measured on a device, and what is wanted there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.factorization.parts import LARGE
from benchmarks.networks import NETWORKS

PRECISIONS = ("fp32", "tf32", "bf16")
"""Of both sides: fp32 without TF32; bf16 is PyTorch's whole network, and our factors."""

BATCHES = (1, 8, 64)

SHARE = 0.5
"""Of a network's MACs that its factorized form may have."""

PAIRS = {64: 112, 128: 56, 256: 28, 512: 14, 1024: 7}
"""Channels, and height and width, of depthwise and pointwise pairs: MobileNet's."""

PAIRS_IN_A_ROW = 16
"""One pair takes less time than it takes to start it."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs a network: ours, or PyTorch in one of its ways."""

    label: str
    ours: bool = False
    graphs: bool = False
    channels_last: bool = False
    compiled: bool = False


OURS = "ours"
ENGINES = {
    OURS: Engine("ours", ours=True, graphs=True),
    "ours_launched": Engine("ours, no graphs", ours=True),
    "eager": Engine("eager"),
    "channels_last": Engine("channels_last", channels_last=True),
    "graphs": Engine("CUDA graph", graphs=True),
    "graphs_channels_last": Engine("CUDA graph, channels_last", graphs=True, channels_last=True),
    "compile": Engine("torch.compile", compiled=True),
}
TORCH = tuple(name for name, engine in ENGINES.items() if not engine.ours)
CUDNN = tuple(name for name in TORCH if not ENGINES[name].compiled)
GRAPHS = tuple(name for name in CUDNN if ENGINES[name].graphs)


@dataclass(frozen=True, slots=True)
class Case:
    """One network (or layers in a row) at one precision and batch."""

    program: str
    precision: str
    batch: int

    @property
    def key(self) -> str:
        return f"{self.program}, {self.precision}, batch {self.batch}"


@dataclass(frozen=True, slots=True)
class Cases:
    """A part of the measurements; a table for each precision."""

    name: str
    about: str
    programs: tuple[str, ...]
    precisions: tuple[str, ...] = PRECISIONS

    def cases(self) -> dict[str, Case]:
        """Return the cases, by their keys, in the order of the tables."""
        found = [
            Case(program, precision, batch)
            for precision in self.precisions
            for program in self.programs
            for batch in BATCHES
        ]
        return {case.key: case for case in found}


def factorized(network: str) -> str:
    """Return the name of a network's factorized form."""
    return f"{network} {SHARE:g}x"


def pairs(channels: int) -> str:
    """Return the name of pairs in a row."""
    return f"{PAIRS_IN_A_ROW} pairs of {channels}"


PARTS: Mapping[str, Cases] = {
    part.name: part
    for part in (
        Cases("zoo", "networks as they are", tuple(NETWORKS)),
        Cases(
            "factorized",
            f"networks that cnndsl optimize made smaller, to {SHARE:g} of their MACs",
            tuple(factorized(name) for name in LARGE),
        ),
        Cases(
            "pairs",
            f"{PAIRS_IN_A_ROW} depthwise 3x3 and pointwise pairs in a row",
            tuple(pairs(channels) for channels in PAIRS),
            precisions=("fp32",),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Target:
    """How many times as long as ours the fastest of some engines shall take, in fp32."""

    part: str
    programs: tuple[str, ...]
    batch: int
    against: tuple[str, ...]
    name: str
    """Of those engines together."""

    least: float

    @property
    def label(self) -> str:
        if self.part == "pairs":
            return f"depthwise and pointwise pairs of {min(PAIRS)} to {max(PAIRS)} channels"
        return ", ".join(self.programs)

    def cases(self) -> tuple[Case, ...]:
        return tuple(Case(program, "fp32", self.batch) for program in self.programs)


def targets() -> tuple[Target, ...]:
    """Return what is wanted on an H100."""
    found = []
    for part, programs in {
        "zoo": ("mobilenet_v1", "mobilenet_v2"),
        "factorized": PARTS["factorized"].programs,
    }.items():
        for program in programs:
            found.append(Target(part, (program,), 1, ("eager",), "eager PyTorch", 2.0))
            found.append(Target(part, (program,), 1, GRAPHS, "PyTorch under CUDA graphs", 1.0))
    for program in ("resnet50", "vgg16"):
        found += [Target("zoo", (program,), batch, CUDNN, "cuDNN", 0.6) for batch in (1, 8)]
    pairs = PARTS["pairs"].programs
    found += [Target("pairs", pairs, batch, CUDNN, "cuDNN's pairs", 1.5) for batch in BATCHES]
    return tuple(found)


TOLERANCE = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 1e-1}
"""How far an output may be from PyTorch's in fp32, relative to its largest value.

With factors rounded so on a processor, eleven networks are off by 3e-3 (TF32) and 3e-2 (bfloat16)
at most, MobileNet v2 the most of all.
"""
