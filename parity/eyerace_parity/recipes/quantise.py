"""Quantises fp32 ONNX to int8 ONNX with ONNX Runtime's quantisers, reproducibly and for old runtimes."""

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
# Opset 10 introduced QuantizeLinear, ConvInteger and QLinearConv.
_FIRST_QUANTISABLE_OPSET: Final = 10
_PREPARED_KEY: Final = "onnx.quant.pre_process"


def quantise(
    contract: Contract, recipe: QuantiseDynamicRecipe | QuantiseStaticRecipe, progress: Progress
) -> onnx.ModelProto:
    """Quantise an ONNX variant.

    Args:
        contract: The contract.
        recipe: The recipe.
        progress: Receives the number of observed samples.

    Returns:
        The quantised model with its weights inside.

    Raises:
        RecipeError: The source is damaged, an option names nothing, the calibration fails, or nothing was quantised.
    """
    import onnx  # noqa: PLC0415 - only where a model is made

    path = contract.path(contract.variants[recipe.source].path)
    with tempfile.TemporaryDirectory(prefix="eyerace-parity-") as folder, _quiet():
        prepared, result = Path(folder) / "source.onnx", Path(folder) / "result.onnx"
        model = _prepared(_read(path), Path(folder))
        _refuse_unknown_names(recipe, model)
        onnx.save(model, prepared)
        try:
            if isinstance(recipe, QuantiseStaticRecipe):
                _static(contract, recipe, (prepared, result), _excluded(recipe, model), progress)
            else:
                with progress.task("quantising", None):
                    _dynamic(recipe, (prepared, result), model)
            result_model = onnx.load(result)
        except ParityError:
            raise
        except Exception as error:  # the quantisers raise many classes
            reason = " ".join(str(error).split()) or type(error).__name__
            raise RecipeError(
                f"ONNX Runtime could not quantise {display_path(path)}: {type(error).__name__}: {reason[:400]}",
                next_step="keep the named node in float with recipe.exclude, or quantise fewer recipe.op_types",
            ) from error
    _compare(result_model, model, path)
    return result_model


def prepared(contract: Contract, recipe: QuantiseDynamicRecipe | QuantiseStaticRecipe) -> onnx.ModelProto:
    """The source in the form that the quantiser gets, with the node names that ``exclude`` refers to.

    Raises:
        RecipeError: The source is damaged, or ONNX Runtime does not load it.
    """
    with tempfile.TemporaryDirectory(prefix="eyerace-parity-") as folder:
        return _prepared(_read(contract.path(contract.variants[recipe.source].path)), Path(folder))


def _read(path: Path) -> onnx.ModelProto:
    import onnx  # noqa: PLC0415 - only where a model is made

    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf, the checker and the system raise many classes
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RecipeError(
            f"{display_path(path)} is not a valid ONNX model: {reason}", next_step="build or copy the source again"
        ) from error
    return model


def _prepared(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Fold batch normalisation into the preceding convolution, if the source has not done so.

    Otherwise it stays in float between every two quantised operators. ONNX Runtime's own preparation is not used: it
    also infers shapes symbolically, which needs sympy, and the quantisers infer the same shapes themselves.
    """
    import onnx  # noqa: PLC0415 - only where a model is made

    conv_outputs = {output for node in model.graph.node if node.op_type == "Conv" for output in node.output}
    if any(node.op_type == "BatchNormalization" and node.input[0] in conv_outputs for node in model.graph.node):
        import onnxruntime  # noqa: PLC0415 - only where a model is made

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        # Basic folds batch normalisation; higher levels may write fused operators of com.microsoft.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folder / "folded.onnx")
        try:
            onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own exception classes
            reason = " ".join(str(error).split())
            raise RecipeError(f"ONNX Runtime does not load the source: {reason[:400]}") from error
        model = onnx.load(folder / "folded.onnx")
    # Marks the model as prepared; otherwise the quantisers warn that it is not.
    entry = model.metadata_props.add()
    entry.key, entry.value = _PREPARED_KEY, "onnxruntime.quant"
    return model


def _refuse_unknown_names(recipe: QuantiseDynamicRecipe | QuantiseStaticRecipe, model: onnx.ModelProto) -> None:
    """Refuse unknown names: a misspelt one would quantise a layer that must stay in float, or quantise nothing."""
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
            f"the source has opset {opset_of(model)}; quantisation needs opset {_FIRST_QUANTISABLE_OPSET} or newer",
            next_step="export the source at a newer opset",
        )


def _excluded(recipe: QuantiseDynamicRecipe | QuantiseStaticRecipe, model: onnx.ModelProto) -> list[str]:
    return [node.name for node in model.graph.node if recipe.excludes(node.name)]


def quantised_operators(recipe: QuantiseStaticRecipe) -> frozenset[str]:
    """Operators that ONNX Runtime's quantiser quantises: the stated ones, or all that it supports."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry  # noqa: PLC0415

    return frozenset(recipe.op_types or (*QDQRegistry, *QLinearOpsRegistry))


def _type(name: str) -> Any:
    from onnxruntime.quantization import QuantType  # noqa: PLC0415 - only where a model is made

    return {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}[name]


def _dynamic(recipe: QuantiseDynamicRecipe, files: tuple[Path, Path], model: onnx.ModelProto) -> None:
    """Quantise weights; translate options about ``Gemm`` to the nodes that ONNX Runtime makes of it.

    ONNX Runtime first splits each ``Gemm`` into a ``MatMul`` with another name and an ``Add``. Without the translation
    it quantises a ``Gemm`` that must stay in float, and quantises nothing if only ``Gemm`` is asked for.
    """
    from onnxruntime.quantization import quantize_dynamic  # noqa: PLC0415 - only where a model is made

    op_types = set(recipe.op_types or ())
    excluded = _excluded(recipe, model)
    split = [node.name for node in model.graph.node if node.op_type == "Gemm"]
    float_matmuls = [name for name in excluded if name in split]
    if op_types and "Gemm" not in op_types:
        float_matmuls = split
    if "Gemm" in op_types and "MatMul" not in op_types:
        excluded += [node.name for node in model.graph.node if node.op_type == "MatMul"]
        op_types.add("MatMul")
    quantize_dynamic(
        *files,
        op_types_to_quantize=sorted(op_types) or None,
        per_channel=recipe.per_channel,
        reduce_range=recipe.reduce_range,
        weight_type=_type(recipe.weight_type),
        nodes_to_exclude=[*excluded, *(f"{name}_MatMul" for name in float_matmuls)],
    )


def _static(
    contract: Contract, recipe: QuantiseStaticRecipe, files: tuple[Path, Path], excluded: list[str], progress: Progress
) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, quantize_static  # noqa: PLC0415

    calibration = recipe.calibration
    drawn = draw(contract, calibration, files[0].parent, progress)
    # On EyeRace with 256 images: percentile 99.999 reaches 27.9 dB against fp32, minmax 22.6 dB, entropy 18.3 dB
    # (measured).
    methods = {
        "minmax": CalibrationMethod.MinMax,
        "entropy": CalibrationMethod.Entropy,
        "percentile": CalibrationMethod.Percentile,
    }
    options: dict[str, Any] = {
        # One sample a stride: the histogram methods keep every tensor of a stride in memory.
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
            # Without VNNI u8 x s8 products saturate: 25.8 dB instead of 45.2 dB; with reduce_range 47.2 dB everywhere
            # (measured).
            reduce_range=recipe.reduce_range,
            activation_type=_type(recipe.activation_type),
            weight_type=_type(recipe.weight_type),
            # A newer onnxruntime quantises an excluded Conv between DequantizeLinear and QuantizeLinear again when it
            # loads the file (microsoft/onnxruntime#22969); 1.16 does not.
            nodes_to_exclude=excluded,
            calibrate_method=methods[calibration.method],
            extra_options=options,
        )


def _compare(result_model: onnx.ModelProto, source: onnx.ModelProto, path: Path) -> None:
    """Check that something was quantised, and that opset, inputs and outputs did not change."""
    if not any(node.op_type in _INTEGER_OPERATORS for node in result_model.graph.node):
        raise RecipeError(
            f"nothing of {display_path(path)} was quantised",
            next_step="change recipe.op_types or recipe.exclude: together they keep everything in float",
        )
    if opset_of(result_model) != opset_of(source):
        raise RecipeError(
            f"ONNX Runtime raised the opset from {opset_of(source)} to {opset_of(result_model)}",
            next_step="set other integer types, or export the source at that opset",
        )
    for kind in ("input", "output"):
        before, after = ([info.name for info in getattr(model.graph, kind)] for model in (source, result_model))
        if before != after:
            raise RecipeError(f"quantising changed the {kind}s from {join_names(before)} to {join_names(after)}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the quantisers: they log to the root logger, print, and warn from native code.

    ``print`` is replaced in their module instead of redirecting ``sys.stdout``, which the progress bar uses.
    """
    import onnxruntime  # noqa: PLC0415 - only where a model is made
    from onnxruntime.quantization import calibrate  # noqa: PLC0415

    def no_print(*_: object, **__: object) -> None:
        """Print nothing."""

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    calibrate.print = no_print
    onnxruntime.set_default_logger_severity(3)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(2)
        del calibrate.print
        logging.disable(before)
