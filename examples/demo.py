"""Compile ResNet-18, import the result, run it on a photograph, compare it with ONNX Runtime.

The weights are random (seed 0), so the outputs name no real class: what counts is that both
runtimes give the same ones, and how fast.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime

from cnndsl.driver.image import read_image

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "out"


def cnndsl(*arguments: str | Path) -> None:
    """Show and run one command."""
    shown = [a.relative_to(HERE.parent) if isinstance(a, Path) else a for a in arguments]
    print("$ cnndsl", *shown, flush=True)
    subprocess.run([sys.executable, "-m", "cnndsl", *map(str, arguments)], check=True)


def main() -> None:
    program = HERE / "resnet18.cnn"
    OUT.mkdir(exist_ok=True)
    cnndsl("compile", program, "--target", "all", "-o", OUT / "resnet18.py")

    sys.path.insert(0, str(OUT))
    import resnet18  # the module just written: it needs numpy and numba, not cnndsl

    photo = read_image(HERE / "astronaut.jpg", channels=3, height=224, width=224)
    start = perf_counter()
    net = resnet18.load()
    y = net(photo)
    print(f"\nloaded, compiled and ran on astronaut.jpg in {perf_counter() - start:.1f} s")

    session = onnxruntime.InferenceSession(str(OUT / "resnet18.onnx"))
    (expected,) = session.run(None, {"image": photo})
    order = np.argsort(-y[0])[:5]
    print("top outputs (random weights):")
    print("  class   compiled   ONNX Runtime")
    for index in order:
        print(f"  {index:5d}  {y[0, index]:9.4f}      {expected[0, index]:9.4f}")
    difference = np.abs(y - expected).max()
    print(f"largest difference from ONNX Runtime: {difference:.3g}")
    print(f"  relative to the largest output: {difference / np.abs(expected).max():.3g}\n")

    cnndsl("bench", program, "--against", "onnxruntime", "--runs", "50")


if __name__ == "__main__":
    main()
