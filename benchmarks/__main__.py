"""Measure, keep the results, and renew what shows them: `python -m benchmarks [PART...]`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter

import click

from benchmarks import plot, report
from benchmarks.measure import Found, JobError, Part, Session
from benchmarks.networks import ROOT
from benchmarks.parts import GROUPS, parts
from benchmarks.results import FOLDER, Results, machine, read_all

QUICK = ROOT / "out" / "benchmarks"
PARTS = parts()
RUN = list(dict.fromkeys(n for part in PARTS.values() for n in part.keys.values() if n))


@click.command(
    epilog="\b\nParts:\n"
    + "\n".join(f"  {p.name:<11} {p.about}" for p in PARTS.values())
    + "\n\n\b\nAll parts of a kind:\n"
    + "\n".join(f"  {name}: {', '.join(names)}" for name, names in GROUPS.items())
)
@click.argument("names", metavar="[PART]...", nargs=-1, type=click.Choice([*PARTS, *GROUPS]))
@click.option("--only", metavar="NETWORK", multiple=True, type=click.Choice(RUN))
@click.option("--threads", type=click.IntRange(1), help="[default: all processors]")
@click.option("--resume", is_flag=True, help="Go on with a run that was interrupted.")
@click.option("--quick", is_flag=True, help="A few calls each; results go to out/benchmarks.")
@click.option("--report", "report_only", is_flag=True, help="Measure nothing; write the report.")
@click.option(
    "--results", "folder", type=click.Path(path_type=Path), help="Where results are kept."
)
def main(
    names: Sequence[str],
    only: Sequence[str],
    threads: int | None,
    resume: bool,
    quick: bool,
    report_only: bool,
    folder: Path | None,
) -> None:
    """Measure all PARTs, or those named, and write tables and plots of all results."""
    folder = folder or (QUICK if quick else FOLDER)
    failed = 0
    if not report_only:
        with tempfile.TemporaryDirectory(prefix="cnndsl-benchmarks-") as modules:
            session = Session(Path(modules), threads or machine()["processors"], quick)
            named = [n for name in names for n in GROUPS.get(name, (name,))]
            chosen = [chosen_keys(PARTS[name], only) for name in named or PARTS]
            # All begin before the first is measured, so that --resume knows what is left.
            begun = [
                (part, keys, Results.begin(folder / f"{part.name}.json", resume=resume))
                for part, keys in chosen
                if keys
            ]
            for part, keys, results in begun:
                failed += measure(part, keys, session, results)
    write_report(folder)
    sys.exit(1 if failed else 0)


def chosen_keys(part: Part, only: Sequence[str]) -> tuple[Part, list[str]]:
    """Return a part and which of its pieces run one of the chosen networks."""
    return part, [key for key, network in part.keys.items() if not only or network in only]


def measure(
    part: Part,
    keys: Sequence[str],
    session: Session,
    results: Results,
    line: Callable[[Found], str] = report.line,
) -> int:
    """Measure what the run has not yet, keeping each result at once; return how many failed."""
    failed = 0
    for number, key in enumerate(keys, 1):
        click.echo(f"{part.name} {number}/{len(keys)}  {key:<16} ", nl=False)
        if results.has(key):
            click.echo("measured already")
            continue
        start = perf_counter()
        try:
            entry = part.measure(session, key)
        except JobError as failure:
            failed += 1
            entry = {"error": str(failure)}
        results.add(key, entry)
        click.echo(f"{line(entry)}  ({perf_counter() - start:.0f} s)")
    results.finish()
    return failed


def write_report(folder: Path) -> None:
    """Write tables and plots beside the results and, for the kept ones, the README's section."""
    found = read_all(folder)
    folder.mkdir(parents=True, exist_ok=True)
    docs = Path(os.path.relpath(ROOT / "docs", folder.resolve())).as_posix()
    documents: Mapping[Path, str] = {folder / "README.md": report.page(found, docs)}
    if folder == FOLDER:
        readme = ROOT / "README.md"
        documents = {**documents, readme: report.fill(readme.read_text(encoding="utf-8"), found)}
    for path, text in documents.items():
        path.write_text(text, encoding="utf-8")
        click.echo(f"wrote {path}")
    for path in plot.draw(found, folder):
        click.echo(f"wrote {path}")


if __name__ == "__main__":
    main()
