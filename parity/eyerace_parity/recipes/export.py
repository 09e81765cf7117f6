"""Exports torch to ONNX at exactly the opset of the contract, and verifies the file.

The tracing exporter is used because it honours the opset. With ``opset_version=17`` torch's default exporter (dynamo,
torch 2.13) wrote opset 18, put the weights into a second file, and only logged the failed conversion (measured). The
written opset, names, types and axes are read back, and the file is run against the module at two sizes of every dynamic
axis, neither of them the traced size.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eyerace_parity.core.errors import MeasurementError, RecipeError
from eyerace_parity.core.text import join_names
from eyerace_parity.recipes.onnx_file import opset_of
from eyerace_parity.runners.torch import TorchRunner, load_module

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import onnx

    from eyerace_parity.contract.data import Interface, Port
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array

_DEFAULT_OPSET: Final = 17
"""Opset if the contract names none; every ONNX Runtime since 1.12 reads it."""

_TRACED: Final = 2
"""Extent of a first axis in the traced example. Not 1: tracing would bake broadcasting in."""

_VERIFIED: Final = (1, 3)
"""Extents of a first axis at which the file is verified."""

_OTHER_EXTENTS: Final = (8, 32, 64, 224)
"""Extents tried for any other dynamic axis until the module accepts one; strides need powers of two."""

_TOLERANCE: Final = 1e-3
"""Largest difference from the module, relative to its largest answer. The contract's clauses are stricter."""

_HALF_TOLERANCE: Final = 5e-2
"""The same for float16, whose step is 2^-10."""
# Fixed, so that the traced example and the artefact's bytes are the same in every build.
_SEED: Final = 20_170_614


def export(contract: Contract, source: str) -> onnx.ModelProto:
    """Export a torch variant.

    Args:
        contract: The contract; its interface names the ports, their axes and the opset.
        source: Name of the torch variant.

    Returns:
        The model with its weights inside.

    Raises:
        RecipeError: Torch cannot export the module, or the result does not match the interface.
        MeasurementError: The module cannot be loaded or run.
    """
    import onnx  # noqa: PLC0415 - only where a model is made

    interface = contract.interface
    with TorchRunner(contract, source) as runner:
        example, extents = _find_example(interface, runner)
        content = _trace(load_module(contract, source), interface, example)
        model = onnx.load_from_string(content)
        _compare(model, interface)
        for number, first in enumerate(_VERIFIED):
            others = {name: first if extent == _TRACED else extent * (number + 1) for name, extent in extents.items()}
            _verify(content, interface, runner, _example(interface, others, seed=_SEED + 1 + number))
    _declare(model, interface)
    return model


def _axes(interface: Interface) -> dict[str, bool]:
    """Names of the inputs' dynamic axes, each with whether it is a first axis anywhere."""
    axes: dict[str, bool] = {}
    for port in interface.inputs:
        for place, extent in enumerate(port.shape):
            if isinstance(extent, str):
                axes[extent] = axes.get(extent, False) or place == 0
    return axes


def _example(interface: Interface, extents: Mapping[str, int], *, seed: int) -> dict[str, Array]:
    """Draw inputs: normal numbers for float dtypes, 0 or 1 for integers, because they may be indices."""
    random = np.random.default_rng(seed)
    drawn: dict[str, Array] = {}
    for port in interface.inputs:
        shape = tuple(extents[extent] if isinstance(extent, str) else extent for extent in port.shape)
        if port.dtype.startswith("float"):
            drawn[port.name] = random.standard_normal(shape).astype(port.dtype)
        else:
            drawn[port.name] = random.integers(0, 2, shape).astype(port.dtype)
    return drawn


def _find_example(interface: Interface, runner: TorchRunner) -> tuple[dict[str, Array], dict[str, int]]:
    """Find an example that the module accepts; the interface does not say which dynamic extents are valid."""
    axes = _axes(interface)
    refusal: MeasurementError | None = None
    for other in _OTHER_EXTENTS:
        extents = {name: _TRACED if first else other for name, first in axes.items()}
        example = _example(interface, extents, seed=_SEED)
        try:
            runner.infer(example)
        except MeasurementError as error:
            refusal = error
        else:
            return example, extents
        if all(axes.values()):
            break
    assert refusal is not None  # noqa: S101 - the loop runs at least once
    shapes = join_names(f"{name} {list(array.shape)}" for name, array in example.items())
    raise RecipeError(
        f"the module accepts no input of the interface's shape ({shapes} was refused): {refusal.reason}",
        next_step="correct the shapes and dtypes of [[interface.inputs]], in the order of the module's arguments",
    ) from refusal


def _trace(module: Any, interface: Interface, example: Mapping[str, Array]) -> bytes:
    """Write the model with torch's tracing exporter at the requested opset."""
    import torch  # noqa: PLC0415 - only where a torch variant is exported

    ports = (*interface.inputs, *interface.outputs)
    axes = {
        port.name: {place: extent for place, extent in enumerate(port.shape) if isinstance(extent, str)}
        for port in ports
    }
    arguments = tuple(torch.from_numpy(array.copy()) for array in example.values())
    try:
        with tempfile.TemporaryDirectory(prefix="eyerace-parity-") as folder, _quiet(), torch.no_grad():
            target = Path(folder) / "model.onnx"
            torch.onnx.export(
                _traceable(module, arguments, interface.outputs),
                arguments,
                target,
                input_names=[port.name for port in interface.inputs],
                output_names=[port.name for port in interface.outputs],
                dynamic_axes={name: named for name, named in axes.items() if named},
                opset_version=interface.opset or _DEFAULT_OPSET,
                do_constant_folding=True,
                # The dynamo exporter does not honour opset_version; see the module docstring.
                dynamo=False,
            )
            return target.read_bytes()
    except Exception as error:  # torch passes on the exceptions of its operators
        reason = " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
        raise RecipeError(
            f"torch could not export the module at opset {interface.opset or _DEFAULT_OPSET}: {reason[:400]}",
            next_step="set another interface.opset, or replace the named operation by ones that ONNX has",
        ) from error


def _traceable(module: Any, arguments: tuple[Any, ...], outputs: tuple[Port, ...]) -> Any:
    """Wrap modules that torch cannot trace: those that return dictionaries, and programs with a fixed mode."""
    import torch  # noqa: PLC0415 - only where a torch variant is exported

    names = [port.name for port in outputs]
    with torch.inference_mode():
        answer = module(*arguments)
    plain = not isinstance(answer, dict)
    if plain and isinstance(module, torch.nn.Module) and not isinstance(module, torch.fx.GraphModule):
        return module

    class Ordered(torch.nn.Module):
        """The module's outputs as a tuple, in the interface's order."""

        def __init__(self) -> None:
            super().__init__()
            self.model = module

        def train(self, mode: bool = True) -> Ordered:  # noqa: ARG002, FBT001, FBT002 - torch's own signature
            return self

        def forward(self, *inputs: Any) -> Any:
            answer = self.model(*inputs)
            if plain:
                return answer
            # By name if all names are there, otherwise in order, as the torch runner does.
            return tuple(answer[name] for name in names) if set(names) <= set(answer) else tuple(answer.values())

    ordered = Ordered()
    ordered.training = False
    return ordered


def _compare(model: onnx.ModelProto, interface: Interface) -> None:
    """Compare the written file with the interface."""
    from onnx import TensorProto, helper  # noqa: PLC0415 - only where a model is made

    faults = []
    opset = interface.opset or _DEFAULT_OPSET
    if opset_of(model) != opset:
        faults.append(f"its opset is {opset_of(model)} instead of {opset}")
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer):
        faults.append("it keeps weights outside the file")
    initialisers = {tensor.name for tensor in model.graph.initializer}
    written = [info for info in model.graph.input if info.name not in initialisers]
    for kind, infos, ports in (
        ("input", written, interface.inputs),
        ("output", model.graph.output, interface.outputs),
    ):
        written_ports = {info.name: info for info in infos}
        if list(written_ports) != [port.name for port in ports]:
            names = join_names(port.name for port in ports)
            faults.append(f"its {kind}s are {join_names(written_ports) or 'none'} instead of {names}")
            continue
        for port in ports:
            tensor = written_ports[port.name].type.tensor_type
            dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else "unknown"
            if dtype != port.dtype:
                faults.append(f"{kind} {port.name!r} is {dtype} instead of {port.dtype}")
            fixed = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
            if tensor.HasField("shape") and not _agrees(fixed, port):
                faults.append(f"{kind} {port.name!r} has the shape {fixed} instead of {list(port.shape)}")
    if faults:
        raise RecipeError(
            f"the exported file is not what the interface asks for: {'; '.join(faults)}",
            next_step="correct [interface], or change the module's inputs and outputs; torch does not export an "
            "unused input",
        )


def _agrees(fixed: list[int | None], port: Port) -> bool:
    """Whether declared extents fit the port: a dynamic axis must not be fixed."""
    return len(fixed) == len(port.shape) and all(
        extent is None or extent == wanted for extent, wanted in zip(fixed, port.shape, strict=True)
    )


def _verify(content: bytes, interface: Interface, runner: TorchRunner, feeds: Mapping[str, Array]) -> None:
    """Run the exported model and the module on the same inputs, and compare."""
    import onnxruntime  # noqa: PLC0415 - only where a model is made

    shapes = join_names(f"{name} {list(array.shape)}" for name, array in feeds.items())
    wanted = runner.infer(feeds)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Without graph optimisation, so that a difference is the export's and not the optimiser's.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        outputs = session.run([port.name for port in interface.outputs], dict(feeds))
    except Exception as error:  # ONNX Runtime's own exception classes
        reason = " ".join(str(error).split())
        raise RecipeError(
            f"the exported file does not run with {shapes}: {reason[:400]}",
            next_step="an extent was fixed while tracing: take sizes from the tensors, not from Python numbers",
        ) from error
    for port, given in zip(interface.outputs, outputs, strict=True):
        fault = _difference(port, wanted[port.name], given, feeds, interface)
        if fault:
            raise RecipeError(
                f"the exported file and the module differ with {shapes}: output {port.name!r} {fault}",
                next_step="something in the module depends on the traced example: a Python branch, a size, randomness",
            )


def _difference(port: Port, wanted: Array, given: Array, feeds: Mapping[str, Array], interface: Interface) -> str:
    """Describe how two answers differ; empty if they agree."""
    if wanted.shape != given.shape or wanted.dtype != given.dtype:
        return f"is {given.dtype} {list(given.shape)} instead of {wanted.dtype} {list(wanted.shape)}"
    extents = {
        extent: array.shape[place]
        for taken, array in zip(interface.inputs, feeds.values(), strict=True)
        for place, extent in enumerate(taken.shape)
        if isinstance(extent, str)
    }
    stated = [extents.get(extent) if isinstance(extent, str) else extent for extent in port.shape]
    if len(stated) != given.ndim or any(s not in {None, g} for s, g in zip(stated, given.shape, strict=True)):
        return f"has the shape {list(given.shape)}, which is not {list(port.shape)}"
    if given.dtype.kind != "f":
        count = int((wanted != given).sum())
        return f"differs in {count} of {given.size} elements" if count else ""
    reference, candidate = wanted.astype(np.float64), given.astype(np.float64)
    if not np.array_equal(np.isfinite(reference), np.isfinite(candidate)):
        return "holds NaN or infinite values where the module's does not, or the other way round"
    finite = np.isfinite(reference)
    error = float(np.abs(reference - candidate, where=finite, out=np.zeros_like(reference)).max(initial=0.0))
    scale = float(np.abs(reference[finite]).max(initial=0.0))
    allowed = (_HALF_TOLERANCE if given.dtype.itemsize < 4 else _TOLERANCE) * scale  # noqa: PLR2004 - bytes of float32
    return f"differs by up to {error:.3g}, with answers up to {scale:.3g}" if error > allowed else ""


def _declare(model: onnx.ModelProto, interface: Interface) -> None:
    """Write the interface's axes into the file, where torch inferred none or invented names; they are verified."""
    from onnx import helper  # noqa: PLC0415 - only where a model is made

    for infos, ports in ((model.graph.input, interface.inputs), (model.graph.output, interface.outputs)):
        stated = {port.name: port for port in ports}
        for info in infos:
            if info.name in stated:
                tensor = info.type.tensor_type
                info.type.CopyFrom(helper.make_tensor_type_proto(tensor.elem_type, stated[info.name].shape))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence torch's deprecation warnings, and its warnings about tracing that the verification covers."""
    from torch.jit._trace import TracerWarning  # noqa: PLC0415 - only where a torch variant is exported

    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=TracerWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.onnx")
            yield
    finally:
        logger.setLevel(level)
