"""Measure on a CUDA device, keep the results, renew what shows them: `python -m benchmarks.gpu`."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.__main__ import chosen_keys, measure
from benchmarks.gpu import plot, report
from benchmarks.gpu.cases import BATCHES, ENGINES, OURS, PARTS, PRECISIONS
from benchmarks.gpu.measure import job, parts, programs
from benchmarks.measure import Found, Session
from benchmarks.networks import ROOT
from benchmarks.results import Results, read_all

FOLDER = report.FOLDER
QUICK = ROOT / "out" / "benchmarks" / "gpu" / "quick"


@click.command(
    epilog="\b\nParts:\n" + "\n".join(f"  {p.name:<11} {p.about}" for p in PARTS.values())
)
@click.argument("names", metavar="[PART]...", nargs=-1, type=click.Choice([*PARTS]))
@click.option(
    "--only",
    metavar="NETWORK",
    multiple=True,
    type=click.Choice(list(dict.fromkeys(programs().values()))),
)
@click.option("--precision", "precisions", multiple=True, type=click.Choice(PRECISIONS))
@click.option("--batch", "batches", multiple=True, type=click.Choice([str(b) for b in BATCHES]))
@click.option(
    "--without",
    multiple=True,
    type=click.Choice([name for name in ENGINES if name != OURS]),
    help="Leave out an engine: torch.compile takes a minute for each case.",
)
@click.option("--resume", is_flag=True, help="Go on with a run that was interrupted.")
@click.option("--quick", is_flag=True, help="A few runs each; results go to out/benchmarks/gpu.")
@click.option("--report", "report_only", is_flag=True, help="Measure nothing; write the report.")
@click.option(
    "--results", "folder", type=click.Path(path_type=Path), help="Where results are kept."
)
def main(
    names: Sequence[str],
    only: Sequence[str],
    precisions: Sequence[str],
    batches: Sequence[str],
    without: Sequence[str],
    resume: bool,
    quick: bool,
    report_only: bool,
    folder: Path | None,
) -> None:
    """Measure all PARTs, or those named, on the first CUDA device, and write tables and plots.

    Without a device nothing is measured: the tables say so, and the exit code is 1.
    """
    folder = folder or (QUICK if quick else FOLDER)
    failed = 0
    if not report_only:
        found = job("describe")
        if "missing" in found:
            click.echo(f"nothing measured: {found['missing']}", err=True)
            failed = 1
        else:
            command = shlex.join(["python", "-m", "benchmarks.gpu", *sys.argv[1:]])
            chosen = parts(
                precisions or PRECISIONS,
                [int(b) for b in batches] or BATCHES,
                without,
                command,
            )
            failed = run(found, chosen, names, only, folder, resume=resume, quick=quick)
    write_report(folder)
    sys.exit(1 if failed else 0)


def run(
    found: Found,
    chosen: Found,
    names: Sequence[str],
    only: Sequence[str],
    folder: Path,
    *,
    resume: bool,
    quick: bool,
) -> int:
    """Measure on the device that was found; return how many cases failed."""
    with tempfile.TemporaryDirectory(prefix="cnndsl-benchmarks-") as modules:
        session = Session(Path(modules), 0, quick)
        begun = [
            (
                part,
                keys,
                Results.begin(
                    folder / f"{part.name}.json",
                    resume=resume,
                    here=found["machine"],
                    versions=found["versions"],
                ),
            )
            for part, keys in (chosen_keys(chosen[name], only) for name in names or chosen)
            if keys
        ]
        return sum(
            measure(part, keys, session, results, report.line) for part, keys, results in begun
        )


def write_report(folder: Path) -> None:
    """Write tables and plots beside the results and, for the kept ones, the README's section."""
    found = read_all(folder)
    folder.mkdir(parents=True, exist_ok=True)
    docs = Path(os.path.relpath(ROOT / "docs", folder.resolve())).as_posix()
    documents = {folder / "README.md": report.page(found, docs)}
    if folder == FOLDER:
        readme = ROOT / "README.md"
        documents[readme] = report.fill(readme.read_text(encoding="utf-8"), found)
    for path, text in documents.items():
        path.write_text(text, encoding="utf-8")
        click.echo(f"wrote {path}")
    for path in plot.draw(found, folder):
        click.echo(f"wrote {path}")


if __name__ == "__main__":
    main()
