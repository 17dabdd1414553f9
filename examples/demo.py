"""Two trained networks, compiled and run on pictures that training never saw: `make demo`.

Handwritten digits are classified, as PyTorch did after training; textures are told apart all over
photographs by a network trained on patches. Both are compared with ONNX Runtime, in answers and in
time. Pictures of inputs and answers are written beside the compiled files, in out/.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from types import ModuleType

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from cnndsl.files import write_file
from cnndsl.ops.base import Array
from cnndsl.weights.files import read
from examples import pictures
from examples.digits import data as digits
from examples.textures import data as textures

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "out"


def main() -> None:
    """Run the demonstration."""
    OUT.mkdir(exist_ok=True)
    sys.path.insert(0, str(OUT))
    show_digits()
    show_textures()


def show_digits() -> None:
    """Classify the held-out digits, and compare the answers with PyTorch's and ONNX Runtime's."""
    title("Handwritten digits")
    cnndsl("summary", digits.PROGRAM, "--depth", "1")
    network = compiled(digits.PROGRAM, digits.WEIGHTS)
    held_out = digits.held_out()

    logits, seconds = first(network, held_out.pictures)
    classes = logits.argmax(1)
    right = classes == held_out.classes
    print(f"\nloaded, compiled and ran on {len(right)} held-out digits in {seconds:.1f} s")
    print(f"right: {np.sum(right)} of {len(right)} ({np.mean(right):.2%})")
    compare_with_pytorch(logits, digits.ANSWERS, "logits")
    compare_with_onnxruntime(logits, "digits", held_out.pictures)

    shown = sorted(range(len(right)), key=lambda i: (right[i], i))[:24]
    captions = [
        str(said) if said == is_ else f"{said}, is {is_}"
        for said, is_ in zip(classes[shown], held_out.classes[shown])
    ]
    scans = held_out.pictures[shown, 0]
    print("\nsome of them, those with wrong answers first, and the answers:\n")
    print(pictures.digits_as_text(scans[:5], captions[:5]), "\n")
    write("digits.png", pictures.draw_digits(scans, captions, list(right[shown])))
    print()
    cnndsl("bench", digits.PROGRAM, "--weights", digits.WEIGHTS, "--batch", "64", "--runs", "50")


def show_textures() -> None:
    """Tell textures apart on patches, on a mosaic and on whole photographs."""
    title("Textures of photographs")
    cnndsl("rf", textures.PROGRAM, "--set", "H=512", "--set", "W=512")
    network = compiled(textures.PROGRAM, textures.WEIGHTS)
    held_out, mosaic = textures.held_out(), textures.mosaic()

    scores, seconds = first(network, held_out.pictures)
    right = scores.argmax(1).ravel() == held_out.classes
    print(f"\nloaded, compiled and ran on {len(right)} held-out patches in {seconds:.1f} s")
    print(f"right: {np.sum(right)} of {len(right)} ({np.mean(right):.2%})")
    compare_with_pytorch(scores, textures.ANSWERS, "scores")

    net = network.load()
    height, width = mosaic.picture.shape[2:]
    scores = net(mosaic.picture)
    answers = scores[0].argmax(0)
    is_, alone = mosaic.seen(*answers.shape)
    print(f"\na mosaic of {height}x{width} held-out pixels, {answers.size} answers:")
    for what, where in (("one texture", alone), ("several", ~alone)):
        rate = np.mean((answers == is_)[where])
        print(f"  where {textures.PATCH}x{textures.PATCH} pixels show {what}: {rate:.1%} right")
    compare_with_onnxruntime(scores, "textures", mosaic.picture)
    print("\n" + pictures.map_as_text(answers, textures.NAMES, 2) + "\n")

    photographs = textures.photographs()
    maps = list(net(photographs).argmax(1))
    names = textures.NAMES
    png = pictures.draw_textures(
        photographs[:, 0], maps, names, textures.SEAM, mosaic.picture[0, 0], answers,
        textures.PATCH, textures.JUMP,
    )  # fmt: skip
    write("textures.png", png)
    print()
    size = ("--set", "H=512", "--set", "W=512")
    cnndsl("bench", textures.PROGRAM, "--weights", textures.WEIGHTS, *size, "--runs", "30")


def title(text: str) -> None:
    """Print a heading."""
    print(f"\n{text}\n{'=' * len(text)}\n", flush=True)


def cnndsl(*arguments: str | Path) -> None:
    """Show and run one command."""
    words = [str(a.relative_to(ROOT) if isinstance(a, Path) else a) for a in arguments]
    print("$ cnndsl", *words, flush=True)
    done = subprocess.run([sys.executable, "-m", "cnndsl", *words], cwd=ROOT, check=False)
    if done.returncode:  # what is wrong has been said
        raise SystemExit(done.returncode)


def compiled(program: Path, weights: Path) -> ModuleType:
    """Compile a program, and import the module: it needs numpy, numba, safetensors, not cnndsl."""
    module = OUT / f"{program.stem}.py"
    cnndsl("compile", program, "--weights", weights, "--target", "all", "-o", module)
    return importlib.import_module(program.stem)


def first(network: ModuleType, inputs: Array) -> tuple[Array, float]:
    """Load a network and run it; return the outputs and how long it took."""
    start = perf_counter()
    outputs: Array = network.load()(inputs)
    return outputs, perf_counter() - start


def compare_with_pytorch(ours: Array, recorded: Path, name: str) -> None:
    """Compare classes with those that PyTorch gave after training; they must be the same."""
    theirs = np.asarray(read(recorded)[name])
    same = int(np.sum(ours.argmax(1) == theirs.argmax(1)))
    print(f"the same answer as PyTorch: {same} of {ours[:, 0].size}")
    if same != ours[:, 0].size:
        raise SystemExit("the answers differ from PyTorch's")


def compare_with_onnxruntime(ours: Array, name: str, inputs: NDArray[np.float32]) -> None:
    """Print how far the outputs are from those of the ONNX file in ONNX Runtime."""
    session = onnxruntime.InferenceSession(OUT / f"{name}.onnx")
    (theirs,) = session.run(None, {session.get_inputs()[0].name: inputs})
    difference = np.abs(ours - theirs).max()
    print(f"largest difference from ONNX Runtime: {difference:.3g}", end="")
    print(f" ({difference / np.abs(theirs).max():.3g} of the largest value)")


def write(name: str, png: bytes) -> None:
    """Write a picture to out/."""
    write_file(OUT / name, png)
    print(f"written: out/{name}")


if __name__ == "__main__":
    main()
