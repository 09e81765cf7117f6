"""The measurement context: contract, golden set and evidence cache of a run, with the digests of all inputs.

Each digest is computed once in a run and shared by all measurers. It costs as much as reading the files, and imports
neither torch nor onnx.
"""

from __future__ import annotations

import copy
import errno
import importlib.util
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.contract.callables import source_digest, source_files
from eyerace_parity.contract.data import ImageSet
from eyerace_parity.contract.parts import contract_part, part_digest
from eyerace_parity.contract.variants import TorchVariant
from eyerace_parity.core import machine
from eyerace_parity.core.digests import bytes_digest, file_digest, json_digest
from eyerace_parity.core.errors import GoldenError, MeasurementError, ParityError
from eyerace_parity.core.machine import installed_version
from eyerace_parity.core.result import HOST
from eyerace_parity.evidence.answers import GoldenFacts
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.extending.loading import active
from eyerace_parity.measure.cache import SCHEMA
from eyerace_parity.measure.seals import Seal
from eyerace_parity.preprocess.apply import profile_digest
from eyerace_parity.runners import onnxruntime as onnx_runtime
from eyerace_parity.runners import torch as torch_runtime
from eyerace_parity.runners.artefact_files import external_locations, lies_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.golden.dataset import GoldenSet
    from eyerace_parity.measure.cache import EvidenceCache

MISSING: Final = "missing"
"""Takes the place of a digest in a provenance if the file does not exist."""

OUTSIDE: Final = "outside"
"""Takes the place of a digest if the file lies outside the bundle; such a file is never opened."""

CONTRACT_READ: Final = "contract"
"""Setting of a provenance: digest of what the measurement reads of the contract."""

_PACKAGE: Final = Path(__file__).parent.parent


@dataclass(slots=True)
class MeasurementContext:
    """What is measured, and with what.

    Attributes:
        contract: The contract.
        opener: Opens the contract's golden set.
        store: The evidence cache.
        jobs: Number of samples evaluated at the same time.
        progress: Receives the progress of long work.
        recorded: Whether recorded outputs replace torch variants even if torch is installed.
        peer: A Python, or the folder of its environment, with another ONNX Runtime; ``None`` for none.
        rehash: Whether to hash files again even if size, times and inode are unchanged.
    """

    contract: Contract
    opener: Callable[[Contract], GoldenSet]
    store: EvidenceCache
    jobs: int
    progress: Progress
    recorded: bool = False
    peer: Path | None = None
    rehash: bool = False
    _golden: GoldenSet | GoldenError | None = field(default=None, init=False)
    _seals: dict[str, Seal] = field(default_factory=dict, init=False)
    _lock: RLock = field(default_factory=RLock, init=False)

    def golden(self) -> GoldenSet:
        """Return the golden set, which is opened once.

        Raises:
            GoldenError: It cannot be opened; every later call raises the same error without another attempt.
        """
        with self._lock:
            if self._golden is None:
                try:
                    self._golden = self.opener(self.contract)
                except GoldenError as error:
                    self._golden = error
            if isinstance(self._golden, GoldenError):
                raise self._golden
            return self._golden

    def narrowed(self, reads: tuple[str, ...] | None) -> MeasurementContext:
        """Return this context with only the part of the contract that a kind reads, which its key covers."""
        if reads is None:
            return self
        own = copy.copy(self)
        own.contract = contract_part(self.contract, reads)
        own.opener = lambda _: self.golden()
        return own

    def is_torch(self, variant: str) -> bool:
        """Whether a variant needs torch to run."""
        return self.contract.variants[variant].needs_torch

    def in_onnxruntime(self, variant: str) -> bool:
        """Whether ONNX Runtime runs a variant."""
        return self.contract.variants[variant].in_onnxruntime

    def stands_in(self, variant: str) -> bool:
        """Whether recorded outputs are used instead of running the variant."""
        return self.is_torch(variant) and (self.recorded or not torch_runtime.installed())

    def runtime(self, variant: str) -> str:
        """Return name and version of a variant's runtime, without importing it."""
        stated = self.contract.variants[variant].kind
        for added in active().added("runners", self.contract.extensions):
            if added.kind == stated:
                return str(added.runner(self.contract, variant, None).runtime)
        return torch_runtime.runtime() if self.is_torch(variant) else onnx_runtime.runtime()

    def artefact(self, variant: str) -> str:
        """Return the digest of everything that makes a variant: its files, and a factory's source and arguments.

        Raises:
            MeasurementError: A file cannot be read, or the factory's source cannot be found.
        """
        with self._lock:
            if variant not in self._seals:
                self._seals[variant] = Seal(
                    lambda: artefact_files(self.contract, variant),
                    lambda: artefact_digest(self.contract, variant),
                    rehash=self.rehash,
                )
            return self._seals[variant].digest

    def recorded_outputs(self, variant: str) -> str:
        """Return the digest of a variant's recorded outputs, or :data:`MISSING`."""
        with self._lock:
            name = f"{variant} (recorded)"
            if name not in self._seals:
                path = recorded_place(self.contract, variant)
                self._seals[name] = Seal(lambda: [path], lambda: _digest_of(path), rehash=self.rehash)
            return self._seals[name].digest

    def require(self, source: Provenance, *, quick: bool = False) -> None:
        """Require that the files of a provenance are unchanged.

        Args:
            source: The provenance.
            quick: Whether the bytes were hashed for this evidence before; see :meth:`Seal.require`.

        Raises:
            InputChanged: A file has changed.
        """
        for seal in self._beneath(source):
            seal.require(quick=quick)

    @contextmanager
    def sealed(self, source: Provenance) -> Iterator[None]:
        """Guard a measurement: require before and after it that the files of a provenance are unchanged.

        Golden samples need no seal: each is hashed when it is read. A failure while a file changed is reported as that
        change.

        Raises:
            InputChanged: A file of the provenance was written to.
        """
        self.require(source)
        try:
            yield
        except (MeasurementError, OSError):
            self._prove(source)
            raise
        self._prove(source)

    def _prove(self, source: Provenance) -> None:
        for seal in self._beneath(source):
            seal.prove()

    def _beneath(self, source: Provenance) -> Iterator[Seal]:
        """Return the seals whose digests the provenance names."""
        named = {source.artefact, *source.settings.values()}
        with self._lock:
            seals = tuple(self._seals.values())
        return (seal for seal in seals if seal.digest in named)

    def provenance(
        self,
        variant: str,
        *,
        target: str = HOST,
        golden: bool = False,
        runtime: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Provenance:
        """Make the provenance of a measurement, without measuring.

        Args:
            variant: Name of the variant.
            target: Where it is executed.
            golden: Whether golden samples are used.
            runtime: The runtime; the variant's own by default, an empty string if nothing is executed.
            settings: All other settings that could change the measurement.

        Raises:
            MeasurementError: A file that it covers cannot be read.
        """
        runtime = self.runtime(variant) if runtime is None else runtime
        profile = self.contract.preprocess_of(variant) if golden else None
        return Provenance(
            variant=variant,
            target=target,
            artefact=self.artefact(variant),
            golden=self.golden().digest if golden else "",
            preprocess=profile_digest(profile) if profile is not None else "",
            runtime=runtime,
            machine=machine.fingerprint() if runtime else "",
            settings=dict(settings or {}) | self.extensions(),
        )

    def extensions(self) -> dict[str, str]:
        """Extensions of other packages that can have changed a number, as they stand in a provenance."""
        named = active().measuring(self.contract.extensions)
        return {f"extension.{each.name}": f"{each.package} {each.version} {each.digest}" for each in named}

    def session_settings(self, variant: str, *, threads: int | None = None) -> dict[str, str]:
        """Return the settings of a variant's session for a provenance."""
        session = onnx_runtime.session_of(self.contract, variant, threads=threads)
        settings = {"threads": str(session.intra_op_threads)}
        if not self.in_onnxruntime(variant):
            # A torch module names no outputs: they get their names by the order in the contract.
            ports = {"inputs": self.contract.interface.inputs, "outputs": self.contract.interface.outputs}
            return settings | {side: json.dumps([port.name for port in named]) for side, named in ports.items()}
        settings |= {
            "inter_op_threads": str(session.inter_op_threads),
            "spinning": "on" if session.spinning else "off",
            "optimisation": session.optimisation,
            "providers": ",".join(session.providers),
            "loaded_from": "bytes" if self.contract.interface.single_file else "path",
        }
        return settings | ({"config": json.dumps(session.config, sort_keys=True)} if session.config else {})

    def decoding_settings(self) -> dict[str, str]:
        """Return the versions of the libraries that prepare golden samples, for a provenance."""
        libraries = ["numpy", "pillow"] if isinstance(self.contract.golden, ImageSet) else ["numpy"]
        return {name: installed_version(name) for name in libraries}


def artefact_digest(contract: Contract, variant: str) -> str:
    """Return the digest of everything that makes a variant, or :data:`MISSING`.

    Raises:
        MeasurementError: A file cannot be read, or the factory's source cannot be found.
    """
    stated = contract.variants[variant]
    path = contract.path(stated.path)
    try:
        if not path.is_file():
            return MISSING
        digest = file_digest(path)
        if isinstance(stated, TorchVariant):
            source = source_digest(contract.root, stated.factory)
            return json_digest({"file": digest, "factory": stated.factory, "source": source, "with": stated.arguments})
        beside = external_locations(path) if stated.kind == "onnx" else ()
        if not beside:
            return digest
        return json_digest({"file": digest, "beside": {place: _beside(contract, path, place) for place in beside}})
    except OSError as error:
        reason = f"{variant}: {stated.path.as_posix()} cannot be read: {error.strerror or error}"
        raise MeasurementError(reason, next_step="check the file's permissions") from error
    except ParityError as error:
        raise MeasurementError(error.reason, next_step=error.next_step) from error


def artefact_files(contract: Contract, variant: str) -> list[Path]:
    """Return all files that :func:`artefact_digest` reads, including those that are missing.

    Raises:
        MeasurementError: A file cannot be read.
    """
    stated = contract.variants[variant]
    path = contract.path(stated.path)
    try:
        if isinstance(stated, TorchVariant):
            return [path, *source_files(contract.root, stated.factory)]
        beside = external_locations(path) if stated.kind == "onnx" and path.is_file() else ()
        return [path, *filter(None, (inside(contract, path, place) for place in beside))]
    except OSError as error:
        reason = f"{variant}: {stated.path.as_posix()} cannot be read: {error.strerror or error}"
        raise MeasurementError(reason, next_step="check the file's permissions") from error
    except ParityError as error:
        raise MeasurementError(error.reason, next_step=error.next_step) from error


def recorded_place(contract: Contract, variant: str) -> Path:
    """Return the path of a variant's recorded outputs."""
    return contract.path(contract.recorded) / f"{variant}.npz"


def inside(contract: Contract, path: Path, location: str) -> Path | None:
    """Resolve the path of external data; ``None`` if it lies outside the bundle and must not be opened."""
    return lies_inside(contract.root, path, location)


def content_key(kind: type[Any], source: Provenance) -> str:
    """Return the key of a measurement: the digest of everything that could change it, the measuring code included.

    Raises:
        MeasurementError: The code that measures cannot be read.
    """
    declared = KINDS.of(kind)
    module = declared.measurer.partition(":")[0]
    stated = source.model_dump(mode="json", exclude={"cached"})
    code = code_digest(module, *declared.code)
    return json_digest({"schema": SCHEMA, "kind": declared.name, "code": code, "source": stated})


def golden_key(contract: Contract, digest: str) -> str:
    """Return the key of a golden set's facts, from the digest of the set and what is read of the contract."""
    read = contract_read(contract, GoldenFacts)
    return json_digest({"schema": SCHEMA, "kind": KINDS.of(GoldenFacts).name, "golden": digest, **read})


def contract_read(contract: Contract, kind: type[Any]) -> dict[str, str]:
    """Return the digest of what a kind reads of the contract, as a setting of its provenance; empty for nothing."""
    reads = KINDS.of(kind).reads
    digest = contract.digest if reads is None else part_digest(contract, reads)
    return {CONTRACT_READ: digest} if digest else {}


def code_digest(*places: str) -> str:
    """Return the digest of measuring code: a change of the code invalidates what it measured before.

    Args:
        places: Paths of files relative to this package, or dotted names of modules of any package.

    Raises:
        MeasurementError: A file cannot be read. There is no fallback: evidence of other code would pass for evidence of
            this code.
    """
    try:
        files = [_code_file(place) for place in places]
        return _digest_of_code(tuple((path, (seen := path.stat()).st_mtime_ns, seen.st_size) for path in files))
    except OSError as error:
        reason = f"the code that measures cannot be read: {error.filename}: {error.strerror or error}"
        raise MeasurementError(reason, next_step="install eyerace-parity again, with its sources") from error


@lru_cache(maxsize=256)
def _digest_of_code(marks: tuple[tuple[Path, int, int], ...]) -> str:
    """Return the digest of files; cached by their times and sizes, because a run makes hundreds of keys."""
    return bytes_digest(b"\0".join(path.read_bytes() for path, _, _ in marks))


def _code_file(place: str) -> Path:
    """Return the file of a place; see :func:`code_digest`.

    Raises:
        FileNotFoundError: There is no such module, or it has no file.
    """
    if "/" in place:
        return _PACKAGE / place
    try:
        found = importlib.util.find_spec(place)
    except (ImportError, ValueError):
        found = None
    if found is None or not found.has_location or found.origin is None:
        raise FileNotFoundError(errno.ENOENT, "there is no such module with a file", place)
    return Path(found.origin)


def _beside(contract: Contract, path: Path, location: str) -> str:
    place = inside(contract, path, location)
    if place is None:
        return OUTSIDE
    return file_digest(place) if place.is_file() else MISSING


def _digest_of(path: Path) -> str:
    """Return the digest of a file, or :data:`MISSING`; reading the file later reports why it cannot be read."""
    try:
        return file_digest(path)
    except OSError:
        return MISSING
