"""A golden set of labelled photographs."""

from __future__ import annotations

import io
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from eyerace_parity.core.digests import bytes_digest, file_digest, rows_digest
from eyerace_parity.core.errors import GoldenError, InputChanged, is_transient
from eyerace_parity.core.files import display_path
from eyerace_parity.core.text import did_you_mean
from eyerace_parity.evidence.answers import GoldenFacts
from eyerace_parity.golden.base import GoldenSet, check_digest, refuse
from eyerace_parity.golden.labels import LabelTable, read_table
from eyerace_parity.preprocess.apply import apply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from eyerace_parity.contract.data import ImageSet, Preprocess
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array

FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP")
"""Allowed image formats, whatever the file name says. Pillow has more decoders, but some are rarely tested."""

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
"""Suffixes of files in the folder that must have a row in the label table."""

_WORTH_THREADS: Final = 1 << 28
"""Total bytes from which threads share the hashing. For less, starting threads costs more than it saves."""

_LINE: Final = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})(?:\s+\*?(?P<name>\S.*))?")

_NEXT: Final = "set golden.training to the folder of training images, or to a text file of their SHA-256 digests"


class ImageGolden(GoldenSet):
    """Labelled photographs, decoded one at a time on request.

    The digest covers the name, the bytes, the label and the cluster of each image. Samples are sorted by name, so
    neither the order of lines nor other columns change the digest or the outputs.
    """

    def __init__(self, contract: Contract, spec: ImageSet) -> None:
        self._spec = spec
        self._classes = contract.classes
        self._port = contract.interface.fed_with(spec.input)
        self._default = contract.preprocess[spec.preprocess]
        self._folder = contract.path(spec.images)
        table = read_table(contract.path(spec.labels), contract.classes, spec.cluster)
        sizes = _sizes(self._folder, spec.max_bytes)
        _check_presence(table, sizes, self._folder)
        digests = _digests(self._folder, {row.file: sizes[row.file] for row in table.rows})
        _check_duplicates(table, digests)
        if spec.training is not None:
            wanted = {sizes[row.file] for row in table.rows}
            _check_training(table, digests, training_digests(contract.path(spec.training), wanted), spec.training)
        self._table = table
        self._digests = tuple(digests[row.file] for row in table.rows)
        self.ids = tuple(row.file for row in table.rows)
        self.digest = rows_digest((row.file, digests[row.file], row.label, row.cluster) for row in table.rows)
        check_digest(self.digest, spec.digest, "labels, clusters or images")

    def facts(self) -> GoldenFacts:
        """Return the facts of the set that need no model."""
        number = {name: place for place, name in enumerate(self._classes)}
        labels = np.array([number[row.label] for row in self._table.rows], np.int64)
        clusters = tuple(row.cluster for row in self._table.rows) if self._spec.cluster else None
        return GoldenFacts(self.digest, self.ids, self._classes, labels, clusters, self._table.columns)

    def feeds(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """Decode and preprocess one photograph; see :meth:`GoldenSet.feeds`."""
        return self._decoded(index, self._content(index), profile)

    def unchecked(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """Decode and preprocess one photograph without hashing; see :meth:`GoldenSet.unchecked`."""
        return self._decoded(index, _whole(self._folder / self.ids[index], self._spec.max_bytes), profile)

    def check(self, index: int) -> None:
        """Hash one photograph again; see :meth:`GoldenSet.check`."""
        self._content(index)

    def _content(self, index: int) -> bytes:
        """Read a photograph and check its digest."""
        path = self._folder / self.ids[index]
        content = _whole(path, self._spec.max_bytes)
        if bytes_digest(content) != self._digests[index]:
            raise InputChanged(f"{display_path(path)} changed while it was measured")
        return content

    def _decoded(self, index: int, content: bytes, profile: Preprocess | None) -> dict[str, Array]:
        path = self._folder / self.ids[index]
        try:
            with open_image(io.BytesIO(content), self._spec.max_pixels) as image:
                tensor = apply(profile or self._default, image)
        except GoldenError as error:
            raise GoldenError(f"{display_path(path)}: {error.reason}", next_step=error.next_step) from None
        except Exception as error:  # noqa: BLE001 - decoders raise anything for a file that goes on badly
            raise GoldenError(
                f"{display_path(path)}: cannot be decoded: {error}",
                next_step="restore the file, or take it out of the set",
                transient=is_transient(error),
            ) from None
        self._check_shape(tensor, path)
        return {self._port.name: tensor}

    def identity(self, index: int) -> str:
        """Return the digest of a photograph's bytes."""
        return self._digests[index]

    def photograph(self, index: int) -> Path:
        """Return the path of a sample's photograph."""
        return self._folder / self.ids[index]

    def _check_shape(self, tensor: Array, path: Path) -> None:
        wanted = self._port.sample
        fits = tensor.ndim == len(wanted) and all(
            isinstance(extent, str) or extent == given for extent, given in zip(wanted, tensor.shape, strict=True)
        )
        if not fits:
            raise GoldenError(
                f"{display_path(path)}: preprocessing gives {list(tensor.shape)}, but the input "
                f"{self._port.name!r} takes "
                f"{list(wanted)}",
                next_step="give the profile a resize, or the interface the right shape",
            )


def _whole(path: Path, max_bytes: int) -> bytes:
    """Read a photograph, at most ``max_bytes`` + 1 bytes.

    Raises:
        GoldenError: The file cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(max_bytes + 1)
    except OSError as error:
        reason = f"{display_path(path)} cannot be read: {error.strerror or error}"
        raise GoldenError(reason, next_step="restore the file, or take it out of the set") from None


def open_image(path: Path | io.BytesIO, max_pixels: int) -> Image.Image:
    """Open an image of an allowed format. An image that is too large is refused before decoding.

    Args:
        path: The file, or its bytes.
        max_pixels: Largest number of pixels in the image header.

    Returns:
        The image, not yet decoded.

    Raises:
        GoldenError: The image is too large, of another format, or animated; the message does not name the file.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise GoldenError(
            "Pillow is set to accept truncated images (ImageFile.LOAD_TRUNCATED_IMAGES), so a torn one would "
            "go unnoticed",
            next_step="set it to False",
        )
    try:
        image = Image.open(path, formats=FORMATS)
    except UnidentifiedImageError:
        raise GoldenError(
            f"this is no readable image of {', '.join(FORMATS)}; the file is torn or of another kind",
            next_step="restore the file, or convert it",
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise GoldenError(f"the image is too large to decode: {error}", next_step="scale it down") from None
    pixels = image.width * image.height
    if pixels > max_pixels:
        image.close()
        raise GoldenError(
            f"the image has {image.width} x {image.height} pixels, more than golden.max_pixels = {max_pixels}",
            next_step="scale it down, or raise golden.max_pixels",
        )
    if getattr(image, "is_animated", False) and image.format != "MPO":
        image.close()
        raise GoldenError("the image has several frames", next_step="keep one frame")
    return image


def _sizes(folder: Path, max_bytes: int) -> dict[str, int]:
    """Return the size in bytes of every file below the folder, by its path with forward slashes.

    Links inside the folder are followed. A link that leads out of the folder is refused.
    """
    if not folder.is_dir():
        raise GoldenError(
            f"{display_path(folder)}: there is no such folder of images", next_step="set golden.images to the folder"
        )
    sizes: dict[str, int] = {}
    problems: list[str] = []
    for name, entry in _entries(folder, ""):
        if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(folder.resolve()):
            problems.append(f"{display_path(Path(entry.path))} is a link that leads out of the folder of images")
        elif entry.is_file():
            sizes[name] = entry.stat().st_size
            if sizes[name] > max_bytes:
                problems.append(f"{display_path(Path(entry.path))} has {sizes[name]} bytes, more than golden.max_bytes")
    refuse(problems, "put the image itself into the folder")
    return sizes


def _entries(folder: Path | str, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield every entry below a folder that is not hidden and not a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(entry.path, f"{prefix}{entry.name}/")
            else:
                yield f"{prefix}{entry.name}", entry


def _check_presence(table: LabelTable, sizes: Mapping[str, int], folder: Path) -> None:
    """Check that each named image exists and is not empty, and that each existing image is named."""
    place = display_path(table.path)
    named = {row.file for row in table.rows}
    missing = [
        f"{place}:{row.line}: there is no image {row.file!r} in {display_path(folder)}"
        + did_you_mean(row.file, sizes.keys() - named)
        for row in table.rows
        if row.file not in sizes
    ]
    refuse(missing, "restore the images, or take their rows out")
    empty = [f"{display_path(folder / row.file)} is empty" for row in table.rows if sizes[row.file] == 0]
    refuse(empty, "restore the images, or take their rows out")
    unnamed = sorted(name for name in sizes.keys() - named if Path(name).suffix.casefold() in SUFFIXES)
    refuse(
        [f"{display_path(folder / name)} has no row in {place}" for name in unnamed],
        "label the image, or move it out of the folder",
    )


def _digests(folder: Path, sizes: Mapping[str, int]) -> dict[str, str]:
    """Return the digest of each file's bytes, by name."""
    try:
        if sum(sizes.values()) < _WORTH_THREADS:
            return {name: file_digest(f"{folder}/{name}") for name in sizes}
        with ThreadPoolExecutor(4) as pool:
            return dict(zip(sizes, pool.map(lambda name: file_digest(f"{folder}/{name}"), sizes), strict=True))
    except OSError as error:
        raise GoldenError(
            f"{display_path(Path(error.filename or folder))} cannot be read: {error.strerror or error}",
            next_step="make the golden set readable",
        ) from None


def _check_duplicates(table: LabelTable, digests: Mapping[str, str]) -> None:
    place = display_path(table.path)
    first: dict[str, int] = {}
    problems: list[str] = []
    for number, row in enumerate(table.rows):
        before = table.rows[first.setdefault(digests[row.file], number)]
        if before is not row:
            differ = "" if before.label == row.label else f", labelled {before.label!r} there and {row.label!r} here"
            problems.append(
                f"{place}:{row.line}: {row.file} is the same image as {before.file} on line {before.line}{differ}"
            )
    refuse(problems, "keep one of them: an image that counts twice weighs twice")


def _check_training(table: LabelTable, digests: Mapping[str, str], seen: Mapping[str, str], training: Path) -> None:
    place = display_path(table.path)
    problems = [
        f"{place}:{row.line}: {row.file} is a training image ({seen[digests[row.file]]} of {training.as_posix()})"
        for row in table.rows
        if digests[row.file] in seen
    ]
    refuse(problems, "take it out of either set: a model is not judged on what it was trained on")


def training_digests(path: Path, sizes: AbstractSet[int]) -> dict[str, str]:
    """Return the digests of the training images.

    Args:
        path: A folder of images, or a text file with one digest per line, as from ``sha256sum``. A line that starts
            with ``#`` is a comment.
        sizes: Sizes in bytes of the golden images. A training image of another size cannot be equal to one of them, so
            it is not read.

    Returns:
        File name, or line, of each image by digest.

    Raises:
        GoldenError: The path does not exist, is empty, or has a line that is no digest.
    """
    try:
        found = _of_folder(path, sizes) if path.is_dir() else _of_list(path)
    except FileNotFoundError:
        raise GoldenError(f"{display_path(path)}: there is no such list or folder", next_step=_NEXT) from None
    except UnicodeDecodeError:
        raise GoldenError(f"{display_path(path)} is not a text in UTF-8", next_step=_NEXT) from None
    except OSError as error:
        raise GoldenError(f"{display_path(path)} cannot be read: {error.strerror or error}", next_step=_NEXT) from None
    if found is None:
        raise GoldenError(f"{display_path(path)} names no training image, so it proves nothing", next_step=_NEXT)
    return found


def _of_folder(path: Path, sizes: AbstractSet[int]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    anything = False
    for parent, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            anything = True
            file = path.__class__(parent, name)
            if file.is_file() and file.stat().st_size in sizes:
                found[file_digest(file)] = file.relative_to(path).as_posix()
    return found if anything else None


def _of_list(path: Path) -> dict[str, str] | None:
    found: dict[str, str] = {}
    problems: list[str] = []
    for number, text in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        line = text.strip()
        if not line or line.startswith("#"):
            continue
        if match := _LINE.fullmatch(line):
            found[f"sha256:{match[1].lower()}"] = match["name"] or f"line {number}"
        else:
            problems.append(f"{display_path(path)}:{number}: {line[:60]!r} is no SHA-256 digest")
    refuse(problems, _NEXT)
    return found or None
