"""Plots of what factorization saves and costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.factorization.accuracy import variant
from benchmarks.factorization.report import RULES, WAYS, speed_up
from benchmarks.factorization.times import DENSE
from benchmarks.results import Results
from benchmarks.tables import sound

_KINDS = {
    ("right", False): ("o", "none", "plain"),
    ("right", True): ("o", "full", "fitted to data"),
    ("right_retrained", False): ("^", "none", "plain, trained"),
    ("right_retrained", True): ("^", "full", "fitted, trained"),
}
"""Marks, filled or not, by what was done to the weights."""


def figures(found: Mapping[str, Results]) -> Iterator[tuple[str, Any]]:
    """Yield the plots that the results suffice for, with their names."""
    for name, draw in (("budget", _budget), ("chains", _chains), ("rules", _rules)):
        if name in found and sound(found[name]):
            yield name, draw(found[name])
    if "accuracy" in found and sound(found["accuracy"]):
        yield "accuracy", _accuracy(found["accuracy"], found.get("smaller"))


def _accuracy(accuracy: Results, smaller: Results | None) -> Any:
    """Return a row for each network: right answers against MACs, and against time."""
    from matplotlib import pyplot

    entries = sound(accuracy)
    networks = list(dict.fromkeys(e["network"] for e in entries.values()))
    schemes = list(dict.fromkeys(e["scheme"] for e in entries.values()))
    figure, panels = pyplot.subplots(
        len(networks), 2, figsize=(8, 3.2 * len(networks)), squeeze=False, sharey="row"
    )
    times = {} if smaller is None else {n: e["calls_ms"] for n, e in sound(smaller).items()}
    for row, network in zip(panels, networks, strict=True):
        own = [e for e in entries.values() if e["network"] == network]
        for e in own:
            color = f"C{schemes.index(e['scheme'])}"
            for (key, calibrated), (mark, fill, _) in _KINDS.items():
                points = [p for p in e["points"] if key in p and p["calibrated"] == calibrated]
                style = {"marker": mark, "fillstyle": fill, "color": color, "linestyle": "none"}
                rights = [p[key] / e["of"] for p in points]
                row[0].plot([p["macs"] / 1e6 for p in points], rights, **style, markersize=5)
                known = [
                    (times[network][name]["median"], right)
                    for p, right in zip(points, rights, strict=True)
                    if (name := variant(e["scheme"], p["share"], calibrated))
                    in times.get(network, {})
                ]
                row[1].plot(*zip(*known, strict=True), **style, markersize=5) if known else None
        dense = own[0]["dense"]
        right = dense["right"] / own[0]["of"]
        row[0].plot([dense["macs"] / 1e6], [right], "k*", markersize=9)
        if network in times:
            row[1].plot([times[network][DENSE]["median"]], [right], "k*", markersize=9)
        row[0].set_ylabel(f"{network}: right")
        row[0].set_xlabel("MACs, millions")
        row[1].set_xlabel("ms for a batch")
        row[0].set_xlim(left=0)
        row[1].set_xlim(left=0)
    for name in schemes:
        panels[0][0].plot([], [], "s", color=f"C{schemes.index(name)}", label=name)
    for mark, fill, label in _KINDS.values():
        panels[0][0].plot([], [], mark, fillstyle=fill, color="grey", label=label)
    panels[0][0].plot([], [], "k*", label="as it is")
    figure.legend(loc="lower center", bbox_to_anchor=(0.5, 0.9), ncols=5, frameon=False)
    return figure


def _budget(results: Results) -> Any:
    """Return bars: how many times as fast each network is within each budget."""
    from matplotlib import pyplot

    entries = sound(results)
    figure, axes = pyplot.subplots(figsize=(7, 2.8))
    width = 0.8 / len(WAYS)
    for number, way in enumerate(WAYS):
        heights = [speed_up(e["calls_ms"], way) or 0.0 for e in entries.values()]
        at = [place - 0.4 + width * (number + 0.5) for place in range(len(entries))]
        axes.bar(at, heights, width, label=WAYS[way].strip("`"))
    macs = [1 / e["share"] for e in entries.values()]
    axes.plot(range(len(entries)), macs, "k_", markersize=24, label="fewer MACs by so much")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(entries)), [key.replace(", ", "\n") for key in entries])
    axes.set_ylabel("times as fast")
    axes.legend(frameon=False)
    return figure


def _chains(results: Results) -> Any:
    """Return the measured gain of each chain against the one that the plan predicts."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(4.5, 4))
    chains = [c for e in sound(results).values() for c in e["chains"]]
    for scheme in dict.fromkeys(c["scheme"] for c in chains):
        own = [c for c in chains if c["scheme"] == scheme]
        predicted, measured = (
            [c[key][0] / c[key][1] for c in own] for key in ("predicted_s", "measured_s")
        )
        axes.plot(predicted, measured, "o", markersize=4, label=scheme)
    largest = max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.plot([0, largest], [0, largest], color="black", linewidth=0.8)
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_xlim(0, largest)
    axes.set_ylim(0, largest)
    axes.set_xlabel("predicted: layer / chain")
    axes.set_ylabel("measured: layer / chain")
    axes.legend(frameon=False)
    return figure


def _rules(results: Results) -> Any:
    """Return the error of each rule against the share of the MACs, a panel for each network."""
    from matplotlib import pyplot

    entries = sound(results)
    figure, panels = pyplot.subplots(1, len(entries), figsize=(4 * len(entries), 3), squeeze=False)
    for axes, (network, entry) in zip(panels[0], entries.items(), strict=True):
        for rule, label in RULES.items():
            known = [
                (share, e)
                for share, e in zip(entry["shares"], entry["errors"][rule], strict=True)
                if e is not None
            ]
            axes.plot(*zip(*known, strict=True), ".-", label=label)
        axes.set_title(network)
        axes.set_xlabel("share of the MACs")
        axes.set_ylim(bottom=0)
    panels[0][0].set_ylabel("error, all layers together")
    panels[0][0].legend(frameon=False)
    return figure
