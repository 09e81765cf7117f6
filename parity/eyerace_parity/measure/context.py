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
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.golden.dataset import GoldenSet
    from eyerace_parity.measure.cache import EvidenceCache

MISSING: Final = "missing"
"""Takes the place of a digest in a provenance if the file does not exist."""

OUTSIDE: Final = "outside"
"""Takes the place of a digest if the file is outside the bundle; such a file is never opened."""

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
        own.contract, own.opener = contract_part(self.contract, reads), lambda _: self.golden()
        return own

    def uses_recorded(self, variant: str) -> bool:
        """Whether recorded outputs are used instead of running the variant."""
        return self.contract.variants[variant].needs_torch and (self.recorded or not torch_runtime.installed())

    def runtime(self, variant: str) -> str:
        """Return name and version of a variant's runtime, without importing it."""
        stated = self.contract.variants[variant]
        for added in active().added("runners", self.contract.extensions):
            if added.kind == stated.kind:
                return str(added.runner(self.contract, variant, None).runtime)
        return torch_runtime.runtime() if stated.needs_torch else onnx_runtime.runtime()

    def artefact(self, variant: str) -> str:
        """Return the digest of everything that makes a variant: its files, and a factory's source and arguments.

        Raises:
            MeasurementError: A file cannot be read, or the factory's source cannot be found.
        """
        return self._sealed(
            variant, lambda: artefact_files(self.contract, variant), lambda: artefact_digest(self.contract, variant)
        )

    def recorded_outputs(self, variant: str) -> str:
        """Return the digest of a variant's recorded outputs, or :data:`MISSING`."""
        path = recorded_place(self.contract, variant)
        return self._sealed(f"{variant} (recorded)", lambda: [path], lambda: _digest_of(path))

    def _sealed(self, name: str, files: Callable[[], Iterable[Path]], digest: Callable[[], str]) -> str:
        """Return the digest of files, which are sealed once in a run."""
        with self._lock:
            if name not in self._seals:
                self._seals[name] = Seal(files, digest, rehash=self.rehash)
            return self._seals[name].digest

    def require(self, source: Provenance, *, quick: bool = False) -> None:
        """Require that the files of a provenance are unchanged.

        Args:
            source: The provenance.
            quick: Whether the bytes were hashed for this evidence before; see :meth:`Seal.require`.

        Raises:
            InputChanged: A file has changed.
        """
        for seal in self._seals_of(source):
            seal.require(quick=quick)

    @contextmanager
    def sealed(self, source: Provenance, *, quick: bool = False) -> Iterator[None]:
        """Guard a measurement: require before and after it that the files of a provenance are unchanged.

        ``quick`` is for evidence that is not cached: files with unchanged size, times and inode are not hashed again.

        Golden samples need no seal: each is hashed when it is read. A failure while a file changed is reported as that
        change.

        Raises:
            InputChanged: A file of the provenance was written to.
        """
        self.require(source)
        try:
            yield
        except (MeasurementError, OSError):
            self._prove(source, quick=quick)
            raise
        self._prove(source, quick=quick)

    def _prove(self, source: Provenance, *, quick: bool) -> None:
        for seal in self._seals_of(source):
            seal.prove(quick=quick)

    def _seals_of(self, source: Provenance) -> list[Seal]:
        """Return the seals whose digests the provenance names."""
        named = {source.artefact, *source.settings.values()}
        with self._lock:
            return [seal for seal in self._seals.values() if seal.digest in named]

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
        """Extensions of other packages that can have changed a number, by their key in a provenance."""
        named = active().measuring(self.contract.extensions)
        return {f"extension.{each.name}": f"{each.package} {each.version} {each.digest}" for each in named}

    def session_settings(self, variant: str, *, threads: int | None = None) -> dict[str, str]:
        """Return the settings of a variant's session for a provenance."""
        session = onnx_runtime.session_of(self.contract, variant, threads=threads)
        settings = {"threads": str(session.intra_op_threads)}
        if not self.contract.variants[variant].in_onnxruntime:
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


@contextmanager
def _readable(contract: Contract, variant: str) -> Iterator[None]:
    """Turn the errors of reading a variant's files into measurement errors.

    Raises:
        MeasurementError: A file cannot be read, or the factory's source cannot be found.
    """
    try:
        yield
    except OSError as error:
        path = contract.variants[variant].path.as_posix()
        reason = f"{variant}: {path} cannot be read: {error.strerror or error}"
        raise MeasurementError(reason, next_step="check the file's permissions") from error
    except ParityError as error:
        raise MeasurementError(error.reason, next_step=error.next_step) from error


def _external(contract: Contract, variant: str, digest: str = "") -> dict[str, Path | None]:
    """Return the external data of a variant's file by location; ``None`` for data outside the bundle, never opened."""
    path = contract.path(contract.variants[variant].path)
    if contract.variants[variant].kind != "onnx" or not path.is_file():
        return {}
    locations = _locations(path, digest) if digest else external_locations(path)
    return {location: lies_inside(contract.root, path, location) for location in locations}


def artefact_digest(contract: Contract, variant: str, digest_of: Callable[[Path], str] = file_digest) -> str:
    """Return the digest of everything that makes a variant, or :data:`MISSING`.

    Args:
        contract: The contract.
        variant: Name of the variant.
        digest_of: Digests its artefact: :func:`~eyerace_parity.core.digests.known_digest` where nothing is proven.

    Raises:
        MeasurementError: A file cannot be read, or the factory's source cannot be found.
    """
    stated = contract.variants[variant]
    path = contract.path(stated.path)
    with _readable(contract, variant):
        if not path.is_file():
            return MISSING
        digest = digest_of(path)
        if isinstance(stated, TorchVariant):
            source = source_digest(contract.root, stated.factory)
            return json_digest({"file": digest, "factory": stated.factory, "source": source, "with": stated.arguments})
        beside = {
            location: OUTSIDE if place is None else file_digest(place) if place.is_file() else MISSING
            for location, place in _external(contract, variant, digest).items()
        }
        return json_digest({"file": digest, "beside": beside}) if beside else digest


@lru_cache(maxsize=64)
def _locations(path: Path, _digest: str) -> tuple[str, ...]:
    """Locations of external data: equal bytes have the same, and looking for them takes as long as hashing."""
    return external_locations(path)


def artefact_files(contract: Contract, variant: str) -> list[Path]:
    """Return all files that :func:`artefact_digest` reads, including those that are missing.

    Raises:
        MeasurementError: A file cannot be read.
    """
    stated = contract.variants[variant]
    path = contract.path(stated.path)
    with _readable(contract, variant):
        if isinstance(stated, TorchVariant):
            return [path, *source_files(contract.root, stated.factory)]
        return [path, *filter(None, _external(contract, variant).values())]


def recorded_place(contract: Contract, variant: str) -> Path:
    """Return the path of a variant's recorded outputs."""
    return contract.path(contract.recorded) / f"{variant}.npz"


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


def _digest_of(path: Path) -> str:
    """Return the digest of a file, or :data:`MISSING`; reading the file later reports why it cannot be read."""
    try:
        return file_digest(path)
    except OSError:
        return MISSING
