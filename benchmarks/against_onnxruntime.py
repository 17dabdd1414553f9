"""Measure examples against ONNX Runtime: one line for each, each in a process of its own.

    python benchmarks/against_onnxruntime.py [RUNS [NETWORK...]]

Runs are 30 and the networks all of examples/ unless given.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NETWORKS = sorted(path.stem for path in EXAMPLES.glob("*.cnn"))


def main() -> None:
    runs = sys.argv[1] if len(sys.argv) > 1 else "30"
    print(f"{'network':<16} {'ours ms':>9} {'ort ms':>9} {'ratio':>6}  spread (quartiles, ours)")
    for network in sys.argv[2:] or NETWORKS:
        command = ["bench", str(EXAMPLES / f"{network}.cnn"), "--runs", runs, "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "cnndsl", *command], capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{network}: {done.stdout}{done.stderr}")
        result = json.loads(done.stdout)
        ours, other = (result["milliseconds"][b] for b in ("numba-cpu", "onnxruntime"))
        print(
            f"{network:<16} {ours['median']:9.2f} {other['median']:9.2f} {result['ratio']:6.2f}"
            f"  {ours['lower_quartile']:.2f} - {ours['upper_quartile']:.2f}"
        )
    print(f"{result['threads']} threads, float32, batch 1, {runs} runs, {result['processor']}")


if __name__ == "__main__":
    main()
