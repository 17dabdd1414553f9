"""Time what `cnndsl check` and `cnndsl summary` do, on networks of 100, 1 000 and 10 000 layers.

    python benchmarks/analysis_speed.py [--runs 3] [--profile chain]

A chain of convolution, batch norm and relu, residual blocks of seven layers, and a program that
writes every layer out (as many as a file may hold), from text to the finished result. Printed are
the best of some runs in seconds, after imports, and microseconds for each layer; these stay equal
where the time grows linearly. `--profile` shows where a network's 10 000 layers take their time.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from cnndsl.analysis.cost import summarize
from cnndsl.driver.figures import figures
from cnndsl.driver.load import load

SIZES = (100, 1_000, 10_000)


def chain(layers: int) -> str:
    """Return a program of about so many layers, one after the other."""
    return f"""network chain
input x: float32[N, 8, H = 64, W = 64]
block unit(width) = conv3x3(width) -> bn -> relu
output y = x -> unit(8) ** {layers // 3}
"""


def residual(layers: int) -> str:
    """Return a program of about so many layers, in residual blocks."""
    return f"""network residual
input x: float32[N, 8, H = 64, W = 64]
block unit(x, width) {{
  h = x -> conv3x3(width) -> bn -> relu -> conv3x3(width) -> bn
  return h + x -> relu
}}
output y = x -> unit(8) ** {layers // 7}
"""


def written_out(layers: int) -> str:
    """Return a program with a statement for each of so many layers, of symbolic sizes."""
    words = ("conv3x3(8)", "bn", "relu", "maxpool3x3(stride=1)")
    lines = [f"h{i + 1} = h{i} -> {words[i % 4]}" for i in range(min(layers, 6_000))]
    head = "network written\ninput x: float32[N, 8, H, W]\nh0 = x\n"
    return head + "\n".join(lines) + f"\noutput y = h{len(lines)}\n"


PROGRAMS: dict[str, Callable[[int], str]] = {
    "chain": chain,
    "residual": residual,
    "written": written_out,
}


def check(path: Path) -> int:
    """Do what `check` does; return the number of layers."""
    return len(summarize(load(path).graph).layers)


def summary(path: Path) -> int:
    """Do what `summary` does before it prints; return the number of layers."""
    return len(figures(load(path).graph, memory=False).layers)


def main() -> None:
    """Print a line for each program, size and command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=3, help="take the best of so many")
    parser.add_argument("--profile", choices=PROGRAMS, help="profile a summary instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.cnn"
        if options.profile:
            path.write_text(PROGRAMS[options.profile](SIZES[-1]))
            with cProfile.Profile() as profile:
                summary(path)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
            return
        for name, program in PROGRAMS.items():
            for size in SIZES:
                path.write_text(program(size))
                for command in (check, summary):
                    best = min(timed(command, path) for _ in range(options.runs))
                    seconds, layers = best
                    print(
                        f"{name:10} {layers:6} layers  {command.__name__:8} {seconds:8.3f} s "
                        f"{1e6 * seconds / layers:8.1f} us/layer"
                    )


def timed(command: Callable[[Path], int], path: Path) -> tuple[float, int]:
    """Return the seconds one run takes, and the number of layers."""
    start = perf_counter()
    layers = command(path)
    return perf_counter() - start, layers


if __name__ == "__main__":
    main()
