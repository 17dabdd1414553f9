"""From a model to a network: inputs, then nodes one by one, then outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from onnx import ModelProto, TensorProto

from cnndsl.diagnostics import Diagnostic
from cnndsl.elaborate.emission import too_large
from cnndsl.importers.building import NetworkBuilder
from cnndsl.importers.imported import Imported
from cnndsl.importers.onnx import (
    arrange,
    axes,
    local,
    norms,
    pointwise,
    recognised,
    resolution,
    windows,
)
from cnndsl.importers.onnx.call import Call, Cases
from cnndsl.importers.onnx.fold import can_fold, fold
from cnndsl.importers.onnx.folding import FoldError
from cnndsl.importers.onnx.inference import inferred_types
from cnndsl.importers.onnx.model import Declared, Model, NodeView
from cnndsl.importers.onnx.patterns import PATTERNS as COMMON_PATTERNS
from cnndsl.importers.onnx.patterns import recognise
from cnndsl.importers.onnx.read import check_model, read_file
from cnndsl.importers.onnx.refusals import reason_for
from cnndsl.importers.onnx.state import MAX_RANK, Importing, Known, Unknown, Unsupported, View
from cnndsl.importers.onnx.symbols import Symbols
from cnndsl.importers.onnx.tensors import FLOATS, DataFiles, dtype_name
from cnndsl.ir.usual_sizes import of_properties
from cnndsl.ops.activation import Identity
from cnndsl.ops.base import Array
from cnndsl.types.extents import Extent
from cnndsl.types.tensor import DType, TensorType
from cnndsl.weights.shown import shown

CASES: Cases = {
    **windows.CASES,
    **pointwise.CASES,
    **norms.CASES,
    **axes.CASES,
    **arrange.CASES,
    **resolution.CASES,
    **recognised.CASES,
    **local.CASES,
}

PATTERNS = {**COMMON_PATTERNS, "Reshape": (*COMMON_PATTERNS["Reshape"], local.local_pattern)}

_DTYPES: dict[int, DType] = {
    **dict.fromkeys(FLOATS, DType.FLOAT32),
    TensorProto.INT32: DType.INT32,
    TensorProto.INT64: DType.INT64,
}
_FREE_BYTES = 1 << 31
"""Weights that any file may give: models for tests make theirs of a few numbers."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output: the model's name and the network's, and the axes as the model has them.

    `axes` lists, for each axis of the model, the network's axis; None is an axis of extent 1 that
    the network does not have. Where they are 0, 1, 2... the two are alike.
    """

    outer: str
    inner: str
    axes: tuple[int | None, ...]
    type: TensorType


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """An imported network, and how the model's inputs and outputs correspond to its own."""

    imported: Imported
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def import_onnx(path: Path, sizes: Mapping[str, int] | None = None) -> Imported:
    """Return the network in an ONNX file; raises CompileError with all that is wrong.

    `sizes` are for symbols of its inputs, which they replace.
    """
    proto = read_file(path)
    size = path.stat().st_size
    return import_model(proto, path.parent, size, sizes=sizes, thorough=True).imported


def import_model(
    proto: ModelProto,
    folder: Path | None = None,
    file_bytes: int = 0,
    constants: Mapping[str, Array] | None = None,
    sizes: Mapping[str, int] | None = None,
    *,
    thorough: bool = False,
) -> ImportedModel:
    """Return the network of a model; raises CompileError with all that is wrong.

    Data files are read beside it, in `folder`. `constants` are values for some of its inputs, which
    become weights or numbers of the network; `sizes` those of symbols. After a refusal the import
    goes on; where types are needed that the model does not declare, a `thorough` one has ONNX infer
    them, which takes a second.
    """
    model = check_model(proto, file_bytes)
    return _Import(model, proto, folder, constants or {}, sizes or {}, thorough).run()


@dataclass
class _Import:
    model: Model
    proto: ModelProto
    folder: Path | None
    constants: Mapping[str, Array]
    sizes: Mapping[str, int]
    thorough: bool
    refused: dict[tuple[str, str, str | None], list[NodeView]] = field(default_factory=dict)
    constant: set[str] = field(default_factory=set)
    """What nodes of constants make, known or refused."""
    _inferred: dict[str, Declared] | None = None

    def run(self) -> ImportedModel:
        files = DataFiles(self.folder)
        self.builder = NetworkBuilder(self.model.name or "network")
        self.builder.comments[""] = _origin(self.proto, self.model.opset)
        self.symbols = Symbols(self.sizes)
        self.state = Importing(self.model, self.builder, files, recognise(self.model, PATTERNS))
        for name, array in self.constants.items():
            self.state.settle(name, array)
        ports = self._inputs()
        for node in self.state.nodes:
            self._node(node)
        self._report()
        outputs = self._outputs()
        self._report()
        self.builder.max_weight_bytes = _FREE_BYTES + 2 * (
            self.model.file_bytes + files.total_bytes
        )
        self._notices([*ports, *outputs])
        imported = self.builder.finish()
        properties = ((p.key, p.value) for p in self.proto.metadata_props)
        usual = of_properties(imported.graph, properties)
        imported = replace(imported, graph=replace(imported.graph, usual_sizes=usual))
        return ImportedModel(imported, tuple(ports), tuple(outputs))

    # -------------------------------------------------------------------- inputs

    def _inputs(self) -> list[Port]:
        open_inputs = {n: d for n, d in self.model.inputs.items() if n not in self.constants}
        shapes = {n: self._shape(n, d) for n, d in open_inputs.items()}
        for symbol in self.sizes.keys() - self.symbols.taken:
            known = ", ".join(sorted(self.symbols.taken)) or "none"
            message = f"the model's inputs have no symbol {symbol} to set"
            self.builder.error("CNN317", message, None, f"their symbols: {known}")
        self.builder.diagnostics.raise_if_errors()
        for symbol in sorted(self.symbols.taken):
            self.builder.reserve(symbol)
        ports = []
        for name, declared in open_inputs.items():
            shape = shapes[name]
            assert shape is not None
            axes = self._axes(name, shape)
            inner: list[Extent] = [1] * max(len(shape), 2)
            for axis, extent in zip(axes, shape, strict=True):
                inner[axis] = extent
            type_ = TensorType(_DTYPES[declared.element], tuple(inner))
            value = self.builder.add_input(name, type_)
            if value is None:
                continue
            self.state.note_type(declared.element)
            self.state.settle(name, View(value, axes))
            ports.append(Port(name, value, axes, type_))
        self.builder.diagnostics.raise_if_errors()
        return ports

    def _shape(self, name: str, declared: Declared) -> tuple[Extent, ...] | None:
        what = f'the input "{shown(name)}"'
        if declared.element not in _DTYPES:
            kind = dtype_name(declared.element) if declared.element else "no tensor"
            self.builder.error("CNN807", f"{what} is {kind}; the language takes float32", None)
        elif declared.shape is None:
            self.builder.error("CNN806", f"{what} declares no shape", None)
        elif len(declared.shape) > MAX_RANK:
            self.builder.error(
                "CNN807",
                f"{what} has {len(declared.shape)} axes; a tensor has batch, channels and up to "
                "three spatial axes",
                None,
            )
        elif 0 in declared.shape:
            self.builder.error(
                "CNN806",
                f"{what} has the extent 0 on an axis",
                None,
                help="an extent that is open has a name (dim_param), or none",
            )
        else:
            return self.symbols.shape(declared.shape)
        return None

    def _axes(self, name: str, shape: tuple[Extent, ...]) -> tuple[int, ...]:
        """Return where the network has each axis: elsewhere if all readers move the last to axis 1.

        A vector of known length holds the features of one sample, another a number per sample.
        """
        rank = len(shape)
        if rank == 1:
            return (1,) if isinstance(shape[0], int) else (0,)
        readers = self.state.readers(name)
        perms = {tuple(r.attribute("perm") or ()) if r.op == "Transpose" else () for r in readers}
        if rank > 2 and len(perms) == 1 and not self.state.is_output(name):
            (perm,) = perms
            if perm == (0, rank - 1, *range(1, rank - 1)):
                return tuple(perm.index(i) for i in range(rank))
        return tuple(range(rank))

    # --------------------------------------------------------------------- nodes

    def _node(self, node: NodeView) -> None:
        results: Sequence[Known]
        try:
            results = self._results(node)
        except Unsupported as refusal:
            self._refuse(node, refusal)
            results = [self._placeholder(name) for name in node.outputs]
        except Unknown:
            results = [self._placeholder(name) for name in node.outputs]
        for name, result in zip(node.outputs, results, strict=False):
            if name:
                self.state.settle(name, result)

    def _results(self, node: NodeView) -> Sequence[Known]:
        constant = self._is_constant(node)
        case = CASES.get(node.op) if node.version else None
        if case is None and not constant:
            raise Unsupported(*reason_for(node.op, node.version))
        if constant:
            self.constant.update(node.outputs)
            operands = [self.state.look_up(name) if name else None for name in node.inputs]
            try:
                return fold(node, [None if isinstance(o, View) else o for o in operands])
            except FoldError as error:
                raise Unsupported(f"it {error}") from None
        assert case is not None
        call = Call(self.state, node)
        result = case(call)
        call.check_attributes()
        return result if isinstance(result, tuple) else (result,)

    def _is_constant(self, node: NodeView) -> bool:
        """Tell whether a node's operands are constants, even if one of them was refused."""
        if not node.version or not can_fold(node):
            return False
        return all(
            name in self.constant
            or name in self.model.constants
            or not isinstance(self.state.known[name], View | None)
            for name in node.inputs
            if name
        )

    def _refuse(self, node: NodeView, refusal: Unsupported) -> None:
        self.refused.setdefault((node.op, refusal.reason, refusal.help), []).append(node)

    def _placeholder(self, name: str) -> Known:
        """Return a tensor of the type that a refused node makes, so that others are looked at."""
        if not self.state.readers(name):
            return None
        declared = self._types().get(name)
        if declared is None or declared.element not in FLOATS or declared.shape is None:
            return None
        if not 2 <= len(declared.shape) <= MAX_RANK or 0 in declared.shape:
            return None
        if not all(isinstance(e, int) for e in declared.shape[1:]):
            return None  # a size that is not known would be blamed next
        type_ = TensorType(DType.FLOAT32, self.symbols.shape(declared.shape))
        if too_large(type_, name):
            return None
        value = self.builder.add_input(name, type_)
        return None if value is None else self.state.whole(value)

    def _types(self) -> Mapping[str, Declared]:
        """Return the types of tensors as the model declares them, or ONNX infers them."""
        if self._inferred is None:
            self._inferred = dict(self.model.types)
            if self.thorough:
                self._inferred |= inferred_types(self.proto, self.model.file_bytes)
        return self._inferred

    def _report(self) -> None:
        """Raise CompileError with every refusal, those of one kind together with their number."""
        for (_, reason, help), nodes in self.refused.items():
            count = "" if len(nodes) == 1 else f" and {len(nodes) - 1} more"
            message = f"{nodes[0].where}{count}: {reason}"
            self.builder.diagnostics.add(Diagnostic(code="CNN807", message=message, help=help))
        self.builder.diagnostics.raise_if_errors()

    # ------------------------------------------------------------------- outputs

    def _outputs(self) -> list[Port]:
        ports = []
        for name in self.model.outputs:
            node = NodeView("output", 1, (), (name,), {}, "", 0)
            try:
                view = self.state.look_up(name)
                if not isinstance(view, View):
                    raise Unsupported("it is a constant, which no network computes")
                # Where that cannot be, the output has the network's axes, and a notice says so.
                with suppress(Unsupported):
                    view = self.state.whole(self.state.plain(view, node))
                if self.builder.layer_of(view.value) is None:
                    view = View(self.state.emit(node, Identity(), (view.value,)), view.axes)
            except Unsupported as refusal:
                message = f'the output "{shown(name)}": {refusal.reason}'
                self.builder.error("CNN807", message, None, refusal.help)
                continue
            inner = self.builder.add_output(name, view.value)
            ports.append(Port(name, inner, view.axes, self.state.type_of(view)))
        return ports

    def _notices(self, ports: Sequence[Port]) -> None:
        notices = self.builder.notices
        for kind, count in sorted(self.state.converted.items()):
            notices.append(
                f"{count} {'tensor' if count == 1 else 'tensors'} of {kind} became float32"
            )
        if self.model.dead:
            notices.append(f"{self.model.dead} nodes that no output needs were left out")
        for port in ports:
            if port.axes != tuple(range(port.type.rank)):
                notices.append(
                    f'"{shown(port.outer)}" is {port.type} in the network: '
                    f"the model's axes are its axes {_listed(port.axes)}"
                )


def _origin(proto: ModelProto, opset: int) -> str:
    """Say where a network comes from, for the head of its source."""
    maker = " ".join(f"{proto.producer_name} {proto.producer_version}".split())
    made = f" by {maker}" if maker.isascii() and maker.isprintable() and len(maker) < 60 else ""
    return (
        f"Imported from ONNX (opset {opset}), written{made}."
        if made
        else (f"Imported from ONNX (opset {opset}).")
    )


def _listed(axes: Sequence[int | None]) -> str:
    return "(" + ", ".join("none" if a is None else str(a) for a in axes) + ")"
