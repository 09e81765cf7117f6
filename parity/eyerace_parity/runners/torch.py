"""Runs torch variants in this process, on the CPU: a module with a state dict, a TorchScript archive, or a program.

Trust: a factory is code of the bundle that the contract names; it is executed like any import. A state dict is data:
safetensors, or a ``.pt`` opened with ``weights_only=True``, which refuses pickles that could execute code. A
TorchScript archive and a ``.pt2`` program are *programs* whose operators torch interprets: run only those of authors
whom you trust, as with any model file.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
import threading
import warnings
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.contract.callables import load_callable
from eyerace_parity.contract.variants import TorchExportVariant, TorchScriptVariant, TorchVariant
from eyerace_parity.core.errors import ArtefactError, MeasurementError, ParityError
from eyerace_parity.core.machine import installed_version
from eyerace_parity.runners.artefact_files import artefact
from eyerace_parity.runners.base import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.artefacts import PortFact
    from eyerace_parity.evidence.base import Array

_SHOWN_KEYS = 4
"""Tensor names that a message lists."""


def installed() -> bool:
    """Whether torch is installed, without importing it."""
    try:
        installed_version("torch")
    except metadata.PackageNotFoundError:
        return False
    return True


def runtime() -> str:
    """Return ``torch VERSION`` of this Python, without importing it."""
    return f"torch {installed_version('torch')}" if installed() else "torch (not installed)"


def load_module(contract: Contract, variant: str) -> Any:
    """Load a torch variant with its weights, in inference mode.

    Returns:
        A callable that takes the interface's inputs in order; for ``kind = "torch"`` a ``torch.nn.Module``.

    Raises:
        ArtefactError: The file is missing, torn or unsafe, or does not fit the module.
        MeasurementError: Torch is missing, or the factory fails.
    """
    torch = _import("torch")
    stated = contract.variants[variant]
    path = artefact(contract, variant)
    with warnings.catch_warnings():
        # Deprecations inside a library are not the user's fault and must not become errors under ``-W error``.
        warnings.simplefilter("ignore")
        if isinstance(stated, TorchVariant):
            return _build(contract, variant, stated, path)
        name = f"{variant}: {stated.path.as_posix()}"
        if isinstance(stated, TorchScriptVariant):
            return _opened(name, "TorchScript archive", lambda: torch.jit.load(str(path), map_location="cpu").eval())
        if isinstance(stated, TorchExportVariant):
            return _opened(name, "torch.export program", lambda: _program(torch, path))
    message = f"{variant} is no torch variant"
    raise TypeError(message)


class TorchRunner(Runner):
    """A torch module in this process.

    Several threads may infer at once if the module's ``forward`` keeps no state between calls.

    Args:
        contract: The contract.
        variant: Name of a torch variant of any kind.
        threads: Intra-op threads instead of the contract's.
    """

    def __init__(self, contract: Contract, variant: str, *, threads: int | None = None) -> None:
        self._contract = contract
        self._variant = variant
        self._threads = contract.session_of(variant).intra_op_threads if threads is None else threads
        self._threads_before: int | None = None
        self._module: Any = None

    @property
    def runtime(self) -> str:
        """``torch VERSION``."""
        return runtime()

    def load(self) -> None:
        """Load the module. Sets torch's number of threads for the whole process until :meth:`close`."""
        self._module = load_module(self._contract, self._variant)
        torch = _import("torch")
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(self._threads)

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run one inference, in inference mode. See :meth:`Runner.infer`."""
        if self._module is None:
            message = "the runner is used before load() or after close()"
            raise RuntimeError(message)
        torch = _import("torch")
        names = [port.name for port in self._contract.interface.inputs]
        if missing := [name for name in names if name not in feeds]:
            raise MeasurementError(f"{self._variant}: no input {', '.join(missing)} was given")
        try:
            tensors = [_tensor(torch, feeds[name]) for name in names]
            with torch.inference_mode():
                answer = self._module(*tensors)
        except (Exception, SystemExit) as error:
            sentence = str(error).strip().partition("\n")[0] or type(error).__name__
            raise MeasurementError(
                f"{self._variant}: the torch module failed: {sentence}",
                next_step="check that it takes the interface's inputs in their order",
            ) from error
        return self._outputs(torch, answer)

    def ports(self) -> tuple[tuple[PortFact, ...], tuple[PortFact, ...]]:
        """Return nothing: a torch module declares neither inputs nor outputs."""
        return (), ()

    def close(self) -> None:
        """Free the module and restore the number of threads."""
        self._module = None
        if self._threads_before is not None:
            _import("torch").set_num_threads(self._threads_before)
            self._threads_before = None

    def _outputs(self, torch: Any, answer: Any) -> dict[str, Array]:
        """Assign what the module returned to the interface's outputs: by name if it returns a dict, else in order."""
        names = [port.name for port in self._contract.interface.outputs]
        if isinstance(answer, dict) and set(names) <= set(answer):
            named = dict(answer)
        else:
            values = list(answer.values()) if isinstance(answer, dict) else answer
            values = list(values) if isinstance(values, tuple | list) else [values]
            if len(values) != len(names):
                raise MeasurementError(
                    f"{self._variant}: the torch module returned {len(values)} outputs, "
                    f"the interface has {len(names)} ({', '.join(names)})",
                    next_step="list all outputs in [interface], in the order in which the module returns them",
                )
            named = dict(zip(names, values, strict=True))
        return {name: self._array(torch, name, value) for name, value in named.items()}

    def _array(self, torch: Any, name: str, value: Any) -> Array:
        if not isinstance(value, torch.Tensor):
            reason = f"{self._variant}: output {name!r} is a {type(value).__name__}, not a tensor"
            raise MeasurementError(reason, next_step="let the module return tensors only")
        try:
            array: Array = value.detach().cpu().numpy()
        except (TypeError, RuntimeError) as error:
            reason = f"{self._variant}: output {name!r} of type {value.dtype} has no numpy form"
            raise MeasurementError(reason, next_step="let the module return float32") from error
        return array


def _build(contract: Contract, variant: str, stated: TorchVariant, path: Path) -> Any:
    torch = _import("torch")
    name = f"{variant}: {stated.path.as_posix()}"
    try:
        module = load_callable(contract.root, stated.factory)(**stated.arguments)
    except ParityError as error:
        raise MeasurementError(error.reason, next_step=error.next_step) from error
    except (Exception, SystemExit) as error:
        reason = f"{variant}: the factory {stated.factory} failed: {type(error).__name__}: {error}"
        raise MeasurementError(
            reason, next_step=f"call it by hand with {stated.arguments or 'no arguments'}"
        ) from error
    if not isinstance(module, torch.nn.Module):
        reason = f"{variant}: the factory {stated.factory} returned a {type(module).__name__}, not a torch.nn.Module"
        raise MeasurementError(reason, next_step="name a callable that returns the module")
    weights = _weights(path, name)
    _check_keys(module, weights, name)
    try:
        module.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        sentence = " ".join(str(error).split()).partition(": ")[2] or str(error)
        step = "use the checkpoint that this factory was trained with, or correct its arguments"
        raise ArtefactError(f"{name} does not fit {stated.factory}: {sentence}", next_step=step) from error
    return module.eval()


def _program(torch: Any, path: Path) -> Any:
    """Load an exported program. Torch's log is silenced: it logs the whole traceback of what it raises anyway."""
    logger = logging.getLogger("torch.export")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with _without_code_of_the_file():
            _refuse_libraries(path)
            return torch.export.load(str(path)).module()
    finally:
        logger.setLevel(level)


_FORCE: Final = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""Environment variable that makes torch load every pickle with ``weights_only=True``, whatever the caller asks for."""

_OF_DATA = threading.local()
"""``reading`` is true while this thread loads a file whose pickles must not name anything to call."""

_HOOKED = threading.Lock()
"""Acquired for good once the audit hook is installed: Python cannot remove an audit hook."""


def _refuse_pickle(event: str, _arguments: object) -> None:
    if event == "pickle.find_class" and getattr(_OF_DATA, "reading", False):
        message = "weights_only: a pickle in the file names something to call"
        raise pickle.UnpicklingError(message)


@contextmanager
def _without_code_of_the_file() -> Iterator[None]:
    """Keep pickles that this thread loads in the context from running code.

    ``torch.export.load`` opens pickles without ``weights_only`` if a file asks for it. Python calls audit hooks with
    ``pickle.find_class`` before a pickle obtains anything to call. A hook cannot be removed, so it is added once and
    acts only inside this context.
    """
    if _HOOKED.acquire(blocking=False):  # never released: one hook is enough
        sys.addaudithook(_refuse_pickle)
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    _OF_DATA.reading = True
    try:
        yield
    finally:
        _OF_DATA.reading = False
        if before is None:
            os.environ.pop(_FORCE, None)
        else:
            os.environ[_FORCE] = before


def _refuse_libraries(path: Path) -> None:
    """Refuse a program that contains compiled code, which torch would load as a shared library.

    Raises:
        RuntimeError: It contains compiled code, or is no archive.
    """
    reader = _import("torch.export.pt2_archive._package").PT2ArchiveReader(str(path))
    if any("aotinductor" in name or name.endswith((".so", ".dll", ".dylib", ".o")) for name in reader.get_file_names()):
        message = "weights_only: it holds a compiled library"
        raise RuntimeError(message)


def _check_keys(module: Any, weights: Mapping[str, Any], name: str) -> None:
    """Report missing and unknown tensors in one sentence; torch's own message fills a page.

    Raises:
        ArtefactError: A tensor is missing or unknown.
    """
    wanted = module.state_dict().keys()
    faults = [
        f"{len(keys)} {what} ({', '.join(keys[:_SHOWN_KEYS])}{', …' if len(keys) > _SHOWN_KEYS else ''})"
        for what, keys in (
            ("tensors are missing", [key for key in wanted if key not in weights]),
            ("are unknown to the module", [key for key in weights if key not in wanted]),
        )
        if keys
    ]
    if faults:
        step = "use the checkpoint that this factory was trained with; a prefix such as `module.` must be taken off"
        raise ArtefactError(f"{name} does not fit the module: {' and '.join(faults)}", next_step=step)


def _weights(path: Path, name: str) -> dict[str, Any]:
    torch = _import("torch")
    if path.suffix == ".safetensors":
        load_file = _import("safetensors.torch").load_file
        weights = _opened(name, "safetensors file", lambda: load_file(str(path)))
    else:
        weights = _opened(name, "state dict", lambda: torch.load(path, map_location="cpu", weights_only=True))
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ArtefactError(
            f"{name} holds a {type(weights).__name__} that is no state dict of tensors",
            next_step="save `module.state_dict()` alone, best with safetensors.torch.save_file",
        )
    return weights


def _opened(name: str, what: str, open_it: Callable[[], Any]) -> Any:
    """Open a file; turn whatever a reader raises for invalid bytes into one readable error.

    Args:
        name: Variant and file, for messages.
        what: Format of the file, for messages.
        open_it: Opens it.

    Raises:
        ArtefactError: The file is unsafe or cannot be read.
        MeasurementError: A package that reads it is missing.
    """
    try:
        return open_it()
    except (MeasurementError, KeyboardInterrupt):
        raise
    except BaseException as error:  # safetensors is written in Rust: its panics derive from BaseException
        text = " ".join(str(error).split())
        if "weights_only" in text or "Weights only" in text:
            raise ArtefactError(
                f"{name} is a pickle that could execute code when it is opened, and was refused",
                next_step="save `module.state_dict()` alone: tensors only, best with safetensors.torch.save_file",
            ) from error
        sentence = text.partition(". ")[0] or type(error).__name__
        step = "the file is torn or of another kind: fetch it again, or correct the variant's kind and path"
        raise ArtefactError(f"{name} is no readable {what}: {sentence[:200]}", next_step=step) from error


def _tensor(torch: Any, array: Array) -> Any:
    import numpy as np  # noqa: PLC0415 - on the path of every plugin import otherwise

    whole = np.ascontiguousarray(array).reshape(array.shape)  # ascontiguousarray makes a scalar one-dimensional
    return torch.from_numpy(whole if whole.flags.writeable else whole.copy())


def _import(name: str) -> Any:
    """Import torch or a package that reads its files.

    Raises:
        MeasurementError: It cannot be imported.
    """
    from importlib import import_module  # noqa: PLC0415

    try:
        return import_module(name)
    except ImportError as error:
        missing = name.partition(".")[0]
        raise MeasurementError(
            f"{missing} is needed to run a torch variant and cannot be imported: {error}",
            next_step='python -m pip install "eyerace-parity[torch]" '
            "(without a GPU: --extra-index-url https://download.pytorch.org/whl/cpu), "
            "or judge against recorded outputs: `eyerace-parity record` on a machine with torch",
        ) from error
