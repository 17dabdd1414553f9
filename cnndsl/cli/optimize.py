"""`cnndsl optimize`: a cheaper network, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

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
from cnndsl.driver.optimizing.calibrate import read_calibration
from cnndsl.driver.optimizing.document import Section
from cnndsl.driver.optimizing.network import OUTPUTS, is_model, read_network, written
from cnndsl.driver.optimizing.optimize import optimize
from cnndsl.driver.optimizing.outcome import Outcome
from cnndsl.driver.optimizing.request import ACCEPT, Request, known_schemes, schemes_named
from cnndsl.driver.optimizing.rules import parse_rule
from cnndsl.elaborate.inputs import Setting
from cnndsl.factorize.choosing.budget import parse_budget
from cnndsl.files import Content, write_files

T = TypeVar("T")

_ALL = "all"


@click.command(
    "optimize",
    epilog=examples(
        "cnndsl optimize net.cnn --weights net.safetensors --factorize --budget macs=0.5x",
        "cnndsl optimize net.cnn --weights net.safetensors --factorize spatial_svd,tucker2 "
        "--budget params=2M -o small.cnn",
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
    "--calibrate",
    "calibration",
    metavar="PATH",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Data to fit the layers to: .npy, .npz, a picture, or a folder of these. Up to 128 "
    "samples are used; a quarter of them is held out, to measure the error. May be given several "
    "times.",
)
@click.option(
    "--ranks",
    metavar="RULE",
    help="One rank for each layer and scheme: energy=0.95, evbmf, ratio=4, or a file of lines "
    "LAYER SCHEME RANKS.",
)
@click.option(
    "--retrain",
    is_flag=True,
    help="Make another network, to be trained: the schemes are architectures then, and no weights "
    "are needed.",
)
@click.option(
    "--accept",
    type=click.Choice(ACCEPT),
    default="any",
    show_default=True,
    help="Which chains may take a layer's place: any cheaper one, those predicted to be faster for "
    "numba-cpu, or those measured to be faster on this machine.",
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
    calibration: tuple[Path, ...],
    ranks: str | None,
    retrain: bool,
    accept: str,
    threads: int | None,
    output: Path | None,
    document_path: Path | None,
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
    if budget is None and max_error is None and ranks is None:
        raise click.UsageError(
            "say how small it must become: --budget macs=0.5x, --max-error 0.02 or "
            "--ranks energy=0.95, for example"
        )
    if max_error is not None and not calibration:
        raise click.UsageError("--max-error is measured on data: give --calibrate PATH")
    if calibration and retrain:
        raise click.UsageError("--calibrate fits weights, and --retrain keeps none")
    _check_paths(file, output, document_path, source)
    request = replace(
        _request(factorize, budget, ranks, retrain),
        max_error=max_error,
        accept=accept,
        threads=threads,
    )
    if is_model(file):
        sizes_of(settings)
    with progress(f"optimizing {file.name}") as notify:
        notify("reading")
        network = read_network(file, source.choice(settings), with_weights=source.is_given)
        report.warnings(network.warnings)
        data = read_calibration(network.graph, calibration)
        outcome = optimize(network.graph, network.weights, request, data, notify)
        found = [_explained(outcome, label) for label in explained]
        files: dict[Path, Content] = {}
        if output is not None:
            notify("writing the network")
            files |= written(outcome, network, output)
        if document_path is not None:
            sections = document.document(outcome)
            files |= render.rendered(sections, document_path, file.name)
        write_files(files, force=force)
    if report.as_json:
        report.json({"ok": True, "files": [str(p) for p in files], **render.as_json(outcome)})
        return
    _print(outcome, found, network.notices)
    for path, content in files.items():
        click.echo(f"{path}  {len(content):,} bytes")


def _request(factorize: str, budget: str | None, ranks: str | None, retrain: bool) -> Request:
    """Return what the options ask for; raises CompileError with everything wrong in them."""
    problems: list[Diagnostic] = []

    def read(parse: Callable[[], T]) -> T | None:
        try:
            return parse()
        except CompileError as error:
            problems.extend(error.diagnostics)
            return None

    names = [] if factorize == _ALL else [n.strip() for n in factorize.split(",") if n.strip()]
    schemes = read(lambda: schemes_named(names, retrain=retrain)) or ()
    bound = None if budget is None else read(lambda: parse_budget(budget))
    known = known_schemes(retrain=retrain)
    rule = None if ranks is None else read(lambda: parse_rule(ranks, known))
    if problems:
        raise CompileError(problems)
    return Request(schemes=schemes, budget=bound, ranks=rule)


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


def _explained(outcome: Outcome, label: str) -> Section:
    section = document.explanation(outcome, label)
    if section is None:
        known = ", ".join(d.place.label for d in outcome.decisions[:10])
        reason = next((r.reason for r in outcome.refused if r.label == label), None)
        raise CompileError(
            Diagnostic(
                code="CNN301",
                message=f"{label} is {reason}"
                if reason
                else f"no scheme looks at a layer {label!a}",
                help=f"layers are {known}{', ...' if len(outcome.decisions) > 10 else ''}",
            )
        )
    return section


def _print(outcome: Outcome, found: list[Section], notices: tuple[str, ...]) -> None:
    changed = sum(d.is_changed for d in outcome.decisions)
    sections = [
        Section("", (), document.layers(outcome, changed=True) if changed else None),
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
    for notice in notices:
        click.echo(f"note: {notice}")
