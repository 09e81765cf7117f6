"""Compares an ONNX variant's weights and activation ranges with those of its reference, layer by layer.

Stored integers are dequantised first. A torch reference is exported in memory with the variant's own recipe, so that
both have folded batch normalisation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eyerace_parity.contract.variants import ExportRecipe, OnnxVariant
from eyerace_parity.core.errors import NEXT_STEP_MEMORY, MeasurementError, ParityError, is_transient
from eyerace_parity.evidence.diagnostics import LayerPair, ValueRange, Weights
from eyerace_parity.isolation import worker
from eyerace_parity.measure.batching import batch_of, evenly
from eyerace_parity.measure.measurer import Measurer
from eyerace_parity.runners.artefact_files import contents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import onnx
    from numpy.typing import NDArray

    from eyerace_parity.evidence.base import Need, Provenance
    from eyerace_parity.measure.context import MeasurementContext

    Floats = NDArray[np.float64]

SAMPLES: Final = 4
"""Golden samples whose activations are looked at."""

_PRODUCTS: Final = frozenset({"Conv", "Gemm", "MatMul", "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"})
_SUFFIX: Final = "_quant"
_MOST_ZEROED: Final = 5
_TENTH: Final = 10
_UNKNOWN: Final = -1
"""Number of scales of a dynamic operator, whose scales are not stored beside the weights."""
_FAINT: Final = 0.01
"""Share of the usual square of a channel's size."""
_ABSURD: Final = 16.0
"""A single weight that differs by so many times the layer's largest weight is damaged, not rounded."""

_EXPORTS: Final[dict[tuple[str, str], bytes]] = {}
_EXPORTING: Final = Lock()


@dataclass(frozen=True, slots=True)
class _WeightLayer:
    """A convolution or matrix product with stored weights.

    Attributes:
        name: Name of its node.
        weight: Its weights as numbers, output channels first.
        bias: Its bias, or ``None``.
        step: Greatest common divisor of the stored integers; 0 for floats.
        scales: How many scales; 0 for floats, -1 if they are not stored beside the weights.
    """

    name: str
    weight: Floats
    bias: Floats | None
    step: int
    scales: int


def provenance(context: MeasurementContext, need: Need[Weights]) -> Provenance:
    """Make the provenance of the comparison."""
    from importlib.metadata import version  # noqa: PLC0415

    settings = {"onnx": version("onnx"), "versus": need.versus, "versus_artefact": context.artefact(need.versus)}
    settings |= {"samples": str(SAMPLES)}
    return context.provenance(need.variant, target=need.target, golden=True, settings=settings)


def measure(context: MeasurementContext, need: Need[Weights], source: Provenance) -> Weights:
    """Compare layer by layer. If the layers cannot be compared, the evidence says why.

    Raises:
        MeasurementError: The variant is no ONNX file.
    """
    if context.contract.variants[need.variant].kind != "onnx":
        raise MeasurementError(f"{need.variant} is no ONNX file, whose layers could be compared")
    with context.progress.task(f"{need.variant}: layers beside {need.versus}", None):
        try:
            ours = parsed(contents(context.contract, need.variant))
            theirs, against = _reference(context, need)
            layers = _pairs(list(_layers(ours)), list(_layers(theirs)))
            spans = tuple(_spans(context, need, ours, theirs))
        except ParityError as error:
            if is_transient(error):
                raise
            return Weights(provenance=source, failure=error.reason)
        except Exception as error:
            if is_transient(error):
                reason = f"the layers of {need.variant} could not be read: {type(error).__name__}: {error}"
                raise MeasurementError(reason, next_step=NEXT_STEP_MEMORY, transient=True) from error
            return Weights(provenance=source, failure=f"{type(error).__name__}: {error}")
    return Weights(
        provenance=source,
        against=against,
        layers=tuple(layers),
        spans=spans,
        unscaled=tuple(_unscaled(ours)),
        mismatched=tuple(_mismatched(ours)),
    )


def parsed(content: bytes) -> onnx.ModelProto:
    """Parse an ONNX file. For a damaged file, the errors of protobuf are raised."""
    import onnx  # noqa: PLC0415 - costs more than most runs

    return onnx.load_from_string(content)


def _reference(context: MeasurementContext, need: Need[Weights]) -> tuple[onnx.ModelProto, str]:
    """Return the reference as an ONNX model, and its name in words."""
    contract = context.contract
    if contract.variants[need.versus].kind == "onnx":
        return parsed(contents(contract, need.versus)), need.versus
    variant = contract.variants[need.variant]
    recipe = variant.recipe if isinstance(variant, OnnxVariant) else None
    if not isinstance(recipe, ExportRecipe) or recipe.source != need.versus or find_spec("torch") is None:
        raise MeasurementError(f"{need.versus} cannot be compared with {need.variant}: it is no ONNX file")
    return parsed(_exported(context, need.versus)), f"a fresh export of {need.versus}"


def _exported(context: MeasurementContext, source: str) -> bytes:
    """Export a torch variant, once for all files that are compared with it in this process."""
    from eyerace_parity.recipes.export import export  # noqa: PLC0415 - it imports torch

    key = (context.artefact(source), context.contract.interface.model_dump_json())
    with _EXPORTING:
        if key not in _EXPORTS:
            _EXPORTS.clear()  # one is enough, and it may be large
            _EXPORTS[key] = export(context.contract, source).SerializeToString()
        return _EXPORTS[key]


# ---- weights ---------------------------------------------------------------------------------------------------------


def _pairs(ours: Sequence[_WeightLayer], theirs: Sequence[_WeightLayer]) -> Iterator[LayerPair]:
    """Pair layers by their names, or by their order if no name is shared and the numbers are equal."""
    by_name = {layer.name.removesuffix(_SUFFIX): layer for layer in theirs}
    matched = [(layer, by_name.get(layer.name.removesuffix(_SUFFIX))) for layer in ours]
    if not any(other for _, other in matched) and len(ours) == len(theirs):
        matched = list(zip(ours, theirs, strict=True))
    for layer, other in matched:
        if other is not None and layer.weight.shape == other.weight.shape:
            yield _pair(layer, other)


def _pair(ours: _WeightLayer, theirs: _WeightLayer) -> LayerPair:
    here, there = ours.weight, theirs.weight
    if ours.scales == _UNKNOWN:
        # Dynamic operators dequantise in another operator: their weights are known up to a factor.
        norm = float(np.vdot(here, here))
        here = here * (float(np.vdot(here, there)) / norm if norm else 1.0)
    bad = int(np.count_nonzero(~np.isfinite(here)))
    here = np.where(np.isfinite(here), here, 0.0)
    odd, clean = _odd(here, there)
    size = float(np.linalg.norm(there)) or 1.0
    factor = float(np.vdot(there, clean) / (size * size))
    rows, others = clean.reshape(len(clean), -1), there.reshape(len(there), -1)
    norms = np.square(others).sum(axis=1)
    factors = np.divide((rows * others).sum(axis=1), norms, out=np.ones_like(norms), where=norms > 0)
    # A channel that is faint beside the others may vanish in the step of an honest quantisation.
    gone = ~rows.any(axis=1) & (norms > _FAINT * np.median(norms))
    half = there.astype(np.float32).astype(np.float16).astype(np.float64)
    bias_error, bias_lost = _bias(ours.bias, theirs.bias)
    return LayerPair(
        name=ours.name.removesuffix(_SUFFIX),
        error=float(np.linalg.norm(clean - there)) / size,
        factor=factor,
        residual=float(np.linalg.norm(clean - factor * there)) / size,
        by_channel=float(np.linalg.norm(rows - factors[:, np.newaxis] * others)) / size,
        off=_off(rows, others),
        zeroed=tuple(int(channel) for channel in np.flatnonzero(gone)[:_MOST_ZEROED]),
        not_finite=bad,
        odd=odd,
        half=bool(not ours.scales and not np.array_equal(here, there) and np.array_equal(here, half)),
        reordered=_reordered(rows, others),
        unsigned=bool(not np.array_equal(here, there) and np.array_equal(here, np.abs(there))),
        bias_error=bias_error,
        bias_lost=bias_lost,
        step=ours.step,
        scales=max(ours.scales, 1) if ours.step else ours.scales,
    )


def _off(rows: Floats, others: Floats) -> tuple[int, ...]:
    """Find the few channels with most of the difference."""
    difference = np.square(rows - others).sum(axis=1)
    order = np.argsort(-difference)
    few = order[: max(1, len(order) // _TENTH)]
    worst = [int(channel) for channel in few if difference[channel] > 0]
    most = float(difference[worst].sum()) > (1 - 1 / _TENTH) * float(difference.sum())
    return tuple(worst[:_MOST_ZEROED]) if len(order) > 1 and worst and most else ()


def _odd(here: Floats, there: Floats) -> tuple[str, Floats]:
    """Find a single weight that is absurdly far off; returns it in words, and the weights without it."""
    difference = np.abs(here - there)
    place = np.unravel_index(int(difference.argmax()), difference.shape)
    largest = float(np.abs(there).max())
    others = np.partition(difference.reshape(-1), -2)[-2] if difference.size > 1 else 0.0
    single = difference[place] > largest * _ABSURD and others < largest
    if not single:
        return "", here
    clean = here.copy()
    clean[place] = there[place]
    where = ", ".join(str(int(index)) for index in place)
    return f"[{where}] became {here[place]:.4g}, it was {there[place]:.4g}", clean


def _reordered(rows: Floats, others: Floats) -> bool:
    """Whether one holds the other's channels in another order."""
    if np.array_equal(rows, others):
        return False
    close = np.allclose(rows, others, rtol=1e-3, atol=1e-6)
    ours, theirs = (np.sort(array.sum(axis=1)) for array in (rows, others))
    spread = float(np.abs(theirs).max()) or 1.0
    return bool(not close and np.allclose(ours, theirs, rtol=1e-5, atol=1e-6 * spread))


def _bias(ours: Floats | None, theirs: Floats | None) -> tuple[float | None, bool]:
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return None, False
    size = float(np.linalg.norm(theirs))
    lost = size > 0 and not ours.any()
    return (float(np.linalg.norm(ours - theirs)) / size if size else 0.0), lost


def _layers(model: onnx.ModelProto) -> Iterator[_WeightLayer]:
    """All convolutions and matrix products whose weights are stored, in the order of the graph."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        if node.op_type not in _PRODUCTS:
            continue
        place, scale, zero, bias = _operands(node)
        read = _numbers(node.input[place], tensors, makers, scale, zero)
        if read is None:
            continue
        weight, step, scales = read
        if node.op_type.endswith("Integer"):
            scales = _UNKNOWN
        transposed = node.op_type in {"MatMul", "MatMulInteger", "QLinearMatMul"} or (
            node.op_type == "Gemm" and not any(a.name == "transB" and a.i for a in node.attribute)
        )
        named = node.input[bias] if bias is not None and len(node.input) > bias else ""
        added = _numbers(named, tensors, makers, "", "") if named else None
        yield _WeightLayer(
            node.name, weight.T if transposed else weight, None if added is None else added[0], step, scales
        )


def _operands(node: onnx.NodeProto) -> tuple[int, str, str, int | None]:
    """Return the index of a node's weight operand, its scale and zero point, and the index of its bias."""
    if node.op_type.startswith("QLinear"):
        return 3, node.input[4], node.input[5], None  # the scale of an integer bias is named by no node
    if node.op_type.endswith("Integer"):
        return 1, "", node.input[3] if len(node.input) > 3 else "", None  # noqa: PLR2004
    return 1, "", "", 2


def _numbers(
    name: str, tensors: Mapping[str, onnx.TensorProto], makers: Mapping[str, onnx.NodeProto], scale: str, zero: str
) -> tuple[Floats, int, int] | None:
    """A stored tensor as numbers, with the step of its integers and how many scales it has; ``None`` if not stored."""
    axis = 0
    maker = makers.get(name)
    if maker is not None and maker.op_type == "DequantizeLinear":
        name, scale = maker.input[0], maker.input[1]
        zero = maker.input[2] if len(maker.input) > 2 else ""  # noqa: PLR2004
        axis = next((attribute.i for attribute in maker.attribute if attribute.name == "axis"), 1)
    if name not in tensors:
        return None
    stored = _array(tensors[name])
    if stored.dtype.kind not in "iu":
        return stored.astype(np.float64), 0, 0
    whole = stored.astype(np.int64)
    factors = _array(tensors[scale]).astype(np.float64) if scale in tensors else np.ones(())
    zeros = _array(tensors[zero]).astype(np.int64) if zero in tensors else np.zeros((), np.int64)
    shape = [1] * whole.ndim
    if factors.size > 1 and whole.ndim:
        shape[axis % whole.ndim] = factors.size
    numbers = (whole - (zeros.reshape(shape) if zeros.size > 1 else zeros.reshape(()))) * (
        factors.reshape(shape) if factors.size > 1 else factors.reshape(())
    )
    step = int(np.gcd.reduce(whole.reshape(-1))) if whole.size else 0
    return numbers, step, int(factors.size)


def _array(tensor: onnx.TensorProto) -> NDArray[Any]:
    from onnx import numpy_helper  # noqa: PLC0415 - costs more than most runs

    return np.asarray(numpy_helper.to_array(tensor))


# ---- activations -----------------------------------------------------------------------------------------------------


def _spans(
    context: MeasurementContext, need: Need[Weights], ours: onnx.ModelProto, theirs: onnx.ModelProto
) -> Iterator[ValueRange]:
    """Yield the ranges of quantised activations with the reference's ranges on a few golden samples."""
    tensors = {tensor.name: tensor for tensor in ours.graph.initializer}
    ranges: dict[str, tuple[float, float]] = {}
    for node in ours.graph.node:
        if node.op_type != "QuantizeLinear" or len(node.input) < 3 or not {*node.input[1:3]} <= tensors.keys():  # noqa: PLR2004
            continue
        scale, zero = _array(tensors[node.input[1]]), _array(tensors[node.input[2]])
        if scale.size == 1 and zero.dtype.kind in "iu":
            kind, step = np.iinfo(zero.dtype), float(scale.reshape(()))
            ends = ((bound - int(zero.reshape(()))) * step for bound in (kind.min, kind.max))
            low, high = ends
            ranges[node.input[0]] = (low, high)
    known = {output for node in theirs.graph.node for output in node.output} | {i.name for i in theirs.graph.input}
    wanted = [name for name in ranges if name in known]
    if not wanted:
        return
    for name, (low, high) in _seen(context, need, theirs, wanted).items():
        yield ValueRange(name=name, low=ranges[name][0], high=ranges[name][1], seen_low=low, seen_high=high)


def _seen(
    context: MeasurementContext, need: Need[Weights], model: onnx.ModelProto, names: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Least and greatest number of the reference's tensors on a few golden samples."""
    from onnx import helper  # noqa: PLC0415 - costs more than most runs

    inputs = {info.name for info in model.graph.input}
    shown = {output.name for output in model.graph.output}
    inner = [name for name in names if name not in inputs]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in inner if name not in shown)
    settings = context.contract.session_of(need.variant).model_copy(update={"optimisation": "basic"})
    session = worker.create_session(model.SerializeToString(), settings.model_dump(mode="json"))
    spans: dict[str, tuple[float, float]] = {}
    golden = context.golden()
    for index in evenly(len(golden), SAMPLES):
        feeds = batch_of(context.contract, need.versus, golden, (index,))
        found = dict(zip((info.name for info in session.get_outputs()), session.run(None, feeds), strict=True))
        for name in names:
            array = feeds.get(name) if name in inputs else found.get(name)
            if array is None or not array.size or array.dtype.kind != "f":
                continue
            low, high = float(np.nanmin(array)), float(np.nanmax(array))
            if math.isfinite(low) and math.isfinite(high):
                before = spans.get(name, (low, high))
                spans[name] = (min(low, before[0]), max(high, before[1]))
    return spans


def _unscaled(model: onnx.ModelProto) -> Iterator[str]:
    """Describe tensors that are quantised or dequantised with a scale that is no positive number."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    reported = set()
    for node in model.graph.node:
        if node.op_type not in {"QuantizeLinear", "DequantizeLinear"} or node.input[1] not in tensors:
            continue
        scale = _array(tensors[node.input[1]]).astype(np.float64).reshape(-1)
        wrong = scale[~(np.isfinite(scale) & (scale > 0))]
        if wrong.size and node.input[1] not in reported:
            reported.add(node.input[1])
            yield f"{node.input[0]} has the scale {wrong[0]:.6g}"


def _mismatched(model: onnx.ModelProto) -> Iterator[str]:
    """Describe activations that are dequantised with other parameters than they were quantised with."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    writers = {node.output[0]: node for node in model.graph.node if node.op_type == "QuantizeLinear"}
    for node in model.graph.node:
        writer = writers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if writer is None:
            continue
        for place, what in ((2, "zero point"), (1, "scale")):
            if len(writer.input) <= place or len(node.input) <= place:
                continue
            names = writer.input[place], node.input[place]
            if names[0] == names[1] or not {*names} <= tensors.keys():
                continue
            written, read = (_array(tensors[name]) for name in names)
            if written.size == read.size == 1 and written != read:
                how = f"is written with the {what} {_figure(written)} and read back with {_figure(read)}"
                yield f"{writer.input[0]} {how}"


def _figure(array: NDArray[Any]) -> str:
    return f"{array.reshape(()).item():.6g}"


WEIGHTS: Final = Measurer(provenance, measure)
