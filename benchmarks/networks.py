"""The networks of the comparison, and how fast each shall be."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True, slots=True)
class Network:
    """An example; `wanted` is the least ratio of the best peer's time to ours at batch 1."""

    name: str
    wanted: float
    settings: dict[str, int] = field(default_factory=dict)
    """Sizes other than the program's usual ones."""

    two_dimensional: bool = True

    @property
    def path(self) -> Path:
        return EXAMPLES / f"{self.name}.cnn"

    @property
    def label(self) -> str:
        return " ".join([self.name, *(f"{k}={v}" for k, v in self.settings.items())])


NETWORKS = {
    n.name: n
    for n in (
        Network("vgg16", 1.5),
        Network("unet_padded", 1.5),
        Network("darknet53", 1.5),
        Network("resnet18", 1.5),
        Network("resnet50", 1.15),
        Network("googlenet", 1.15),
        Network("inception_v3", 1.15),
        Network("darknet19", 1.15),
        Network("squeezenet", 1.15),
        Network("resnext50_32x4d", 1.15),
        Network("mobilenet_v1", 1.05),
        Network("mobilenet_v2", 1.05),
        Network("densenet121", 1.05),
        Network("alexnet", 1.05),
        # At the program's usual T = 16000, a second of sound, a call of ONNX Runtime takes 11 s.
        Network("wavenet", 2.0, {"T": 4000}, two_dimensional=False),
        Network("bytenet", 2.0, two_dimensional=False),
        Network("gcnn", 2.0, two_dimensional=False),
    )
}
TWO_DIMENSIONAL = tuple(n.name for n in NETWORKS.values() if n.two_dimensional)

WANTED_MEAN = {"batch1": 1.5, "batch8": 1.3}
"""Least geometric mean over a part's networks."""

NEVER_BELOW = 1.0
"""Least ratio of any network in any part."""

WANTED_START = {"resnet50": {"new cache": 8.0, "warm cache": 1.0}}
"""Most seconds from import to first output."""

WANTED_MEMORY = ("resnet50", "vgg16")
"""Networks whose peak memory shall not be above ONNX Runtime's."""

WANTED_COMPILE_S = 2.0
"""Most seconds that `cnndsl compile` takes."""

WANTED_BUSY = 1.3
"""Most that a busy neighbour may cost us, relative to what it costs ONNX Runtime."""
