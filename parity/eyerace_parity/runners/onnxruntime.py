"""ONNX Runtime in this process: ``.onnx`` and ``.ort`` files, loaded from bytes as an app loads them."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.core.errors import ArtefactError, MeasurementError
from eyerace_parity.core.machine import installed_version
from eyerace_parity.evidence.artefacts import PortFact
from eyerace_parity.isolation import worker
from eyerace_parity.runners.artefact_files import (
    artefact,
    contents,
    external_locations,
    lies_inside,
    locations_in,
    readable,
)
from eyerace_parity.runners.base import Runner

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.variants import Session
    from eyerace_parity.evidence.base import Array


_ORT_MARK: Final = slice(4, 8)
"""Place of the file identifier ``ORTM`` in a file of the ORT format (FlatBuffers puts it after the root offset)."""


def runtime() -> str:
    """Return ``onnxruntime VERSION`` of this Python, without importing it."""
    for name in ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino"):
        try:
            return f"onnxruntime {installed_version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return "onnxruntime (of no known distribution)"


def model_of(contract: Contract, variant: str) -> bytes | Path:
    """Return what a session is created from: the file's bytes, or its path if the contract allows external data.

    For a model from bytes, ONNX Runtime looks for external data in the working directory. An app would not find them
    there. So a model with external data is refused, and never works by chance.

    Raises:
        ArtefactError: The file is missing, empty, too large or of another format than the variant's kind, or it has
            external data although the contract demands a single file.
    """
    if contract.variants[variant].kind == "ort":
        _require_ort(contract, variant)
    if not contract.interface.single_file:
        path = artefact(contract, variant)
        _refuse_outside(contract, variant, path)
        return path
    content = contents(contract, variant)
    if outside := locations_in(content):
        raise ArtefactError(
            f"{variant}: {contract.variants[variant].path.as_posix()} keeps weights in {', '.join(outside)}, "
            "which an app that loads it from bytes cannot find",
            next_step="export it as one file, or set interface.single_file = false if the app opens it by its path",
        )
    return content


def _refuse_outside(contract: Contract, variant: str, path: Path) -> None:
    """Refuse external data outside the bundle: older runtimes open any path that a file names."""
    with readable(f"{variant}: {path.name}"):
        outside = [place for place in external_locations(path) if lies_inside(contract.root, path, place) is None]
    if outside:
        raise ArtefactError(
            f"{variant}: its external data {', '.join(map(repr, outside))} lie outside the bundle, and are not opened",
            next_step="move them into the bundle, or export the model as one file",
        )


def _require_ort(contract: Contract, variant: str) -> None:
    """Refuse another format under ``kind = "ort"``: this runtime loads it, a minimal build for ``.ort`` does not."""
    path = artefact(contract, variant)
    name = f"{variant}: {contract.variants[variant].path.as_posix()}"
    with readable(name), path.open("rb") as file:
        head = file.read(_ORT_MARK.stop)
    if head[_ORT_MARK] != b"ORTM":
        raise ArtefactError(
            f"{name} is not in ONNX Runtime's own format",
            next_step="make it with `python -m onnxruntime.tools.convert_onnx_models_to_ort`, "
            'or say kind = "onnx" if the app reads ONNX files',
        )


def session_of(contract: Contract, variant: str, *, threads: int | None = None) -> Session:
    """Return the session settings of a variant.

    Args:
        contract: The contract.
        variant: Name of the variant.
        threads: Intra-op threads instead of the contract's; operators then run one at a time.
    """
    session = contract.session_of(variant)
    if threads is None:
        return session
    return session.model_copy(update={"intra_op_threads": threads, "inter_op_threads": 1})


class OnnxRuntimeRunner(Runner):
    """One ONNX Runtime session, shared by all threads that infer.

    Args:
        contract: The contract.
        variant: Name of an ``onnx`` or ``ort`` variant.
        threads: Intra-op threads instead of the contract's; operators then run one at a time.
    """

    def __init__(self, contract: Contract, variant: str, *, threads: int | None = None) -> None:
        self._contract = contract
        self._variant = variant
        self._settings = session_of(contract, variant, threads=threads)
        self._session: Any = None

    @property
    def runtime(self) -> str:
        """``onnxruntime VERSION``."""
        return runtime()

    def load(self) -> None:
        """Create the session.

        Raises:
            ArtefactError: The file cannot be read, or the runtime refuses it.
            MeasurementError: ONNX Runtime cannot be imported.
        """
        model = model_of(self._contract, self._variant)
        source = model if isinstance(model, bytes) else str(model)
        try:
            self._session = worker.create_session(source, self._settings.model_dump(mode="json"))
        except worker.Refused as error:
            raise refusal(self._contract, self._variant, str(error)) from error
        except ImportError as error:
            reason = f"onnxruntime cannot be imported: {error}"
            raise MeasurementError(reason, next_step="python -m pip install onnxruntime") from error

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run one inference; thread-safe. See :meth:`Runner.infer`."""
        try:
            return worker.infer(self._loaded(), feeds)
        except worker.Refused as error:
            raise MeasurementError(f"{self._variant}: {error}") from error

    def ports(self) -> tuple[tuple[PortFact, ...], tuple[PortFact, ...]]:
        """Inputs and outputs as the session declares them."""
        session = self._loaded()
        described = (worker.describe(session.get_inputs()), worker.describe(session.get_outputs()))
        inputs, outputs = (tuple(PortFact.model_validate(port) for port in side) for side in described)
        return inputs, outputs

    def close(self) -> None:
        """Free the session."""
        self._session = None

    def _loaded(self) -> Any:
        if self._session is None:
            message = "the runner is used before load() or after close()"
            raise RuntimeError(message)
        return self._session


def refusal(contract: Contract, variant: str, sentence: str) -> ArtefactError:
    """Make the error of a file that the runtime refuses, with a next step that fits the runtime's message.

    Args:
        contract: The contract.
        variant: Name of the variant.
        sentence: The runtime's message.
    """
    recipe = contract.recipe_of(variant)
    if "protobuf" in sentence.casefold() or "model verification" in sentence or "No graph was found" in sentence:
        step = "the file is torn or no ONNX model: " + ("delete it and export again" if recipe else "fetch it again")
    elif "NOT_IMPLEMENTED" in sentence:
        step = "use a recipe whose operators this runtime has, or a newer onnxruntime in the app and here"
    elif "Provider" in sentence:
        step = "install the onnxruntime package that has it, or correct session.providers in the contract"
    elif "opset" in sentence.casefold() or "IR version" in sentence:
        step = "export at an older opset or IR version, or use a newer onnxruntime in the app and here"
    else:
        step = f"load {contract.variants[variant].path.as_posix()} in {runtime()} alone to see more"
    return ArtefactError(f"{variant}: {runtime()} refuses the file: {sentence}", next_step=step)
