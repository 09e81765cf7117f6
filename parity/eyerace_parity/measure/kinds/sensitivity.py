"""Finds the quantised layers that cost the most accuracy: each layer is run in float by itself.

A QDQ file marks each quantised tensor. With one layer's float weights, and float tensors around it unless another
operator needs integers, it equals what the recipe makes with this layer excluded. The gain in SQNR is the cost of the
layer. For the worst few layers the gain is proven: the recipe runs again with them excluded, and its file is run.

Newer versions of ONNX Runtime quantise a float Conv between DequantizeLinear and QuantizeLinear again (pull request
https://github.com/microsoft/onnxruntime/pull/22969), so measured gains differ between versions.
"""

from __future__ import annotations

import glob
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.contract.variants import OnnxVariant, QuantiseStaticRecipe
from eyerace_parity.core.errors import MeasurementError, ParityError
from eyerace_parity.evidence.diagnostics import LayerGain, Sensitivity
from eyerace_parity.isolation import worker
from eyerace_parity.measure.batching import batch_of, evenly
from eyerace_parity.measure.kinds.weights import parsed
from eyerace_parity.measure.measurer import Measurer
from eyerace_parity.recipes.quantise import prepared, quantise, quantised_operators
from eyerace_parity.runners.artefact_files import contents
from eyerace_parity.stats.differences import sqnr_db

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import onnx

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array, Need, Provenance
    from eyerace_parity.measure.context import MeasurementContext

SAMPLES: Final = 8
"""Golden samples that are run, evenly over the set."""

NAMED: Final = 3
"""Layers that are excluded together, at most."""

MOST: Final = 128
"""Layers that are tried; of more, as many from either end of the network, where the sensitive ones mostly are."""

WORTH: Final = 1.0
"""Gain in dB that is worth another file, and worth reporting."""

NEAR: Final = 40.0
"""dB from which quantisation costs almost nothing, so that the cause is another one."""

RUINED: Final = 6.0
"""dB below which the file is hardly what its recipe makes, so that a new build is compared first."""


_SHARE: Final = 0.25
"""Of the worst layer's gain that another must have to be named beside it."""

_WRITTEN: Final = "QuantizeLinear"
_READ_BACK: Final = "DequantizeLinear"
_TAKEN_OUT: Final = frozenset({"Relu", "Clip"})
_PRODUCTS: Final = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def provenance(context: MeasurementContext, need: Need[Sensitivity]) -> Provenance:
    """Make the provenance of the trials."""
    recipe = _recipe(context.contract, need.variant)
    settings = context.session_settings(need.variant) | context.decoding_settings()
    settings |= {"source": context.artefact(recipe.source), "recipe": recipe.model_dump_json()}
    return context.provenance(need.variant, target=need.target, golden=True, settings=settings)


def measure(context: MeasurementContext, need: Need[Sensitivity], source: Provenance) -> Sensitivity:
    """Try each layer in float, then a file without the worst.

    Raises:
        GoldenError: A sample cannot be read.
        MeasurementError: The variant is not quantised by a static recipe, has no layer that reads integers, or cannot
            be run.
        RecipeError: The recipe cannot be carried out.
    """
    contract, recipe = context.contract, _recipe(context.contract, need.variant)
    try:
        ours = parsed(contents(contract, need.variant))
        return _found(context, need, source, ours=ours, theirs=prepared(contract, recipe))
    except ParityError:
        raise
    except Exception as error:  # a damaged file may raise anything here
        raise MeasurementError(f"{need.variant} cannot be looked into: {type(error).__name__}: {error}") from error


def _found(
    context: MeasurementContext,
    need: Need[Sensitivity],
    source: Provenance,
    *,
    ours: onnx.ModelProto,
    theirs: onnx.ModelProto,
) -> Sensitivity:
    recipe = _recipe(context.contract, need.variant)
    layers = _from_integers(ours, theirs)
    if not layers:
        raise MeasurementError(
            f"no layer of {need.variant} has its weights in integers that {recipe.source} has in float"
        )
    trial = _FloatTrial(context, need.variant, theirs)
    base = trial.decibels(ours)
    found = Sensitivity(provenance=source, samples=trial.samples, layers=len(layers), decibels=base)
    if not base < NEAR:
        return found
    if base < RUINED:
        remade = trial.decibels(_without(context, recipe, []))
        found = found.model_copy(update={"remade": remade})
        if remade - base >= WORTH:
            return found
    excluding = _Excluding(ours, theirs, recipe)
    tried = layers if len(layers) <= MOST else [*layers[: MOST // 2], *layers[-MOST // 2 :]]
    gains = []
    with context.progress.task(f"{need.variant}: each layer in float", len(tried)) as task:
        for name in tried:
            gains.append(LayerGain(name=name, decibels=trial.decibels(excluding({name}))))
            task.advance()
    worst = _worst(gains, base)
    names = [gain.name for gain in worst]
    together = trial.decibels(excluding(names))
    found = found.model_copy(update={"tried": len(tried), "worst": tuple(worst), "together": together})
    if together - base < WORTH:
        return found
    made = _without(context, recipe, names)
    return found.model_copy(
        update={
            "made": trial.decibels(made),
            "more_bytes": made.ByteSize() - len(contents(context.contract, need.variant)),
        }
    )


def _worst(gains: Sequence[LayerGain], base: float) -> list[LayerGain]:
    """Return the layers that gain most, at most a quarter of all layers."""
    first, *others = sorted(gains, key=lambda gain: -gain.decibels)[: max(1, min(NAMED, len(gains) // 4))]
    return [first, *(gain for gain in others if gain.decibels - base >= _SHARE * (first.decibels - base) > 0)]


class _FloatTrial:
    """Runs models on the same samples, and tells how near they come to the source's answers.

    Args:
        context: The measurement context.
        variant: Whose session and preparation they have.
        source: The model that was quantised.
    """

    def __init__(self, context: MeasurementContext, variant: str, source: onnx.ModelProto) -> None:
        golden = context.golden()
        self.samples = tuple(evenly(len(golden), SAMPLES))
        self._feeds = [batch_of(context.contract, variant, golden, (place,)) for place in self.samples]
        self._settings = context.contract.session_of(variant).model_dump(mode="json")
        self._output = context.contract.scores_output
        self._truth = self._answers(source)

    def decibels(self, model: onnx.ModelProto) -> float:
        """Ratio of the source's answers to the difference from them, in dB."""
        answers = self._answers(model)
        if answers.shape != self._truth.shape:
            shapes = [list(array.shape[1:]) for array in (answers, self._truth)]
            raise MeasurementError(
                f"a layer cannot be tried in float: the answers have shape {shapes[0]}, not {shapes[1]}"
            )
        return sqnr_db(answers, self._truth)

    def _answers(self, model: onnx.ModelProto) -> Array:
        try:
            session = worker.create_session(model.SerializeToString(), self._settings)
            return np.stack([worker.infer(session, feeds)[self._output] for feeds in self._feeds])
        except worker.Refused as error:
            raise MeasurementError(f"a layer cannot be tried in float: {error}") from error


def _recipe(contract: Contract, variant: str) -> QuantiseStaticRecipe:
    stated = contract.variants[variant]
    recipe = stated.recipe if isinstance(stated, OnnxVariant) else None
    if not isinstance(recipe, QuantiseStaticRecipe):
        raise MeasurementError(f"{variant} is not quantised by a static recipe, whose layers could be left in float")
    return recipe


def _from_integers(ours: onnx.ModelProto, theirs: onnx.ModelProto) -> list[str]:
    """Return the names of the nodes whose weights are integers in the first model and floats in the second."""
    stored = {tensor.name for tensor in ours.graph.initializer}
    there = {node.name for node in theirs.graph.node}
    whole = {node.output[0] for node in ours.graph.node if node.op_type == _READ_BACK and node.input[0] in stored}
    return [
        node.name
        for node in ours.graph.node
        if node.op_type in _PRODUCTS and node.name in there and whole.intersection(node.input)
    ]


class _Excluding:
    """Makes of a quantised model what its recipe would make with some layers excluded, without calibrating again.

    The quantiser writes a tensor in integers if any operator beside it is quantised. Where none is left, what read the
    tensor back becomes the identity, or the activation that had been taken out because the range of the integers did
    its work.

    Args:
        ours: The quantised model.
        theirs: The model that was quantised, as :func:`eyerace_parity.recipes.quantise.prepared` gives it.
        recipe: What it was quantised by.
    """

    def __init__(self, ours: onnx.ModelProto, theirs: onnx.ModelProto, recipe: QuantiseStaticRecipe) -> None:
        self._ours = ours
        self._quantised = quantised_operators(recipe)
        self._recipe = recipe
        self._weights = {tensor.name: tensor for tensor in theirs.graph.initializer}
        self._there = {node.name: node for node in theirs.graph.node}
        kept = {node.name for node in ours.graph.node}
        self._taken_out = {
            node.input[0]: node for node in theirs.graph.node if node.op_type in _TAKEN_OUT and node.name not in kept
        }

    def __call__(self, names: Collection[str]) -> onnx.ModelProto:
        """A copy with these layers in float."""
        import onnx  # noqa: PLC0415 - only where a broken file is looked into

        model = onnx.ModelProto()
        model.CopyFrom(self._ours)
        makers = {output: node for node in model.graph.node for output in node.output}
        readers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                readers.setdefault(name, []).append(node)
        for node in model.graph.node:
            if node.op_type != _READ_BACK:
                continue
            writer = makers.get(node.input[0])
            used = readers.get(node.output[0], [])
            if writer is None:
                self._weight_in_float(model, node, used, names)
            elif writer.op_type == _WRITTEN:
                maker = makers.get(writer.input[0])
                beside = used if maker is None else [maker, *used]
                if not any(self._writes_integers(each, names) for each in beside):
                    self._activation_in_float(model, node, writer.input[0], maker)
        return model

    def _writes_integers(self, node: onnx.NodeProto, names: Collection[str]) -> bool:
        excluded = node.name in names or self._recipe.excludes(node.name)
        return node.op_type in self._quantised and not excluded

    def _weight_in_float(
        self, model: onnx.ModelProto, node: onnx.NodeProto, used: Sequence[onnx.NodeProto], names: Collection[str]
    ) -> None:
        if not used or any(each.name not in names for each in used):
            return
        place = list(used[0].input).index(node.output[0])
        _become(node, "Identity", [self._stored(model, self._there[used[0].name].input[place])])

    def _activation_in_float(
        self, model: onnx.ModelProto, node: onnx.NodeProto, given: str, maker: onnx.NodeProto | None
    ) -> None:
        origin = self._there.get(maker.name) if maker is not None else None
        activation = self._taken_out.get(origin.output[0]) if origin is not None else None
        if activation is None:
            _become(node, "Identity", [given])
        else:
            bounds = [self._stored(model, name) for name in activation.input[1:]]
            _become(node, activation.op_type, [given, *bounds])

    def _stored(self, model: onnx.ModelProto, name: str) -> str:
        """Store a tensor of the float model under a name of its own."""
        inner = f"{name}/float"
        if name and name in self._weights and all(tensor.name != inner for tensor in model.graph.initializer):
            model.graph.initializer.add().CopyFrom(self._weights[name])
            model.graph.initializer[-1].name = inner
        return inner if name in self._weights else name


def _become(node: onnx.NodeProto, operator: str, inputs: Sequence[str]) -> None:
    node.op_type = operator
    del node.input[:], node.attribute[:]
    node.input.extend(inputs)


def _without(context: MeasurementContext, recipe: QuantiseStaticRecipe, names: Sequence[str]) -> onnx.ModelProto:
    """Carry out the recipe with some more layers excluded."""
    exclude = (*recipe.exclude, *(glob.escape(name) for name in names))
    return quantise(context.contract, recipe.model_copy(update={"exclude": exclude}), context.progress)


SENSITIVITY: Final = Measurer(provenance, measure)
