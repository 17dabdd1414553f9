"""From a .cfg file to a network, and from its .weights file to the network's weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import lcm
from pathlib import Path

from cnndsl.diagnostics import CompileError, Diagnostic, Diagnostics, Source
from cnndsl.importers.building import NetworkBuilder
from cnndsl.importers.darknet import arrange, heads, windows
from cnndsl.importers.darknet.options import Options, nearest
from cnndsl.importers.darknet.read import Section, read_cfg, read_sections
from cnndsl.importers.darknet.sections import LAYERS, REFUSED, canonical, known_sections
from cnndsl.importers.darknet.state import Case, Importing
from cnndsl.importers.darknet.weights import by_parameter, read_weights
from cnndsl.importers.imported import Imported
from cnndsl.ops.norm import BatchNorm
from cnndsl.types.extents import Dim, Extent
from cnndsl.types.tensor import DType, TensorType

CASES: dict[str, Case] = {**windows.CASES, **arrange.CASES, **heads.CASES}

_SIZES = ("height", "width")
_SYMBOLS = ("h", "w")
_OPEN_SYMBOLS = ("H", "W")

NORM_NOTICE = (
    "batch norms divide by sqrt(variance + 1e-5), as Darknet does on a GPU and its forks do "
    "everywhere; the first Darknet, on a processor, divides by sqrt(variance) + 1e-6"
)


def import_darknet(
    path: Path, weights: Path | None = None, sizes: Mapping[str, int] | None = None
) -> Imported:
    """Return the network of a .cfg file; raises CompileError with all that is wrong.

    Without a file of weights it has none. `sizes` replace `height` and `width`, which stay open
    otherwise, if the network allows it.
    """
    return import_cfg(read_cfg(path), weights, sizes)


def import_cfg(
    source: Source, weights: Path | None = None, sizes: Mapping[str, int] | None = None
) -> Imported:
    """Return the network of a .cfg file's text, as `import_darknet` does."""
    try:
        made = _import(source, sizes or {})
    except CompileError as error:
        # Sections, keys and values are looked at one after the other: tell it line by line.
        raise CompileError(sorted(error.diagnostics, key=_place)) from None
    if weights is None:
        notices = (*made.imported.notices, "no weights were read: --weights gives Darknet's file")
        return replace(made.imported, notices=notices)
    state, graph = made.state, made.imported.graph
    labels = {node.output.name: node.label for node in graph.nodes}
    shapes = {p.value.name: p.spec.shape for p in graph.parameters}
    arrays = by_parameter(read_weights(weights, state.pieces), labels, shapes)
    ordered = {name: arrays[name] for name in shapes}
    return replace(made.imported, weights=ordered)


def _import(source: Source, sizes: Mapping[str, int]) -> _Made:
    found = Diagnostics()
    options = _checked(read_sections(source, found), source, found)
    return _Network(options, found, sizes).run()


def _place(diagnostic: Diagnostic) -> int:
    return -1 if diagnostic.span is None else diagnostic.span.start


def _checked(sections: Sequence[Section], source: Source, found: Diagnostics) -> list[Options]:
    """Return the options of the sections, and report unknown sections and keys."""
    if not sections:
        found.raise_if_errors()
        message = f"{source.name} is not a .cfg file: it has no [section]"
        raise CompileError(Diagnostic(code="CNN806", message=message))
    options = [Options(s, canonical(s.name), found) for s in sections]
    first = sections[0]
    if options[0].name != "net":
        found.add(
            Diagnostic(
                code="CNN806",
                message=f"the first section is [{first.name[:100]}]",
                span=first.span,
                help="begin with [net], which gives height, width and channels",
            )
        )
    for o in options:
        if o.name in LAYERS or (o.name == "net" and o.section is first):
            o.check_keys()
        elif o.name == "net":
            o.error("CNN308", "only the first section gives the network's input", o.span)
        elif o.name in REFUSED:
            message = f"it cannot be said in the language: {REFUSED[o.name]}"
            o.error("CNN807", message, o.span)
        else:
            near = nearest(o.name, known_sections())
            help = f"did you mean [{near}]?" if near else None
            message = f"Darknet has no section [{o.name[:100]}]"
            found.add(Diagnostic(code="CNN302", message=message, span=o.span, help=help))
    if options[0].name != "net":
        found.raise_if_errors()  # without a size of the input all others would seem wrong
    return options


@dataclass(frozen=True, slots=True)
class _Made:
    state: Importing
    imported: Imported


@dataclass(slots=True)
class _Network:
    options: list[Options]
    found: Diagnostics
    sizes: Mapping[str, int]

    def run(self) -> _Made:
        """Build the network at the sizes of the file, then with open ones if that is possible."""
        for name in self.sizes:
            if name not in _SIZES:
                help = f"sizes of a .cfg file: {', '.join(_SIZES)}"
                message = f"there is no size {name} to set"
                self.found.add(Diagnostic(code="CNN317", message=message, help=help))
        shape = self._input()
        made = self._built(shape, (), self.found)
        if self.sizes or len(shape) == 1:
            return made
        for factors, symbols in _open_shapes(made.state, shape):
            inner = (shape[0], *(f * Dim.symbol(s) for f, s in zip(factors, symbols, strict=True)))
            usual = tuple((s, n // f) for s, n, f in zip(symbols, shape[1:], factors, strict=True))
            try:
                return self._built(inner, usual, Diagnostics())
            except CompileError:
                continue
        return made

    def _input(self) -> tuple[int, ...]:
        """Return channels, height and width of a picture, or the length of a vector."""
        net = self.options[0]
        if net.given("inputs") and not any(net.given(k) for k in (*_SIZES, "channels")):
            return (net.whole("inputs", least=1),)
        height, width = (net.whole(k, self.sizes.get(k), least=1) for k in _SIZES)
        channels = net.whole("channels", least=1)
        inputs = net.whole("inputs", channels * height * width)
        if inputs != channels * height * width and not net.failed:
            message = f"inputs is {inputs}, and the sizes make {channels * height * width}"
            net.error("CNN307", message, net.span_of("inputs"), "remove the line")
        return (channels, *(self.sizes.get(k, n) for k, n in zip(_SIZES, (height, width))))

    def _built(
        self, shape: Sequence[Extent], usual: tuple[tuple[str, int], ...], found: Diagnostics
    ) -> _Made:
        builder = NetworkBuilder("network", weights_follow=True)
        builder.diagnostics = found
        builder.comments[""] = "Imported from a .cfg file of Darknet."
        for symbol in ("N", *(name for name, _ in usual)):
            builder.reserve(symbol)
        type_ = TensorType(DType.FLOAT32, (Dim.symbol("N"), *shape))
        span = self.options[0].span
        word = "image" if len(shape) > 1 else "features"
        image = None if self.options[0].failed else builder.add_input(word, type_, span)
        layers = self.options[1:]
        names = [o.name for o in layers]
        sections = [o.section for o in layers]
        state = Importing(builder, sections, names, image, _readers(layers))
        for o in layers:
            case = CASES.get(o.name)
            state.values.append(case(o.again(found), state) if case else None)
        self._end(state, layers)
        found.raise_if_errors()
        return _Made(state, builder.finish(usual))

    def _end(self, state: Importing, layers: Sequence[Options]) -> None:
        """Make what the last layer makes an output, unless boxes are made of it."""
        builder = state.builder
        if not layers:
            o = self.options[0]
            builder.error("CNN316", "the file has no layers after [net]", o.span)
            return
        used = [o for o in layers if o.name != "cost"]
        last = used[-1] if used else layers[-1]
        value = state.values[last.section.index]
        if value is not None:
            name = "probabilities" if last.name == "softmax" else "result"
            builder.add_output(name, heads.ending(last, state, value), last.span)
        if state.without_activation:
            builder.notices.append(
                f"sections without an activation ({_lines(state.without_activation)}) have "
                "logistic, as in Darknet"
            )
        if state.thinned:
            builder.notices.append(
                f"shortcuts from larger maps ({_lines(state.thinned)}) take every second place, or "
                "third, ..., as the first Darknet does; its forks add what lies at the same place "
                "in memory"
            )
        if any(isinstance(layer.op, BatchNorm) for layer in builder.layers):
            builder.notices.append(NORM_NOTICE)


def _lines(sections: Sequence[Section]) -> str:
    """Return the lines of sections, if they are few, for a notice."""
    lines = ", ".join(str(section.span.line) for section in sections[:5])
    return f"line {lines}" + ("" if len(sections) <= 5 else f" and {len(sections) - 5} more")


def _readers(layers: Sequence[Options]) -> list[list[int]]:
    """Return, for each layer, those that read it, as far as the file can be understood."""
    readers: list[list[int]] = [[] for _ in layers]
    for here, o in enumerate(layers):
        sources = [] if o.name == "route" else [here - 1]
        for key in ("layers", "from"):
            entry = o.section.entries.get(key)
            if entry is not None:
                numbers = arrange.listed(entry.value)
                sources += [here + n if n < 0 else n for n in numbers]
        for source in sources:
            if 0 <= source < here:
                readers[source].append(here)
    return readers


def _open_shapes(
    state: Importing, shape: Sequence[int]
) -> list[tuple[tuple[int, int], tuple[str, str]]]:
    """Return factors and symbols for height and width, to try: any size, then multiples.

    The multiples are those at which every map of the network divides the picture evenly.
    """
    shapes: list[tuple[tuple[int, int], tuple[str, str]]] = [((1, 1), _OPEN_SYMBOLS)]
    factors = [1, 1]
    for value in state.values:
        spatial = state.type_of(value).spatial if value is not None else ()
        for axis, extent in enumerate(spatial):
            if isinstance(extent, int) and extent > 1 and shape[axis + 1] % extent == 0:
                factors[axis] = lcm(factors[axis], shape[axis + 1] // extent)
    if all(n % f == 0 for n, f in zip(shape[1:], factors, strict=True)):
        shapes.append(((factors[0], factors[1]), _SYMBOLS))
    return shapes
