"""Describes what changed from one release to the next, and lists all acceptances."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.core.errors import ParityError
from eyerace_parity.core.numbers import format_bytes, format_number, pluralise
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import SCORES_NDIM, GoldenFacts
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.release.files import folder_of, history, names, read
from eyerace_parity.stats import classification, differences

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.answers import GoldenFacts
    from eyerace_parity.release.files import Stored
    from eyerace_parity.release.model import Release

_MOST_NAMED = 8
"""Samples that a line names; the rest are counted."""

_STEM = 6
"""Hexadecimal digits of a digest in the label of a replaced release."""


def f1_of(stored: Stored, variant: str, golden: GoldenFacts | None) -> float | None:
    """Return the macro-F1 of a released variant; ``None`` without labels, answers, or a sample of every class."""
    scores = stored.release.answers_of(variant, stored.answers).get(stored.release.scores)
    if golden is None or golden.labels is None or scores is None or scores.ndim != SCORES_NDIM:
        return None
    if len(scores) != len(golden.labels) or scores.shape[1] != len(golden.classes):
        return None
    counts = classification.confusion(golden.labels, classification.decisions(scores), len(golden.classes))
    value = classification.macro_f1(counts)
    return value if np.isfinite(value) else None


def changes(before: Stored, after: Stored, golden: GoldenFacts | None) -> list[str]:
    """Describe the changes: one line for each variant, and one for each verdict whose status changed.

    Args:
        before: The earlier release.
        after: The later release.
        golden: The golden set's facts, for F1 and for right→wrong flips; ``None`` if not available.
    """
    then, now = before.release, after.release
    lines = []
    if then.golden != now.golden:
        lines.append(f"another golden set: {then.golden[:19]} → {now.golden[:19]}; answers are not compared")
    if then.classes != now.classes:
        lines.append(f"other classes: {join_names(then.classes)} → {join_names(now.classes)}")
    for name in dict.fromkeys((*then.variants, *now.variants)):
        if name not in now.variants or name not in then.variants:
            lines.append(f"{name}: {'new' if name in now.variants else 'gone'}")
            continue
        lines.append(f"{name}: {'; '.join(_of_variant(before, after, name, golden))}")
    return lines + list(_turned(before, after))


def _of_variant(before: Stored, after: Stored, name: str, golden: GoldenFacts | None) -> Iterator[str]:
    then, now = before.release, after.release
    same = then.variants[name].artefact == now.variants[name].artefact
    yield "the same artefact" if same else "another artefact"
    sizes = [_size(stored, name) for stored in (before, after)]
    if all(sizes) and sizes[0] != sizes[1]:
        yield f"size {format_bytes(sizes[0])} → {format_bytes(sizes[1])}"
    if then.golden != now.golden or before.ids != after.ids:
        return
    scores = [f1_of(stored, name, golden) for stored in (before, after)]
    if scores[0] is not None and scores[1] is not None:
        yield f"F1 {format_number(scores[0])} → {format_number(scores[1])}"
    ours, theirs = now.answers_of(name, after.answers), then.answers_of(name, before.answers)
    shared = [output for output in ours if output in theirs and ours[output].shape == theirs[output].shape]
    if shared:
        largest = max(float(differences.absolute(ours[output], theirs[output]).max(initial=0.0)) for output in shared)
        yield f"answers apart by at most {format_number(largest)}"
    if now.scores in shared and ours[now.scores].ndim == SCORES_NDIM:
        yield _flipped(after, ours[now.scores], theirs[now.scores], golden)


def _flipped(after: Stored, ours: np.ndarray, theirs: np.ndarray, golden: GoldenFacts | None) -> str:
    decided, was = classification.decisions(ours), classification.decisions(theirs)
    where = np.flatnonzero(decided != was)
    flips = pluralise(len(where), "flip")
    if len(where) and golden is not None and golden.labels is not None and len(golden.labels) == len(decided):
        flips += f", {len(classification.flips(golden.labels, decided, was).harmed)} of them right→wrong"
    named = join_names([after.ids[int(i)] for i in where], most=_MOST_NAMED)
    return f"{flips} ({named})" if len(where) else flips


def _turned(before: Stored, after: Stored) -> Iterator[str]:
    was = {(row.variant, row.clause, row.target): row for row in before.release.verdicts}
    for row in after.release.verdicts:
        earlier = was.get((row.variant, row.clause, row.target))
        if earlier is not None and earlier.status is not row.status:
            yield f"{row.variant} {row.clause}: {earlier.status} → {row.status}"


def _size(stored: Stored, name: str) -> int:
    for piece in stored.release.evidence:
        if piece.entry.is_of(Files) and piece.entry.variant == name:
            return int(getattr(piece.entry.document, "bytes", 0))
    return 0


def accepted_of(contract: Contract) -> tuple[AcceptedRelease, ...]:
    """List all acceptances of all releases: sorted by name (1.9 before 1.10), and by time within a name.

    A release that cannot be read is left out. The page reports a run; judging against that release reports the error.
    """
    accepted: list[AcceptedRelease] = []
    for name in sorted(names(contract), key=_natural):
        try:
            folder = folder_of(contract, name)
            release, lines = read(folder).release, history(folder)
        except ParityError:
            continue
        for line in lines:
            last = line.digest == release.digest
            label = name if last else f"{name} {line.digest.removeprefix('sha256:')[:_STEM]}"
            accepted.append(AcceptedRelease(label, line.golden, line.f1, _sizes(release) if last else {}))
    return tuple(accepted)


def _sizes(release: Release) -> dict[str, int]:
    documents = ((piece.entry.variant, piece.entry.document) for piece in release.evidence)
    return {variant: document.bytes for variant, document in documents if isinstance(document, Files)}


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sort key that orders numbers in a name by value: 1.9 before 1.10."""
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)]


@dataclass(frozen=True, slots=True)
class AcceptedRelease:
    """One acceptance of a release.

    Attributes:
        name: Label; unique.
        golden: Digest of the golden set on which it was measured.
        f1: Macro-F1 by variant.
        bytes: File size by variant in bytes; empty for a release that was replaced.
    """

    name: str
    golden: str = ""
    f1: Mapping[str, float] = field(default_factory=dict)
    bytes: Mapping[str, int] = field(default_factory=dict)
