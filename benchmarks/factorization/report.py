"""What the measurements of factorization come to: lines, tables, and the README's section."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from statistics import geometric_mean
from typing import Any

from benchmarks.factorization.accuracy import variant
from benchmarks.factorization.times import DENSE
from benchmarks.measure import Found
from benchmarks.results import Results
from benchmarks.tables import ms, sound, table

PICTURES = {
    "accuracy": "accuracy",
    "budget": "budget",
    "chains": "chains",
    "rules": "rules",
}
"""The plots beside a part's table."""

WAYS = {"any": "whatever is cheaper", "measured": "`--accept measured`"}

RULES = {"table": "dynamic programming", "greedy": "greedy", "uniform": "uniform"}

SAME = 0.97
"""How much faster a network may be measured than an equal one; above that it is slower."""


def line(entry: Found) -> str:
    """Say in a few words what a piece of work found."""
    match entry:
        case {"dense": dense, "points": points, "of": count}:
            shares = "  ".join(
                f"{p['share']:g}x {'fitted' if p['calibrated'] else 'plain'} {_right(p)}"
                for p in points
            )
            return f"{dense['right']} of {count} right; {shares}"
        case {"ways": ways, "calls_ms": times}:
            return "  ".join(f"{way} {_speed_up(times, way)}" for way in ways)
        case {"calls_ms": times}:
            return f"{len(times)} networks"
        case {"chains": chains}:
            return f"{len(chains)} chains, of {_agreed(chains)} the plan knew which is faster"
        case {"recovered": recovered}:
            found = [(int(r), f) for r, ranks in recovered.items() for f in ranks]
            return f"{sum(r == f for r, f in found)} of {len(found)} ranks found"
        case {"errors": errors}:
            return f"{len(errors)} rules"
    raise ValueError(f"nothing is known of {entry}")


# -- tables ------------------------------------------------------------------------------------


def _accuracy_table(results: Results) -> str:
    lines = [_verdict(results), ""]
    for network, entries in _by_network(results).items():
        first = entries[0]
        shares = sorted({p["share"] for e in entries for p in e["points"]}, reverse=True)
        epochs = f"after {first['epochs']} epochs"
        heading = ["scheme"]
        for share in shares:
            heading += [f"{share:g}x, plain", f"{share:g}x, fitted"]
        heading += [f"{shares[-1]:g}x, plain, {epochs}", f"{shares[-1]:g}x, fitted, {epochs}"]
        rows = []
        for e in entries:
            points = {(p["share"], p["calibrated"]): p for p in e["points"]}
            cells = [e["scheme"]]
            cells += [_share(points[s, c], e) for s in shares for c in (False, True)]
            cells += [_share(points[shares[-1], c], e, "right_retrained") for c in (False, True)]
            rows.append(cells)
        dense = first["dense"]
        lines += [
            f"{network}: {dense['macs']:_} MACs, {dense['right']} of {first['of']} held-out "
            f"pictures right ({dense['right'] / first['of']:.1%}).",
            "",
            table(heading, rows),
        ]
    return "\n".join(lines)


def _verdict(results: Results) -> str:
    """Say how often layers that are fitted to data answer better than plain ones."""
    better, equal, worse = fitted_against_plain(results)
    return (
        f"Of {better + equal + worse} pairs of networks of equal budget, the one fitted to data "
        f"answers more right in {better}, as many in {equal}, fewer in {worse}."
    )


def fitted_against_plain(results: Results) -> tuple[int, int, int]:
    """Return in how many pairs the fitted network is better, equal, and worse, without training."""
    signs = []
    for entry in sound(results).values():
        points = {(p["share"], p["calibrated"]): p for p in entry["points"]}
        for share in {p["share"] for p in entry["points"]}:
            plain, fitted = (points[share, c].get("right") for c in (False, True))
            if plain is not None and fitted is not None:
                signs.append((fitted > plain) - (fitted < plain))
    return signs.count(1), signs.count(0), signs.count(-1)


def _smaller_table(results: Results) -> str:
    text = []
    for network, entry in sound(results).items():
        times = entry["calls_ms"]
        names = [n for n in times if n != DENSE]
        shares = sorted({int(n.rsplit("_", 2)[1]) / 100 for n in names}, reverse=True)
        rows = []
        for scheme in dict.fromkeys(n.rsplit("_", 2)[0] for n in names):
            cells = [scheme]
            for share in shares:
                for calibrated in (False, True):
                    name = variant(scheme, share, calibrated)
                    cells.append(
                        f"{ms(times[name]['median'])} ({_speed_up(times, name)})"
                        if name in times
                        else ""
                    )
            rows.append(cells)
        heading = ["scheme", *(f"{s:g}x, {how}" for s in shares for how in ("plain", "fitted"))]
        text += [
            f"{network}: {ms(times[DENSE]['median'])} ms for {entry['batch']} pictures, as it is; "
            "ms, and how many times as fast:",
            "",
            table(heading, rows),
        ]
    return "\n".join(text)


def _budget_table(results: Results) -> str:
    rows = []
    for entry in sound(results).values():
        times = entry["calls_ms"]
        for way, found in entry["ways"].items():
            cells = [entry["network"], f"{entry['share']:g}x", WAYS[way]]
            if "unmet" in found:
                rows.append([*cells, "", "", "", "", found["unmet"]])
                continue
            before, after = found["predicted_s"]
            rows.append(
                [
                    *cells,
                    f"{found['changed']} of {found['layers']}",
                    f"{found['macs'][1] / found['macs'][0]:.2f}x",
                    f"{before / after:.2f}" if after else "",
                    f"{ms(times[DENSE]['median'])} -> {ms(times[way]['median'])}",
                    f"{_speed_up(times, way)}{_slower(times, way)}",
                ]
            )
    heading = ["network", "budget", "accepted", "layers changed", "MACs"]
    heading += ["changed layers, predicted times as fast", "network, ms", "times as fast"]
    return table(heading, rows, left=3)


def _chains_table(results: Results) -> str:
    rows = []
    for network, entry in sound(results).items():
        kinds = dict.fromkeys((c["scheme"], c["fewer"]) for c in entry["chains"])
        for scheme, fewer in kinds:
            own = [c for c in entry["chains"] if (c["scheme"], c["fewer"]) == (scheme, fewer)]
            predicted, measured = (
                geometric_mean(c[key][0] / c[key][1] for c in own)
                for key in ("predicted_s", "measured_s")
            )
            rows.append(
                [
                    network,
                    scheme,
                    str(fewer),
                    f"{predicted:.2f}",
                    f"{measured:.2f}",
                    f"{_agreed(own)} of {len(own)}",
                ]
            )
    heading = ["network", "scheme", "times fewer MACs", "predicted times as fast"]
    heading += ["measured times as fast", "plan and clock agree which is faster"]
    return table(heading, rows, left=2)


def _ranks_table(results: Results) -> str:
    rows = []
    for entry in sound(results).values():
        for rank, found in entry["recovered"].items():
            shape = f"{entry['rows']}x{entry['columns']}"
            right = sum(f == int(rank) for f in found)
            rows.append([shape, rank, f"{min(found)} to {max(found)}", f"{right} of {len(found)}"])
    return table(["matrix", "planted", "found", "right"], rows)


def _rules_table(results: Results) -> str:
    rows = []
    for network, entry in sound(results).items():
        for place, share in enumerate(entry["shares"]):
            lost = [entry["errors"][rule][place] for rule in RULES]
            cells = ["" if e is None else f"{e:.4f}" for e in lost]
            rows.append([network, f"{share:g}x", *cells])
    return table(["network", "MACs", *RULES.values()], rows)


TABLES: dict[str, Callable[[Results], str]] = {
    "accuracy": _accuracy_table,
    "smaller": _smaller_table,
    "budget": _budget_table,
    "chains": _chains_table,
    "ranks": _ranks_table,
    "rules": _rules_table,
}


# -- the README's section ----------------------------------------------------------------------


def section(found: Mapping[str, Results]) -> str:
    """Return the README's section: times within budgets, and what the other parts come to."""
    lines = []
    if "budget" in found:
        m = found["budget"].machine
        where = f"{m['processor']} ({m['vectors']}), {m['processors']} processors"
        lines += [f"Measured on {where}, all threads, one picture at a time:\n"]
        lines += [_budget_table(found["budget"])]
    lines += [f"- {text}" for text in _sentences(found)]
    return "\n".join(lines) + "\n" if lines else ""


def _sentences(found: Mapping[str, Results]) -> Iterator[str]:
    if "accuracy" in found:
        yield _verdict(found["accuracy"])
        for network, entries in _by_network(found["accuracy"]).items():
            yield f"{network}: {_best(entries)}"
    if "ranks" in found:
        pairs = [
            (int(rank), f)
            for entry in sound(found["ranks"]).values()
            for rank, ranks in entry["recovered"].items()
            for f in ranks
        ]
        yield f"EVBMF finds {sum(r == f for r, f in pairs)} of {len(pairs)} planted ranks."
    if "rules" in found:
        yield f"At equal MACs dynamic programming errs {_gains(found['rules'])}."


def _best(entries: list[Found]) -> str:
    """Say what the best scheme alone does at the least share."""
    first = entries[0]
    share = min(p["share"] for p in first["points"])
    texts = [f"{first['dense']['right'] / first['of']:.1%} right as it is"]
    for key, calibrated, how in (
        ("right", False, "plain"),
        ("right", True, "fitted to data"),
        ("right_retrained", True, f"after {first['epochs']} epochs of training"),
    ):
        rights = [
            (p[key], e["scheme"])
            for e in entries
            for p in e["points"]
            if key in p and (p["share"], p["calibrated"]) == (share, calibrated)
        ]
        if rights:
            right, scheme = max(rights)
            texts.append(f"{right / first['of']:.1%} {how} ({scheme})")
    return f"{texts[0]}; with {share:g}x of its MACs at best {', '.join(texts[1:])}."


def _gains(results: Results) -> str:
    texts = []
    for network, entry in sound(results).items():
        for rule in ("greedy", "uniform"):
            pairs = [
                (own, other)
                for own, other in zip(entry["errors"]["table"], entry["errors"][rule], strict=True)
                if own and other
            ]
            mean = geometric_mean(own / other for own, other in pairs)
            texts.append(f"{mean:.2f} times as much as {RULES[rule]} steps ({network})")
    return ", ".join(texts).replace("uniform steps", "equal shares")


# -- cells -------------------------------------------------------------------------------------


def _by_network(results: Results) -> dict[str, list[Found]]:
    grouped: dict[str, list[Found]] = {}
    for entry in sound(results).values():
        grouped.setdefault(entry["network"], []).append(entry)
    return grouped


def _right(point: Mapping[str, Any]) -> str:
    return str(point.get("right", "unmet"))


def _share(point: Mapping[str, Any], entry: Found, key: str = "right") -> str:
    return f"{point[key] / entry['of']:.1%}" if key in point else ""


def speed_up(times: Mapping[str, Mapping[str, float]], name: str) -> float | None:
    """Return how many times as fast a network is as the one it was made from."""
    return times[DENSE]["median"] / times[name]["median"] if name in times else None


def _speed_up(times: Mapping[str, Mapping[str, float]], name: str) -> str:
    ratio = speed_up(times, name)
    return "unmet" if ratio is None else f"{ratio:.2f}"


def _slower(times: Mapping[str, Mapping[str, float]], name: str) -> str:
    ratio = speed_up(times, name)
    return ", **slower**" if ratio is not None and ratio < SAME else ""


def _agreed(chains: list[Found]) -> int:
    """Return for how many chains plan and clock agree whether they are faster than the layer."""
    return sum(
        (c["predicted_s"][1] < c["predicted_s"][0]) == (c["measured_s"][1] < c["measured_s"][0])
        for c in chains
    )
