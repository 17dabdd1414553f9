"""The parts of the benchmarks that are about factorization, and their pieces."""

from __future__ import annotations

from benchmarks.factorization.accuracy import ALL
from benchmarks.factorization.trained import TRAINED
from benchmarks.measure import Found, Part, Session, job
from benchmarks.networks import NETWORKS, ROOT

SCHEMES = (
    "spatial_svd",
    "channel_output",
    "channel_input",
    "asymmetric3d",
    "tucker2",
    "cp3",
    "cp4",
    "decouple_pointwise",
    "decouple_depthwise",
    ALL,
)
"""Schemes that are tried alone, and all of them at once."""

SHARES = (0.5, 0.25)
"""Of the MACs of a trained network that a smaller one may have."""

EPOCHS = 3
"""Of the short training: a tenth, or a fifth, of what the examples were trained for."""

LARGE = ("resnet18", "vgg16")
LARGE_SHARES = (0.75, 0.5, 0.25)

SMALLER = ROOT / "out" / "benchmarks" / "smaller"
"""Where the trained networks made smaller lie between the parts."""

KEPT = ROOT / "out" / "benchmarks" / "kept"
"""What was computed for the layers of large networks."""

RANKS = (0, 1, 5, 10, 20, 40, 60)
CURVE = tuple(i / 20 for i in range(3, 20))
"""Shares of the MACs at which rules of choosing are compared."""

PLAIN = ("spatial_svd", "channel_output", "tucker2")
"""Schemes that rules of choosing are compared on."""


def _accuracy(session: Session, key: str) -> Found:
    network, scheme = key.split(", ")
    return job(
        "accuracy",
        network=network,
        scheme=scheme,
        shares=list(SHARES),
        epochs=1 if session.quick else EPOCHS,
        folder=str(SMALLER),
    )


def _smaller(session: Session, key: str) -> Found:
    rounds = 1 if session.quick else 4
    return job("times", network=key, folder=str(SMALLER), threads=1, rounds=rounds)


def _budget(session: Session, key: str) -> Found:
    network, share = key.split(", ")
    return job(
        "within_budget",
        program=str(NETWORKS[network].path),
        share=float(share.removesuffix("x")),
        threads=session.threads,
        rounds=1 if session.quick else 6,
        folder=str(session.folder),
        kept=str(KEPT),
    )


def _chains(session: Session, key: str) -> Found:
    return job(
        "chains",
        program=str(NETWORKS[key].path),
        threads=session.threads,
        runs=5 if session.quick else 20,
    )


def _ranks(session: Session, key: str) -> Found:
    rows, columns = map(int, key.split("x"))
    return job(
        "recovered", rows=rows, columns=columns, ranks=list(RANKS), seeds=2 if session.quick else 10
    )


def _rules(session: Session, key: str) -> Found:
    return job("compared", network=key, schemes=list(PLAIN), shares=list(CURVE))


def factorization_parts() -> list[Part]:
    """Return the parts in the order in which they are measured."""
    each = {f"{n}, {s}": n for n in TRAINED for s in SCHEMES}
    within = {f"{n}, {s:g}x": n for n in LARGE for s in LARGE_SHARES}
    return [
        Part("accuracy", "trained networks made smaller: answers that stay right", each, _accuracy),
        Part(
            "smaller",
            "trained networks made smaller: their time, one thread",
            {name: name for name in TRAINED},
            _smaller,
        ),
        Part("budget", "large networks within budgets of MACs: their time", within, _budget),
        Part(
            "chains",
            "chains of layers: what the plan predicts against the clock",
            {name: name for name in LARGE},
            _chains,
        ),
        Part(
            "ranks",
            "planted ranks that EVBMF finds in noise",
            dict.fromkeys(("100x450", "256x256", "512x128"), ""),
            _ranks,
        ),
        Part(
            "rules",
            "rules of choosing ranks: the error that each comes to",
            {name: name for name in ("textures", "resnet18")},
            _rules,
        ),
    ]
