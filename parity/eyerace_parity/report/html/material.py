"""What a page is drawn from: the record, the arrays that it names, and the photographs if they are still there.

Everything beyond the record may be missing: a store that was tidied, a bundle on another machine. The page is then
drawn from what is left, and no picture stands in for numbers that nobody has.
"""

from __future__ import annotations

import base64
import contextlib
import io
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from PIL import Image, ImageOps

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import GoldenError, MeasurementError, ParityError, RecordError
from eyerace_parity.core.result import HOST
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.base import Fact
from eyerace_parity.evidence.codec import decode
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.golden.images import open_image
from eyerace_parity.measure import recorded
from eyerace_parity.record.compose import measurement_digest
from eyerace_parity.stats import differences

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.golden.dataset import GoldenSet
    from eyerace_parity.measure.cache import EvidenceCache
    from eyerace_parity.record.document import ContractEntry, EvidenceEntry, Record
    from eyerace_parity.release.history import AcceptedRelease
    from eyerace_parity.report.html import Chronicle

F = TypeVar("F", bound=Fact)

_TABLE = 2


@dataclass(frozen=True, slots=True, eq=False)
class PageInput:
    """All that is known of one contract of a record.

    Attributes:
        record: The record.
        entry: The contract in it.
        contract: The contract itself, where its file is at hand and says what it said.
        golden: The golden set's facts, where the store has them.
        photographs: The golden set itself, where its files are at hand.
        outputs: Every variant's answers on the host, by name, in the contract's order.
        accepted: Every release that was accepted before, in its order.
    """

    record: Record
    entry: ContractEntry
    contract: Contract | None = None
    golden: GoldenFacts | None = None
    photographs: GoldenSet | None = None
    outputs: Mapping[str, Outputs] = field(default_factory=dict)
    accepted: tuple[AcceptedRelease, ...] = ()

    def documents(self, kind: type[F]) -> Iterator[tuple[EvidenceEntry, F]]:
        """Numeric evidence of a kind with its entry, that of an accepted release among it."""
        for _, found in evidence_of(self.record, self.entry.name):
            if isinstance(found.document, kind):
                yield found, found.document

    def pair(self) -> tuple[str, str] | None:
        """The judged variant and its reference that a reader asks about: the one furthest from where training ended.

        Both must have answered; ``None`` where no two have.
        """
        pairs = [(v.name, v.reference) for v in self.entry.variants if v.reference and v.name in self.outputs]
        known = [(name, reference) for name, reference in pairs if reference in self.outputs]
        return known[-1] if known else None

    def ranked(self) -> tuple[str, ...]:
        """Names of the variants in the order in which colours are given out: the two that are compared come first."""
        pair = self.pair() or ()
        return tuple(dict.fromkeys([*pair[::-1], *(variant.name for variant in self.entry.variants)]))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, empty where the set does not know them."""
        return self.golden.classes if self.golden is not None else ()

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """The truth, int64 [n], where it is known."""
        return self.golden.labels if self.golden is not None else None

    def scores(self, variant: str) -> Array | None:
        """A variant's scores, [n, classes], where it has an output that decides."""
        outputs = self.outputs.get(variant)
        if outputs is None:
            return None
        wanted = self.contract.scores_output if self.contract is not None else None
        for name, array in outputs.arrays.items():
            if name == wanted or (wanted is None and array.ndim == _TABLE and array.shape[1] == len(self.classes)):
                usable = array.ndim == _TABLE and bool(array.size) and bool(np.isfinite(array).all())
                return array if usable else None
        return None

    def probabilities(self, variant: str) -> NDArray[np.float64] | None:
        """A variant's scores as probabilities, [n, classes]."""
        scores = self.scores(variant)
        if scores is None:
            return None
        stated = self.contract.hybrid if self.contract is not None else None
        if stated is not None and stated.scores == "probabilities":
            return np.exp(differences.log_probabilities(scores))
        return np.exp(differences.log_softmax(scores))

    def column(self, name: str) -> tuple[str, ...] | None:
        """A further column of the table of labels, in the set's order."""
        return self.photographs.columns.get(name) if self.photographs is not None else None


def gather(
    record: Record, entry: ContractEntry, store: EvidenceCache, root: Path, accepted: Chronicle | None = None
) -> PageInput:
    """Collect what is left of a run.

    Args:
        record: The record.
        entry: The contract in it that is wanted.
        store: Where arrays were kept.
        root: Folder that the record's files are relative to.
        accepted: Tells of a contract what was ever accepted.
    """
    contract = _contract(entry, root)
    golden: GoldenFacts | None = None
    outputs: dict[str, Outputs] = {}
    for key, found in evidence_of(record, entry.name):
        if found.is_of(GoldenFacts):
            golden = golden or _golden(store, key)
        elif found.is_of(Outputs) and found.target == HOST and not found.baseline:
            known = _outputs(store, key, contract, found)
            if known is not None and all(len(array) == known.expected for array in known.arrays.values()):
                outputs[found.variant] = known
    ordered = {v.name: outputs[v.name] for v in entry.variants if v.name in outputs}
    before = tuple(accepted(contract)) if accepted is not None and contract is not None else ()
    return PageInput(record, entry, contract, golden, _photographs(contract, golden), ordered, before)


def evidence_of(record: Record, contract: str) -> Iterator[tuple[str, EvidenceEntry]]:
    """The evidence that a contract's verdicts rest on with its keys, each piece once."""
    keys = dict.fromkeys(key for row in record.verdicts_of(contract) for key in row.evidence)
    yield from ((key, record.evidence[key]) for key in keys if key in record.evidence)


def _contract(entry: ContractEntry, root: Path) -> Contract | None:
    """The contract as it lies in the bundle, if it still says what was measured."""
    with contextlib.suppress(ParityError, OSError):
        contract = open_contract(root / entry.file)
        if measurement_digest(contract) == entry.substance:
            return contract
    return None


def _golden(store: EvidenceCache, key: str) -> GoldenFacts | None:
    body = store.read("golden", key)
    with contextlib.suppress(RecordError):
        return decode(GoldenFacts, body) if body is not None else None
    return None


def _outputs(store: EvidenceCache, key: str, contract: Contract | None, entry: EvidenceEntry) -> Outputs | None:
    body = store.read("outputs", key)
    with contextlib.suppress(RecordError, MeasurementError):
        if body is not None:
            return decode(Outputs, body)
        if contract is not None and entry.provenance is not None:
            return recorded.read(contract, entry.variant, entry.provenance)
    return None


def _photographs(contract: Contract | None, golden: GoldenFacts | None) -> GoldenSet | None:
    """The golden set, if it is at hand and the very one that was judged."""
    if contract is None or golden is None:
        return None
    with contextlib.suppress(ParityError, OSError):
        found = open_golden(contract)
        return found if found.digest == golden.digest else None
    return None


EDGE: Final = 96
"""Longest edge of a thumbnail in pixels: of one that is only pointed at."""


LARGE: Final = 160
"""Longest edge of one that stands in the page."""


_QUALITY: Final = 62


_MOST_PIXELS: Final = 50_000_000


class Thumbnails:
    """Thumbnails in the making, beside whatever else is done meanwhile."""

    def __init__(self, golden: GoldenSet | None, edges: Mapping[int, int], *, jobs: int = 2) -> None:
        """Begin to make thumbnails.

        Args:
            golden: The golden set; ``None`` where it is not at hand.
            edges: Longest edge in pixels, by the place of the sample.
            jobs: Threads; decoding leaves Python's lock.
        """
        self._pool = ThreadPoolExecutor(max(1, jobs), thread_name_prefix="thumbnails")
        self._made: dict[int, Future[str]] = {}
        for sample, edge in edges.items() if golden is not None else ():
            path = golden.photograph(sample) if golden is not None else None
            if path is not None:
                self._made[sample] = self._pool.submit(_thumbnail, path, edge)

    def finished(self) -> dict[int, str]:
        """Wait for the last one.

        Returns:
            A ``data:`` address by sample. A photograph that cannot be decoded has none.
        """
        found = {sample: address for sample, made in self._made.items() if (address := made.result())}
        self._pool.shutdown()
        return found


def _thumbnail(path: Path, edge: int) -> str:
    try:
        with open_image(path, _MOST_PIXELS) as image:
            image.draft("RGB", (edge, edge))  # a JPEG is decoded no larger than it takes, at a part of the cost
            small = ImageOps.exif_transpose(image).convert("RGB")
            small.thumbnail((edge, edge), Image.Resampling.BILINEAR)
    except (GoldenError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    body = io.BytesIO()
    small.save(body, "WEBP", quality=_QUALITY, method=2)
    return "data:image/webp;base64," + base64.b64encode(body.getvalue()).decode("ascii")
