"""Match tensors to a network's parameters by name, and make them what the network needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from cnndsl.diagnostics import Diagnostic, Severity
from cnndsl.ir.graph import Graph, Parameter
from cnndsl.ops.base import Array
from cnndsl.weights.problems import Kind, Problem, misfit
from cnndsl.weights.shown import shown
from cnndsl.weights.stored import OutOfRange, StoredTensor, converted, stored

_COUNTER = "num_batches_tracked"
"""What PyTorch's batch norms keep beside their statistics; no result depends on it."""

_NEAR = 1000
"""Names among which the nearest is looked for."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Which tensor of the weights is which parameter of the network.

    `tensors` is by the parameter's name, in the graph's order. `left_out` are tensors that no
    network needs; `by_order` the layers that only their order told apart.
    """

    network: str
    tensors: Mapping[str, StoredTensor]
    problems: tuple[Problem, ...] = ()
    left_out: tuple[str, ...] = ()
    by_order: tuple[str, ...] = ()
    help: str | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights as the network needs them: float32, in the graph's order; and notices about them."""

    weights: Mapping[str, Array]
    notices: tuple[Diagnostic, ...] = ()


def match(graph: Graph, tensors: Mapping[str, Array]) -> Mapping[str, Array]:
    """Return the tensors of a graph's parameters in their order, in float32.

    Raises CompileError naming every tensor that is missing (CNN602), that the network does not
    have (CNN603), or that differs in shape or dtype (CNN604).
    """
    given = {name: stored(name, array) for name, array in tensors.items()}
    return fit(by_name(graph, given)).weights


def by_name(graph: Graph, tensors: Mapping[str, StoredTensor]) -> Matched:
    """Match by exact name."""
    parameters = {p.value.name: p for p in graph.parameters}
    left_out = tuple(n for n, t in tensors.items() if n not in parameters and is_left_out(t))
    extra = [n for n in tensors if n not in parameters and n not in set(left_out)]
    missing = [n for n in parameters if n not in tensors]
    problems = [
        *(_missing(parameters[n], extra) for n in missing),
        *(_extra(n, tensors[n], missing) for n in extra),
        *(
            problem
            for name, parameter in parameters.items()
            if name in tensors
            for problem in unlike(parameter, tensors[name])
        ),
    ]
    found = {n: tensors[n] for n in parameters if n in tensors}
    advice = _advice(missing, extra) if problems else None
    return Matched(graph.name, found, tuple(problems), left_out, help=advice)


def is_left_out(tensor: StoredTensor) -> bool:
    """Return whether a tensor is no weight of any layer."""
    return tensor.is_constant or tensor.name.rpartition(".")[2] == _COUNTER


def unlike(parameter: Parameter, tensor: StoredTensor) -> Iterator[Problem]:
    """Yield what keeps a tensor from being a parameter: its shape, its dtype."""
    name, shape = parameter.value.name, parameter.spec.shape
    if tensor.shape != shape:
        wanted, got = str(list(shape)), str(list(tensor.shape))
        yield Problem(Kind.SHAPE, name, wanted, got, span=parameter.span)
    elif not tensor.is_float:
        help = "give a file that holds floating-point numbers"
        yield Problem(Kind.DTYPE, name, "float32", tensor.dtype, help=help, span=parameter.span)


def fit(matched: Matched) -> Fitted:
    """Read the tensors and make them float32; raises CompileError with all that is wrong."""
    if matched.problems:
        raise misfit(f"network {matched.network}", matched.problems, matched.help)
    weights: dict[str, Array] = {}
    problems = []
    for name, tensor in matched.tensors.items():
        try:
            weights[name] = converted(tensor.read(), "float32")
        except OutOfRange as error:
            problems.append(Problem(Kind.RANGE, name, "float32", tensor.dtype, str(error)))
    if problems:
        raise misfit(f"network {matched.network}", problems)
    return Fitted(weights, tuple(_notices(matched)))


def conversion_notices(tensors: Iterable[StoredTensor], dtype: str) -> Iterator[Diagnostic]:
    """Say which dtypes were converted to another one."""
    for found, count in Counter(t.dtype for t in tensors).items():
        if found != dtype:
            yield _notice("CNN905", f"{_tensors(count)} converted from {found} to {dtype}")


def left_out_notice(names: Sequence[str]) -> Iterator[Diagnostic]:
    """Say which tensors are left out."""
    if names:
        listed = ", ".join(map(shown, names[:3])) + (", ..." if len(names) > 3 else "")
        count = _tensors(len(names))
        yield _notice("CNN906", f"{count} left out, which no layer needs: {listed}")


def _notices(matched: Matched) -> Iterator[Diagnostic]:
    yield from conversion_notices(matched.tensors.values(), "float32")
    yield from left_out_notice(matched.left_out)
    if matched.by_order:
        names = ", ".join(map(shown, matched.by_order[:3]))
        rest = ", ..." if len(matched.by_order) > 3 else ""
        yield _notice(
            "CNN907",
            f"only the order of names told {len(matched.by_order)} layers of equal shapes apart: "
            f"{names}{rest}",
            "the file itself has another order or is sorted by name: look through what "
            "cnndsl weights map prints, and compare a result",
        )


def _notice(code: str, message: str, help: str | None = None) -> Diagnostic:
    return Diagnostic(code=code, message=message, help=help, severity=Severity.WARNING)


def _tensors(count: int) -> str:
    return "1 tensor is" if count == 1 else f"{count} tensors are"


def _missing(parameter: Parameter, extra: list[str]) -> Problem:
    near = get_close_matches(parameter.value.name, extra[:_NEAR], n=1, cutoff=0.75)
    return Problem(
        Kind.MISSING,
        parameter.value.name,
        wanted=str(list(parameter.spec.shape)),
        help=f"rename {shown(near[0])} to {parameter.value.name}" if near else None,
        span=parameter.span,
    )


def _extra(name: str, tensor: StoredTensor, missing: list[str]) -> Problem:
    near = get_close_matches(name[:200], sorted(missing)[:_NEAR], n=1, cutoff=0.75)
    return Problem(
        Kind.EXTRA,
        name,
        got=str(list(tensor.shape)),
        help=f"the network has {near[0]}" if near else "leave it out of the weights",
    )


def _advice(missing: list[str], extra: list[str]) -> str | None:
    """Return what may mend all names at once: a prefix that wrappers add, or another match."""
    if not missing or not extra:
        return None
    wanted = set(missing)
    prefix = extra[0].partition(".")[0] + "."
    if all(name.startswith(prefix) and name.removeprefix(prefix) in wanted for name in extra):
        return f"names begin with {shown(prefix)}: give --map FILE, with the line {prefix}** -> **"
    return (
        "names of another framework? match by order and shape with --match order, or rename them "
        "with --map FILE; cnndsl weights map shows what goes where"
    )
