"""What the training scripts share: the generated PyTorch module, the loop, and its files."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional

from cnndsl.files import write_files
from cnndsl.ops.base import Array
from cnndsl.weights.safetensors import serialize

Batches = Callable[[torch.Generator], list[tuple[Tensor, Tensor]]]
"""What makes an epoch: pictures and their classes, in batches, new ones each time."""


def network_of(program: Path, seed: int) -> nn.Module:
    """Compile a program for PyTorch, import what was written, and return its network.

    From here on PyTorch computes with algorithms that give the same bits each time, so a seed and
    a number of threads decide the trained weights.
    """
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    network: nn.Module = _module(program).Network()
    return network


def _module(program: Path) -> ModuleType:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{program.stem}_torch.py"
        command = [sys.executable, "-m", "cnndsl", "compile", str(program)]
        command += ["--target", "torch", "-o", str(path)]
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        if done.returncode:  # what is wrong has been said
            raise SystemExit(done.returncode)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def fit(
    network: nn.Module, batches: Batches, epochs: int, seed: int, *, rate: float = 3e-3
) -> float:
    """Train with AdamW, the rate going up and down once; return the last epoch's mean loss."""
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    generator = torch.Generator().manual_seed(seed)
    schedule: torch.optim.lr_scheduler.OneCycleLR | None = None
    losses: list[float] = []
    network.train()
    for _ in track(range(epochs), "training"):
        losses = []
        drawn = batches(generator)
        schedule = schedule or torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=rate, total_steps=epochs * len(drawn)
        )
        for pictures, classes in drawn:
            optimizer.zero_grad()
            loss = functional.cross_entropy(
                network(pictures).flatten(1), classes, label_smoothing=0.05
            )
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    network.eval()
    return sum(losses) / max(len(losses), 1)


def answers(network: nn.Module, pictures: Array, at_once: int = 256) -> Array:
    """Return what a network in evaluation says of pictures."""
    with torch.inference_mode():
        parts = torch.from_numpy(pictures).split(at_once)
        said: Array = torch.cat([network(part) for part in parts]).numpy()
    return said


def weights_of(network: nn.Module) -> dict[str, Array]:
    """Return the trained tensors by the names that cnndsl has for them."""
    state: dict[str, Any] = network.state_dict()
    return {name: tensor.detach().numpy().copy() for name, tensor in state.items()}


def write(folder: Path, files: dict[str, dict[str, Array]]) -> None:
    """Write safetensors files into a folder, all or none; print their sizes."""
    contents = {folder / name: serialize(tensors) for name, tensors in files.items()}
    write_files(contents)
    for path, content in contents.items():
        print(f"{path}  {len(content):,} bytes")
