"""Measure how much a busy neighbour costs: ours and ONNX Runtime, alone and beside one process.

usage: python benchmarks/beside_a_busy_process.py [NETWORK] [RUNS]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cnndsl.driver.bench import Benchmark, bench
from cnndsl.driver.choice import Choice
from cnndsl.driver.prepare import prepare

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def measure(network: str, runs: int, neighbours: int) -> Benchmark:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(neighbours)]
    try:
        return bench(prepare(EXAMPLES / f"{network}.cnn", Choice({})), "onnxruntime", runs=runs)
    finally:
        for process in busy:
            process.kill()
            process.wait()


def main() -> None:
    network = sys.argv[1] if len(sys.argv) > 1 else "resnet18"
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    alone = measure(network, runs, 0)
    print(f"{network}, {alone.threads} threads, {runs} runs, {alone.processor}")
    print(f"{'neighbours':>10} {'ours ms':>9} {'slower':>7} {'ort ms':>9} {'slower':>7}")
    for neighbours in (0, 1, 2):
        result = measure(network, runs, neighbours) if neighbours else alone
        ours, other = result.ours.median, result.other.median
        print(
            f"{neighbours:>10} {ours:9.2f} {ours / alone.ours.median:6.2f}x"
            f" {other:9.2f} {other / alone.other.median:6.2f}x"
        )


if __name__ == "__main__":
    main()
