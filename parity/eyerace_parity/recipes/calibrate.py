"""Inputs for the calibration of a static quantisation, read one at a time; no golden sample is among them.

A golden sample in the calibration would leak test data into the model. So each one is compared with the whole golden
set by content before anything is built.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.contract.callables import load_callable
from eyerace_parity.contract.data import ImageSet
from eyerace_parity.core.errors import ParityError, RecipeError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.text import join_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from eyerace_parity.contract.data import Port
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.variants import Calibration
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.evidence.base import Array

# Decoding and resizing release the interpreter lock, so threads help.
_THREADS = 4


def tensor_files(contract: Contract, calibration: Calibration) -> tuple[Path, ...]:
    """Find the files of ``calibration.tensors``, sorted by name; empty for a calibration by images."""
    pattern = calibration.tensors
    if pattern is None:
        return ()
    return tuple(sorted(path for path in contract.root.glob(pattern) if path.is_file()))


def samples(contract: Contract, calibration: Calibration) -> Iterator[dict[str, Array]]:
    """Yield the samples of a calibration, one at a time, without a batch axis.

    Yields:
        Every input by name, in the interface's dtype and the shape :attr:`Port.sample`; exactly ``calibration.count``.

    Raises:
        RecipeError: The source fails, gives too few samples, or gives one that does not fit the interface.
    """
    drawn = _image_samples(contract, calibration) if calibration.images else _tensor_samples(contract, calibration)
    ports = contract.interface.inputs
    number = 0
    for number, feeds in enumerate(islice(drawn, calibration.count), start=1):
        yield {port.name: _checked(port, feeds[port.name], number) for port in ports}
    if number < calibration.count:
        raise RecipeError(
            f"the calibration asks for {calibration.count} samples, but {_source(calibration)} gave {number}",
            next_step="lower calibration.count, or make the source give more",
        )


class Drawn:
    """Calibration samples on disk. Each is read twice, and together they may not fit into memory.

    Args:
        folder: Where the files are written; the caller deletes it.
        names: Names of the inputs.

    Attributes:
        contents: Number of the first sample of each content, by digest.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        self._names = tuple(names)
        self._count = 0
        self.contents: dict[bytes, int] = {}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> dict[str, Array]:
        """Read one sample."""
        return {name: np.load(self._file(number, place)) for place, name in enumerate(self._names)}

    def add(self, feeds: Mapping[str, Array]) -> None:
        """Write one more sample."""
        for place, name in enumerate(self._names):
            np.save(self._file(self._count, place), feeds[name])
        self.contents.setdefault(_content(feeds), self._count)
        self._count += 1

    def _file(self, number: int, place: int) -> Path:
        return self._folder / f"sample-{number}-{place}.npy"


def draw(contract: Contract, calibration: Calibration, folder: Path, progress: Progress) -> Drawn:
    """Draw the samples of a calibration into a folder, and check that none of them is a golden sample.

    Raises:
        RecipeError: As :func:`samples` and :func:`refuse_golden`.
    """
    drawn = Drawn(folder, [port.name for port in contract.interface.inputs])
    with progress.task("drawing calibration samples", calibration.count) as task:
        for feeds in samples(contract, calibration):
            drawn.add(feeds)
            task.advance()
    refuse_golden(contract, calibration, drawn, progress)
    return drawn


def refuse_golden(contract: Contract, calibration: Calibration, drawn: Drawn, progress: Progress) -> None:
    """Compare every calibration sample with every golden sample, by content after preprocessing.

    Raises:
        RecipeError: A golden sample is among them, or the golden set cannot be opened for the comparison.
    """
    from eyerace_parity.golden.dataset import open_golden  # noqa: PLC0415 - Pillow and the set, only when something is built

    try:
        golden = open_golden(contract)
    except ParityError as error:
        raise RecipeError(
            f"the calibration samples cannot be compared with the golden set: {error.reason}",
            next_step=error.next_step,
        ) from error
    profile = contract.preprocess[contract.golden.preprocess] if isinstance(contract.golden, ImageSet) else None

    def digest_of(index: int) -> bytes:
        return _content(golden.feeds(index, profile))

    with (
        progress.task("comparing them with the golden set", len(golden)) as task,
        ThreadPoolExecutor(_THREADS) as workers,
    ):
        ids = golden.facts().ids
        # Only digests are kept, because 1,200 samples of 3 x 224 x 224 float32 take 0.7 GB.
        for index, digest in enumerate(workers.map(digest_of, range(len(golden)))):
            if digest in drawn.contents:
                workers.shutdown(cancel_futures=True)
                raise RecipeError(
                    f"calibration sample {drawn.contents[digest]} is the golden sample {ids[index]!r}",
                    next_step=f"make {_source(calibration)} draw from training data only",
                )
            task.advance()


class CalibrationReader:
    """ONNX Runtime's ``CalibrationDataReader``: feeds samples a stride at a time, with a batch axis.

    ONNX Runtime keeps the observations of one stride in memory, so a stride of one sample bounds the memory.

    Args:
        contract: The contract.
        drawn: The samples to observe.
        advance: Called after each sample.
    """

    def __init__(self, contract: Contract, drawn: Drawn, advance: Callable[[], None]) -> None:
        self._ports = {port.name: port for port in contract.interface.inputs}
        self._drawn = drawn
        self._advance = advance
        self._waiting = iter(range(len(drawn)))

    def __len__(self) -> int:
        return len(self._drawn)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Start a stride."""
        self._waiting = iter(range(start_index, end_index))

    def get_next(self) -> dict[str, Array] | None:
        """Return the next sample of the stride as a batch of one, or ``None`` at its end."""
        number = next(self._waiting, None)
        if number is None:
            return None
        self._advance()
        feeds = self._drawn[number]
        return {name: value[np.newaxis] if self._ports[name].batched else value for name, value in feeds.items()}


def _source(calibration: Calibration) -> str:
    return calibration.images or calibration.tensors or ""


def _image_samples(contract: Contract, calibration: Calibration) -> Iterator[dict[str, Array]]:
    from PIL import Image  # noqa: PLC0415 - only when something is built

    from eyerace_parity.preprocess.apply import apply  # noqa: PLC0415 - only when something is built

    if not isinstance(contract.golden, ImageSet):
        raise RecipeError(
            "calibration.images needs the preprocessing profile of a golden set of images",
            next_step="use calibration.tensors instead: a pattern of .npz files with the model's inputs",
        )
    profile = contract.preprocess[contract.golden.preprocess]
    name = contract.golden.input or contract.interface.inputs[0].name
    spec = calibration.images or ""
    draw = load_callable(contract.root, spec)
    try:
        for image in draw(count=calibration.count, seed=calibration.seed):
            if not isinstance(image, Image.Image):
                fault = f"{spec} yielded a {type(image).__name__}, not a Pillow image"
                raise RecipeError(fault, next_step="yield PIL.Image.Image objects")  # noqa: TRY301 - re-raised below
            yield {name: apply(profile, image)}
    except ParityError:
        raise
    except (Exception, SystemExit) as error:
        raise RecipeError(
            f"{spec} failed: {type(error).__name__}: {error}",
            next_step=f"call it by hand with count={calibration.count} and seed={calibration.seed}",
        ) from error


def _tensor_samples(contract: Contract, calibration: Calibration) -> Iterator[dict[str, Array]]:
    files = tensor_files(contract, calibration)
    if not files:
        raise RecipeError(
            f"no file matches calibration.tensors = {calibration.tensors!r}",
            next_step=f"the pattern is relative to {display_path(contract.root)}",
        )
    for path in files:
        arrays = _arrays(path, contract.interface.inputs)
        for index in range(len(next(iter(arrays.values())))):
            yield {name: array[index] for name, array in arrays.items()}


def _arrays(path: Path, ports: Sequence[Port]) -> dict[str, Array]:
    """Read the inputs of one file, samples on the first axis."""
    names = [port.name for port in ports]
    try:
        with np.load(path, allow_pickle=False) as stored:
            held = set(stored)
            arrays: dict[str, Array] = {name: stored[name] for name in names if name in held}
    except Exception as error:  # for a damaged archive numpy raises many classes
        raise RecipeError(
            f"{display_path(path)} cannot be read as .npz: {error}", next_step="write it again with numpy.savez"
        ) from error
    missing = [name for name in names if name not in arrays]
    if missing:
        raise RecipeError(
            f"{display_path(path)} holds {join_names(sorted(held)) or 'nothing'}, but not {join_names(missing)}",
            next_step="store every input of the interface under its name",
        )
    lengths = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(lengths.values())) > 1 or not min(lengths.values()):
        counts = join_names(f"{count} of {name}" for name, count in lengths.items())
        raise RecipeError(
            f"{display_path(path)} holds {counts}",
            next_step="every input needs the same number of samples, at least one",
        )
    return arrays


def _checked(port: Port, value: Array, number: int) -> Array:
    """Check one input of one sample against the interface."""
    wanted = port.sample
    fits = len(wanted) == value.ndim and all(
        isinstance(extent, str) or extent == given for extent, given in zip(wanted, value.shape, strict=False)
    )
    if not fits or value.dtype != np.dtype(port.dtype):
        raise RecipeError(
            f"calibration sample {number} gives {value.dtype} {list(value.shape)} for {port.name!r}, "
            f"but the interface takes {port.dtype} {list(wanted)}",
            next_step="make the calibration give what the app feeds",
        )
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise RecipeError(
            f"calibration sample {number} holds NaN or infinite values in {port.name!r}",
            next_step="remove the sample: a range observed on it is meaningless",
        )
    return np.ascontiguousarray(value).reshape(value.shape)


def _content(feeds: Mapping[str, Array]) -> bytes:
    digest = hashlib.sha256()
    for name in sorted(feeds):
        value = feeds[name]
        digest.update(f"{name} {value.dtype.str} {value.shape}\n".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.digest()
