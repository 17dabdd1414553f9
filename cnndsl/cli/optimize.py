"""`cnndsl optimize`: a cheaper network, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import click

from cnndsl.cli.options import (
    WeightsSource,
    examples,
    force_option,
    json_option,
    settings_option,
    sizes_of,
    threads_option,
    weights_options,
)
from cnndsl.cli.report import Report, progress, table
from cnndsl.diagnostics import CompileError, Diagnostic
from cnndsl.driver.optimizing import document, render
from cnndsl.driver.optimizing.document import Section
from cnndsl.driver.optimizing.kept import Kept
from cnndsl.driver.optimizing.measure import load_measure
from cnndsl.driver.optimizing.network import OUTPUTS, is_model, read_network, written
from cnndsl.driver.optimizing.optimize import optimize
from cnndsl.driver.optimizing.outcome import Outcome
from cnndsl.driver.optimizing.problems import Problems
from cnndsl.driver.optimizing.request import ACCEPT, known_schemes, read_request
from cnndsl.driver.optimizing.samples import read_calibration
from cnndsl.driver.optimizing.survey import check
from cnndsl.elaborate.inputs import Setting
from cnndsl.factorize.candidates import places
from cnndsl.files import Content, write_files
from cnndsl.ir.graph import Graph

_ALL = "all"

_SCHEMES = "\n\n".join(
    "\b\n" + head + "\n" + "\n".join(f"  {s.name:<21}{s.title}" for s in known.values())
    for head, known in (
        ("Schemes:", known_schemes(retrain=False)),
        ("Schemes of --retrain:", known_schemes(retrain=True)),
    )
)


@click.command(
    "optimize",
    epilog=_SCHEMES
    + "\n\n"
    + examples(
        "cnndsl optimize net.cnn --weights net.safetensors --factorize --budget macs=0.5x",
        "cnndsl optimize net.cnn --weights net.safetensors --factorize spatial_svd,tucker2 "
        "--budget params=2M -o small.cnn",
        "cnndsl optimize net.cnn --weights net.safetensors --factorize --calibrate pictures "
        "--max-error 0.02 -o small.cnn",
        "cnndsl optimize net.cnn --factorize stack3x3 --retrain --between bn,relu --ranks usual "
        "-o new.cnn",
        "cnndsl optimize model.onnx --factorize --budget macs=0.5x -o small.onnx",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--factorize",
    metavar="[SCHEMES]",
    is_flag=False,
    flag_value=_ALL,
    help="Replace layers by chains of smaller ones, of these schemes (separated by commas) or of "
    "all. Give it behind FILE.",
)
@click.option(
    "--budget",
    metavar="QUANTITY=AMOUNT",
    help="What the whole network may take: macs, params, weight_bytes or latency, as a share "
    "(0.5x) or a number (2M, 3ms).",
)
@click.option(
    "--max-error",
    type=click.FloatRange(0, min_open=True),
    help="Largest relative error of an output on the calibration data. Without a budget, as many "
    "MACs are saved as it allows.",
)
@click.option(
    "--good-enough",
    "measure",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Python file of yours, which is run: its good_enough(graph, weights) tells whether a "
    "network may be accepted, by any measure. Without a budget, as many MACs are saved as it "
    "allows.",
)
@click.option(
    "--calibrate",
    "calibration",
    metavar="PATH",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Data to fit the layers to: .npy, .npz, a picture, or a folder of these. Up to 128 "
    "samples are used, where maps are small up to 2048; a quarter of them is held out, to measure "
    "the error. May be given several times.",
)
@click.option(
    "--ranks",
    metavar="RULE",
    help="One rank for each layer and scheme: energy=0.95 keeps so much of the squares of singular "
    "values, evbmf what is no noise, both filled up to whole vectors where that is free; ratio=4 "
    "makes each layer's MACs so many times fewer, rate=4 its parameters; usual is for --retrain. "
    "Or by hand: a file of lines LAYER SCHEME RANKS, for example conv2 tucker2 32x64.",
)
@click.option(
    "--retrain",
    is_flag=True,
    help="Make another network, to be trained: the schemes are architectures then, and no weights "
    "are needed.",
)
@click.option(
    "--between",
    metavar="LAYERS",
    help="With --retrain, what stands between the factors: bn, an activation, or both (bn,relu).  "
    "[default: nothing]",
)
@click.option(
    "--accept",
    type=click.Choice(ACCEPT),
    default="any",
    show_default=True,
    help="Which chains may take a layer's place: any cheaper one, those predicted to be faster for "
    "numba-cpu, or those measured to be faster on this machine, in a network that is not slower as "
    "a whole. Measured times are kept in $XDG_CACHE_HOME/cnndsl.",
)
@threads_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Program (.cnn, its weights beside it) or model (.onnx) to write.  [default: none]",
)
@click.option(
    "--report",
    "document_path",
    type=click.Path(path_type=Path),
    help="Report to write: .html, or .md with its chart beside it.",
)
@click.option(
    "--resume",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Keep there what is computed for layers, and go on from what is there: the same command "
    "goes on where it was interrupted.",
)
@click.option(
    "--explain", "explained", metavar="LAYER", multiple=True, help="Say why a layer is as it is."
)
@settings_option
@weights_options()
@force_option
@json_option
@click.pass_obj
def command(
    report: Report,
    file: Path,
    factorize: str | None,
    budget: str | None,
    max_error: float | None,
    measure: Path | None,
    calibration: tuple[Path, ...],
    ranks: str | None,
    retrain: bool,
    between: str | None,
    accept: str,
    threads: int | None,
    output: Path | None,
    document_path: Path | None,
    resume: Path | None,
    explained: tuple[str, ...],
    settings: Mapping[str, Setting],
    source: WeightsSource,
    force: bool,
) -> None:
    """Make a network cheaper by factorization, within a budget, at the least loss.

    FILE is a program, whose trained weights --weights gives, or an ONNX model. For every layer all
    schemes and ranks are weighed against leaving it alone; what is not cheaper is never done.
    """
    if factorize is None:
        raise click.UsageError("say what to do: --factorize")
    if budget is None and max_error is None and ranks is None and measure is None:
        raise click.UsageError(
            "say how small it must become: --budget macs=0.5x, --max-error 0.02 or "
            "--ranks energy=0.95, for example"
        )
    if max_error is not None and not calibration:
        raise click.UsageError("--max-error is measured on data: give --calibrate PATH")
    if calibration and retrain:
        raise click.UsageError("--calibrate fits weights, and --retrain keeps none")
    if between is not None and not retrain:
        raise click.UsageError("--between is for architectures that are to be trained: --retrain")
    _check_paths(file, output, document_path, source)
    problems = Problems()
    names = [] if factorize == _ALL else [n.strip() for n in factorize.split(",") if n.strip()]
    request = replace(
        read_request(
            problems,
            schemes=names,
            budget=budget,
            ranks=ranks,
            between=between,
            retrain=retrain,
        ),
        max_error=max_error,
        good_enough=None if measure is None else problems.read(lambda: load_measure(measure)),
        accept=accept,
        threads=threads,
    )
    if is_model(file):
        sizes_of(settings)
    with progress(f"optimizing {file.name}") as notify:
        notify("reading")
        choice = source.choice(settings)
        network = problems.read(lambda: read_network(file, choice, with_weights=source.is_given))
        if network is None:
            problems.check()
            raise AssertionError("a network that cannot be read is a problem")
        graph = network.graph
        report.warnings(network.warnings)
        problems.read(lambda: check(graph, network.weights, request))
        data = problems.read(lambda: read_calibration(graph, calibration)) or ()
        problems.read(lambda: _check_labels(graph, explained))
        kept = problems.read(lambda: Kept(resume))
        problems.check()
        assert kept is not None
        outcome = optimize(graph, network.weights, request, data, kept, notify)
        found = [s for label in explained if (s := document.explanation(outcome, label))]
        files: dict[Path, Content] = {}
        if output is not None:
            notify("writing the network")
            files |= written(outcome, network, output)
        if document_path is not None:
            sections = document.document(outcome)
            files |= render.rendered(sections, document_path, file.name)
        write_files(files, force=force)
    if report.as_json:
        report.json(
            {"ok": True, "files": [str(p) for p in files], **render.as_json(outcome, found)}
        )
        return
    _print(outcome, found, network.notices)
    for path, content in files.items():
        click.echo(f"{path}  {len(content):,} bytes")


def _check_paths(
    file: Path, output: Path | None, document_path: Path | None, source: WeightsSource
) -> None:
    if output is not None and output.suffix not in OUTPUTS:
        raise click.UsageError(f"-o {output} ends in neither {' nor '.join(OUTPUTS)}")
    if document_path is not None and document_path.suffix not in render.SUFFIXES:
        raise click.UsageError(
            f"--report {document_path} ends in neither {' nor '.join(render.SUFFIXES)}"
        )
    if is_model(file) and source.is_given:
        raise click.UsageError(f"{file.name} holds its weights: give no --weights and no --seed")


def _check_labels(graph: Graph, explained: Sequence[str]) -> None:
    """Raise CompileError (CNN301) for labels to explain that no scheme looks at."""
    found, refused = places(graph, {})
    known = [use.label for place in found for use in place.uses] + [r.label for r in refused]
    others = {node.label for node in graph.nodes}
    problems = []
    for label in explained:
        if label in known:
            continue
        near = get_close_matches(label[:100], known, n=1)
        listed = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
        problems.append(
            Diagnostic(
                code="CNN301",
                message=f"no scheme looks at a layer {label[:100]!a}"
                if label in others
                else f"there is no layer {label[:100]!a}",
                help=f"did you mean {near[0]}?" if near else f"layers are {listed}",
            )
        )
    if problems:
        raise CompileError(problems)


def _print(outcome: Outcome, found: list[Section], notices: tuple[str, ...]) -> None:
    changed = sum(d.is_changed for d in outcome.decisions)
    sections = [
        Section("", (), document.layers(outcome) if changed else None),
        Section(
            "",
            (
                f"{changed} of {len(outcome.decisions)} layers are changed; --explain LAYER says "
                "why one is left as it is",
            ),
        ),
        Section("", (), document.totals(outcome)),
        *found,
    ]
    for section in sections:
        for paragraph in section.text:
            click.echo(paragraph)
        if section.table is not None:
            table(section.table.columns, section.table.rows)
    click.echo(f"{outcome.label.value}: {document.MEANING[outcome.label]}")
    if slower := document.slower_text(outcome):
        click.echo(f"note: {slower}")
    if unfitted := document.unfitted_text(outcome):
        click.echo(f"note: {unfitted}")
    if outcome.reused:
        click.echo(f"note: {outcome.reused} results are those of earlier runs")
    for notice in notices:
        click.echo(f"note: {notice}")
