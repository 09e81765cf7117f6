"""A golden set of recorded tensors: ``.npz`` files with arrays [n, ...]."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import Counter, OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.core.digests import bytes_digest, json_digest, rows_digest
from eyerace_parity.core.errors import GoldenError, InputChanged, MeasurementError
from eyerace_parity.core.files import FileTooLarge, display_path, read_bytes
from eyerace_parity.core.text import did_you_mean, join_names
from eyerace_parity.evidence.answers import GoldenFacts
from eyerace_parity.evidence.npz import Bound, read_arrays, read_headers
from eyerace_parity.golden.base import GoldenSet, check_digest, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from eyerace_parity.contract.data import Port, Preprocess, TensorSet
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.evidence.npz import Archive

KEPT: Final = 2
"""Number of files whose arrays stay in memory. Threads that work in order use at most two files at a time."""


class TensorGolden(GoldenSet):
    """Recorded tensors, read file by file on request.

    The digest covers the path in the bundle and the bytes of each file. Samples are in the order of these paths.
    """

    def __init__(self, contract: Contract, spec: TensorSet) -> None:
        self._ports = contract.interface.inputs
        self._classes = contract.classes
        self._spec = spec
        self._files = _matching(contract.root, spec.files)
        opened = [_opened(path, self._ports, spec) for path in self._files]
        counts = [file.samples for file in opened]
        self._starts = [0, *accumulate(counts)]
        places = [_place(path, contract.root) for path in self._files]
        self.ids = tuple(f"{name}[{row}]" for name, n in zip(_short(places), counts, strict=True) for row in range(n))
        self._digests = [file.digest for file in opened]
        _check_duplicates(self._files, self._digests)
        self.digest = rows_digest(zip(places, self._digests, strict=True))
        check_digest(self.digest, spec.digest, "a file was added, taken away or")
        self._labels = self._checked([file.labels for file in opened if file.labels is not None])
        self._kept: OrderedDict[int, dict[str, Array]] = OrderedDict()
        self._lock = threading.Lock()

    def facts(self) -> GoldenFacts:
        """Return the facts of the set that need no model."""
        return GoldenFacts(self.digest, self.ids, self._classes, self._labels)

    def feeds(self, index: int, profile: Preprocess | None) -> dict[str, Array]:  # noqa: ARG002 - tensors have none
        """Return one sample's inputs; see :meth:`GoldenSet.feeds`."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        file = bisect_right(self._starts, index) - 1
        row = index - self._starts[file]
        # Copy the row: a view would keep the whole file in memory.
        return {name: np.array(array[row], order="C") for name, array in self._arrays(file).items()}

    def identity(self, index: int) -> str:
        """Return the digest of a sample's arrays."""
        return json_digest(
            {
                name: [array.dtype.str, list(array.shape), bytes_digest(array.tobytes())]
                for name, array in self.feeds(index, None).items()
            }
        )

    def _arrays(self, file: int) -> dict[str, Array]:
        """Return the inputs of one file. The last files are cached. Only one thread reads at a time."""
        with self._lock:
            arrays = self._kept.pop(file, None)
            if arrays is None:
                if len(self._kept) >= KEPT:
                    self._kept.popitem(last=False)
                arrays = self._read(file)
            self._kept[file] = arrays
            return arrays

    def _read(self, file: int) -> dict[str, Array]:
        path = self._files[file]
        content = _content(path, self._spec.max_bytes)
        if bytes_digest(content) != self._digests[file]:
            raise InputChanged(f"{display_path(path)} changed while it was measured")
        arrays = _arrays_of(content, display_path(path), [port.name for port in self._ports])
        for name, array in arrays.items():
            if array.dtype.kind == "f" and bool(np.isnan(array).any()):
                wrong = np.isnan(array).reshape(len(array), -1).any(axis=1)
                first = self.ids[self._starts[file] + int(np.argmax(wrong))]
                raise GoldenError(
                    f"{display_path(path)}: the input {name!r} holds NaN in {int(wrong.sum())} samples, first "
                    f"in {first}",
                    next_step="record the inputs again, or take those samples out",
                )
        return arrays

    def _checked(self, found: Sequence[Array]) -> NDArray[np.int64] | None:
        """Concatenate the labels of all files and check that each is a class index."""
        if not found:
            return None
        labels = np.concatenate(found).astype(np.int64)
        wrong = np.flatnonzero((labels < 0) | (labels >= len(self._classes)))
        refuse(
            [f"sample {self.ids[index]}: label {labels[index]} is no class" for index in wrong],
            f"labels count the contract's {len(self._classes)} classes from 0",
        )
        return labels


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """Facts of one file: its digest, its number of samples, and its labels or ``None``."""

    digest: str
    samples: int
    labels: Array | None


def _opened(path: Path, ports: Sequence[Port], spec: TensorSet) -> _Opened:
    """Read a file once, so that its digest, its headers and its labels come from the same bytes."""
    content, place = _content(path, spec.max_bytes), display_path(path)
    archive = _headers(content, place, spec.max_bytes)
    _check_arrays(archive, ports, spec.labels, place)
    labels = None if spec.labels is None else _arrays_of(content, place, [spec.labels])[spec.labels]
    return _Opened(bytes_digest(content), archive[ports[0].name].shape[0], labels)


def read_labels(contract: Contract, spec: TensorSet) -> NDArray[np.int64]:
    """Read only the labels, int64 [n], in the order of the samples.

    Raises:
        GoldenError: The set has no labels, a file is missing or damaged, or a label is no class index.
    """
    if spec.labels is None:
        raise GoldenError("the golden set has no labels", next_step="name their array in golden.labels")
    name, files = spec.labels, _matching(contract.root, spec.files)
    found = []
    for path in files:
        content = _content(path, spec.max_bytes)
        if name not in _headers(content, display_path(path), spec.max_bytes):
            raise GoldenError(f"{display_path(path)}: there is no array {name!r}", next_step="record the labels again")
        found.append(_arrays_of(content, display_path(path), [name])[name])
    labels = np.concatenate(found).astype(np.int64)
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= len(contract.classes):
        raise GoldenError("a label is no class", next_step="labels count the contract's classes from 0")
    return labels


_DIRECTORY: Final = 1 << 20
"""Most bytes of an archive's directory and headers."""


def _content(path: Path, max_bytes: int) -> bytes:
    """Read a whole file, so that hashing and loading use the same bytes.

    Args:
        path: The file.
        max_bytes: Most bytes after decompression. The packed file is larger by its directory at most, plus 1/256 for
            data that does not compress.

    Raises:
        GoldenError: The file is missing, too large, or cannot be read.
    """
    try:
        return read_bytes(path, max_bytes + (max_bytes >> 8) + _DIRECTORY)
    except FileNotFoundError:
        raise GoldenError(f"{display_path(path)}: there is no such file", next_step="record the inputs again") from None
    except FileTooLarge:
        raise GoldenError(
            f"{display_path(path)} holds more than {_BOUND} = {max_bytes}",
            next_step=f"split the file, or raise {_BOUND}",
        ) from None
    except OSError as error:
        reason = f"{display_path(path)} cannot be read: {error.strerror or error}"
        raise GoldenError(reason, next_step="make the golden set readable") from None


_BOUND: Final = "golden.max_bytes"


def _headers(content: bytes, place: str, max_bytes: int) -> Archive:
    with _refusals():
        return read_headers(content, place, Bound(max_bytes, _BOUND))


def _arrays_of(content: bytes, place: str, names: Sequence[str]) -> dict[str, Array]:
    with _refusals():
        return read_arrays(content, place, names)


@contextmanager
def _refusals() -> Iterator[None]:
    """Convert errors of an archive to errors of the golden set."""
    try:
        yield
    except MeasurementError as error:
        raise GoldenError(error.reason, next_step=error.next_step, transient=error.transient) from None


def _matching(root: Path, patterns: Sequence[str]) -> tuple[Path, ...]:
    """Return all files that match the patterns, sorted by their paths in the bundle.

    Raises:
        GoldenError: A pattern matches no file, or a file that is not ``.npz``.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        matches = [path for path in _glob(root, pattern) if path.is_file()]
        if not matches:
            raise GoldenError(
                f"golden.files: {pattern!r} names no file below {display_path(root)}",
                next_step="record the inputs as .npz files, or correct the pattern",
            )
        found |= {_place(path, root): path for path in matches}
    refuse(
        [f"{display_path(path)} is no .npz file" for path in found.values() if path.suffix.casefold() != ".npz"],
        "let golden.files name .npz files only",
    )
    return tuple(found[place] for place in sorted(found))


def _glob(root: Path, pattern: str) -> Iterator[Path]:
    whole = Path(pattern)
    if not whole.is_absolute():
        return root.glob(pattern)
    return Path(whole.anchor).glob(whole.relative_to(whole.anchor).as_posix())


def _place(path: Path, root: Path) -> str:
    """Return the path in the bundle; only the name of a file outside it, so that digests are equal on all machines."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _short(places: list[str]) -> list[str]:
    """Return the file names if they are unique, else the paths."""
    names = [place.rpartition("/")[2] for place in places]
    return names if max(Counter(names).values()) == 1 else places


def _check_duplicates(files: Sequence[Path], digests: Sequence[str]) -> None:
    first: dict[str, Path] = {}
    problems = [
        f"{display_path(path)} is the same as {display_path(first[digest])}"
        for path, digest in zip(files, digests, strict=True)
        if first.setdefault(digest, path) is not path
    ]
    refuse(problems, "keep one of them: a sample that counts twice weighs twice")


def _check_arrays(archive: Archive, ports: Sequence[Port], labels: str | None, place: str) -> None:
    """Compare one file's arrays with the interface.

    Raises:
        GoldenError: An array is missing or unknown, has another type or shape, or the numbers of samples differ.
    """
    wanted = {port.name for port in ports} | ({labels} if labels else set())
    spare = archive.keys() - wanted
    problems = [
        f"{place}: there is no array {name!r}{did_you_mean(name, spare)}; found: {join_names(archive) or 'nothing'}"
        for name in sorted(wanted - archive.keys())
    ]
    problems += [f"{place}: {name!r} is no input of the model" for name in sorted(spare)]
    refuse(problems, f"a file holds exactly: {join_names(sorted(wanted))}")
    for port in ports:
        problems += _port_problems(archive, port, place)
    if labels is not None and (archive[labels].dtype.kind not in "iu" or len(archive[labels].shape) != 1):
        problems.append(f"{place}: the labels {labels!r} are {archive[labels]}, not one integer a sample")
    refuse(problems, "record the inputs as the interface states them, samples on the first axis")
    counts = {name: archive[name].shape[0] for name in sorted(wanted)}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise GoldenError(f"{place}: arrays differ in their number of samples: {said}", next_step="record them again")
    if not all(counts.values()):
        raise GoldenError(f"{place} holds no samples", next_step="record some, or remove the file")
    refuse(_axis_problems(archive, ports, place), "axes of one name have one extent")


def _port_problems(archive: Archive, port: Port, place: str) -> list[str]:
    member = archive[port.name]
    wanted = ("samples", *port.sample)
    fits = len(member.shape) == len(wanted) and all(
        isinstance(extent, str) or extent == given for extent, given in zip(wanted, member.shape, strict=True)
    )
    problems = []
    if member.dtype != np.dtype(port.dtype):
        problems.append(f"{place}: {port.name!r} is {member.dtype}, but the interface says {port.dtype}")
    if 0 in member.shape[1:]:
        # A file without data could claim any number of empty samples.
        problems.append(f"{place}: {port.name!r} has shape {list(member.shape)}: a sample of it is empty")
    if not fits:
        shape = ", ".join(str(extent) for extent in wanted)
        problems.append(f"{place}: {port.name!r} has shape {list(member.shape)}, but the interface says [{shape}]")
    return problems


def _axis_problems(archive: Archive, ports: Sequence[Port], place: str) -> list[str]:
    """Find dynamic axes of the same name with different extents in one file."""
    extents: dict[str, dict[int, str]] = {}
    for port in ports:
        for axis, given in zip(port.sample, archive[port.name].shape[1:], strict=True):
            if isinstance(axis, str):
                extents.setdefault(axis, {}).setdefault(given, port.name)
    return [
        f"{place}: the axis {axis!r} is " + " and ".join(f"{extent} in {name!r}" for extent, name in found.items())
        for axis, found in extents.items()
        if len(found) > 1
    ]
