"""fp32 ONNX to int8 ONNX with ONNX Runtime's own quantisers, made repeatable and fit for old runtimes."""

from __future__ import annotations

import logging
import tempfile
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.contract.variants import QuantiseStaticRecipe
from eyerace_parity.core.errors import ParityError, RecipeError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.text import did_you_mean, join_names
from eyerace_parity.recipes.calibrate import CalibrationReader, draw
from eyerace_parity.recipes.onnx_file import opset_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.variants import QuantiseDynamicRecipe
    from eyerace_parity.core.progress import Progress

_INTEGER_OPERATORS: Final = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})
_FIRST_QUANTISABLE_OPSET: Final = 10
_PREPARED: Final = "onnx.quant.pre_process"


def quantise(
    contract: Contract, recipe: QuantiseDynamicRecipe | QuantiseStaticRecipe, progress: Progress
) -> onnx.ModelProto:
    """Quantise an ONNX variant.

    Args:
        contract: The contract.
        recipe: What to do.
        progress: Told of the samples observed.

    Returns:
        The quantised model, weights inside.

    Raises:
        RecipeError: The source is torn, an option leads nowhere, the calibration fails, or nothing was quantised.
    """
    import onnx  # noqa: PLC0415 - only where a model is made

    path = contract.path(contract.variants[recipe.source].path)
    with tempfile.TemporaryDirectory(prefix="eyerace-parity-") as folder, _quiet():
        prepared, result = Path(folder) / "source.onnx", Path(folder) / "result.onnx"
        model = _prepared(_read(path), Path(folder))
        _refuse_strangers(recipe, model)
        onnx.save(model, prepared)
        try:
            if isinstance(recipe, QuantiseStaticRecipe):
                _static(contract, recipe, (prepared, result), _excluded(recipe, model), progress)
            else:
                with progress.task("quantising", None):
                    _dynamic(recipe, (prepared, result), model)
            made = onnx.load(result)
        except ParityError:
            raise
        except Exception as error:  # the quantisers raise whatever they stumbled over
            reason = " ".join(str(error).split()) or type(error).__name__
            raise RecipeError(
                f"ONNX Runtime could not quantise {display_path(path)}: {type(error).__name__}: {reason[:400]}",
                next_step="leave the named node in float by recipe.exclude, or quantise fewer recipe.op_types",
            ) from error
    _compare(made, model, path)
    return made


def prepared(contract: Contract, recipe: QuantiseDynamicRecipe | QuantiseStaticRecipe) -> onnx.ModelProto:
    """The source as the quantiser is given it, with the names that ``exclude`` speaks of.

    Raises:
        RecipeError: The source is torn, or ONNX Runtime does not load it.
    """
    with tempfile.TemporaryDirectory(prefix="eyerace-parity-") as folder:
        return _prepared(_read(contract.path(contract.variants[recipe.source].path)), Path(folder))


def _read(path: Path) -> onnx.ModelProto:
    import onnx  # noqa: PLC0415 - only where a model is made

    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf, the checker and the system raise classes of their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RecipeError(
            f"{display_path(path)} is no valid ONNX model: {reason}", next_step="build or fetch the source again"
        ) from error
    return model


def _prepared(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Fold batch normalisation into the convolutions before it, where the source has not done so.

    Left alone it would stay in float between every two quantised operators. ONNX Runtime's own preparation would also
    infer shapes symbolically, which needs sympy and renames nothing that its quantisers could not find out themselves.
    """
    import onnx  # noqa: PLC0415 - only where a model is made

    convolved = {output for node in model.graph.node if node.op_type == "Conv" for output in node.output}
    if any(node.op_type == "BatchNormalization" and node.input[0] in convolved for node in model.graph.node):
        import onnxruntime  # noqa: PLC0415 - only where a model is made

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folder / "folded.onnx")
        try:
            onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime raises classes of its own
            reason = " ".join(str(error).split())
            raise RecipeError(f"ONNX Runtime does not load the source: {reason[:400]}") from error
        model = onnx.load(folder / "folded.onnx")
    # Says that the preparation is done, so that the quantisers do not ask for it.
    entry = model.metadata_props.add()
    entry.key, entry.value = _PREPARED, "onnxruntime.quant"
    return model


def _refuse_strangers(recipe: QuantiseDynamicRecipe | QuantiseStaticRecipe, model: onnx.ModelProto) -> None:
    """Refuse names that lead nowhere: a misspelt one would quantise what must stay in float, or nothing."""
    operators = {node.op_type for node in model.graph.node}
    for name in recipe.op_types or ():
        if name not in operators:
            raise RecipeError(
                f"recipe.op_types: the source has no operator {name!r}{did_you_mean(name, operators)}",
                next_step=f"its operators: {join_names(sorted(operators), most=40)}",
            )
    names = [node.name for node in model.graph.node if node.name]
    for pattern in recipe.exclude:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise RecipeError(
                f"recipe.exclude: no node is named {pattern!r}{did_you_mean(pattern, names)}",
                next_step=f"its nodes: {join_names(names)}; '*' stands for any text",
            )
    if opset_of(model) < _FIRST_QUANTISABLE_OPSET:
        raise RecipeError(
            f"the source is of opset {opset_of(model)}, and integers came with opset {_FIRST_QUANTISABLE_OPSET}",
            next_step="export the source at a newer opset",
        )


def _excluded(recipe: QuantiseDynamicRecipe | QuantiseStaticRecipe, model: onnx.ModelProto) -> list[str]:
    return [node.name for node in model.graph.node if recipe.excludes(node.name)]


def quantised_operators(recipe: QuantiseStaticRecipe) -> frozenset[str]:
    """Operators beside which ONNX Runtime's quantiser writes tensors in integers: the stated, or all that it knows."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry  # noqa: PLC0415

    return frozenset(recipe.op_types or (*QDQRegistry, *QLinearOpsRegistry))


def _type(name: str) -> Any:
    from onnxruntime.quantization import QuantType  # noqa: PLC0415 - only where a model is made

    return {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}[name]


def _dynamic(recipe: QuantiseDynamicRecipe, files: tuple[Path, Path], model: onnx.ModelProto) -> None:
    """Quantise weights, and say of a matrix product that ONNX Runtime renames what was said of it by its own name.

    Before anything else it splits each ``Gemm`` into a ``MatMul`` of another name and an ``Add``. Left to itself it
    would then quantise a ``Gemm`` that is to stay in float, and none where only ``Gemm`` is asked for.
    """
    from onnxruntime.quantization import quantize_dynamic  # noqa: PLC0415 - only where a model is made

    asked = set(recipe.op_types or ())
    excluded = _excluded(recipe, model)
    split = [node.name for node in model.graph.node if node.op_type == "Gemm"]
    float_products = [name for name in excluded if name in split]
    if asked and "Gemm" not in asked:
        float_products = split
    if "Gemm" in asked and "MatMul" not in asked:
        excluded += [node.name for node in model.graph.node if node.op_type == "MatMul"]
        asked.add("MatMul")
    quantize_dynamic(
        *files,
        op_types_to_quantize=sorted(asked) or None,
        per_channel=recipe.per_channel,
        reduce_range=recipe.reduce_range,
        weight_type=_type(recipe.weight_type),
        nodes_to_exclude=[*excluded, *(f"{name}_MatMul" for name in float_products)],
    )


def _static(
    contract: Contract, recipe: QuantiseStaticRecipe, files: tuple[Path, Path], excluded: list[str], progress: Progress
) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, quantize_static  # noqa: PLC0415

    calibration = recipe.calibration
    drawn = draw(contract, calibration, files[0].parent, progress)
    methods = {
        "minmax": CalibrationMethod.MinMax,
        "entropy": CalibrationMethod.Entropy,
        "percentile": CalibrationMethod.Percentile,
    }
    options: dict[str, Any] = {
        # One sample at a time: the histogram methods keep every tensor of a stride in memory.
        "CalibStridedMinMax": 1,
    }
    if calibration.method == "percentile":
        options["CalibPercentile"] = calibration.percentile
    with progress.task("observing calibration samples", calibration.count) as task:
        quantize_static(
            *files,
            CalibrationReader(contract, drawn, task.advance),
            quant_format={"qdq": QuantFormat.QDQ, "qoperator": QuantFormat.QOperator}[recipe.format],
            op_types_to_quantize=sorted(recipe.op_types) if recipe.op_types else None,
            per_channel=recipe.per_channel,
            reduce_range=recipe.reduce_range,
            activation_type=_type(recipe.activation_type),
            weight_type=_type(recipe.weight_type),
            nodes_to_exclude=excluded,
            calibrate_method=methods[calibration.method],
            extra_options=options,
        )


def _compare(made: onnx.ModelProto, source: onnx.ModelProto, path: Path) -> None:
    """Make sure that something was quantised, and that it looks the same from outside."""
    if not any(node.op_type in _INTEGER_OPERATORS for node in made.graph.node):
        raise RecipeError(
            f"nothing of {display_path(path)} was quantised",
            next_step="look at recipe.op_types and recipe.exclude: together they leave everything in float",
        )
    if opset_of(made) != opset_of(source):
        raise RecipeError(
            f"ONNX Runtime raised the opset from {opset_of(source)} to {opset_of(made)}",
            next_step="ask for other integer types, or export the source at that opset",
        )
    for kind in ("input", "output"):
        before, after = ([info.name for info in getattr(model.graph, kind)] for model in (source, made))
        if before != after:
            raise RecipeError(f"quantising changed the {kind}s from {join_names(before)} to {join_names(after)}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the quantisers: they log to the root logger, print, and warn from native code.

    ``print`` is shadowed in their own module rather than redirecting ``sys.stdout``, which belongs to the progress bar.
    """
    import onnxruntime  # noqa: PLC0415 - only where a model is made
    from onnxruntime.quantization import calibrate  # noqa: PLC0415

    def nothing(*_: object, **__: object) -> None:
        """Print nothing."""

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    calibrate.print = nothing
    onnxruntime.set_default_logger_severity(3)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(2)
        del calibrate.print
        logging.disable(before)
