"""Makes a release from the record of a finished run."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.checks.plan import plan
from eyerace_parity.core.errors import ParityError, RecordError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.result import Status
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.measure.context import artefact_digest
from eyerace_parity.record.compose import measurement_digest
from eyerace_parity.record.rejudge import RecordedRun
from eyerace_parity.release.files import ARTEFACTS, Stored, digest_of, folder_of, narrowed
from eyerace_parity.release.history import f1_of
from eyerace_parity.release.model import Acceptance, Release, ReleasedEvidence, ReleasedVariant, ReleasedVerdict
from eyerace_parity.runners.artefact_files import external_locations

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.measure.cache import EvidenceCache
    from eyerace_parity.record.document import EvidenceEntry, Record
    from eyerace_parity.record.rows import VerdictEntry

_RUN_ALL: Final = "run the whole gate, `pytest --eyerace-parity`, and save that run"


def make(record: Record, contract: Contract, store: EvidenceCache, name: str, before: Release | None) -> Stored:
    """Make a release from a finished run; nothing is written.

    Args:
        record: Record of the run.
        contract: The contract, in the state in which it was judged.
        store: Evidence cache that holds the run's arrays.
        name: Name of the release.
        before: The release that it replaces; ``None`` for the first.

    Returns:
        The release. If the results equal those of ``before``, it equals ``before``.

    Raises:
        RecordError: The run was of another contract or incomplete, or its arrays are gone.
    """
    rows = _whole(record, contract)
    entries = {key: record.evidence[key] for row in rows for key in row.evidence if key in record.evidence}
    own = [entry for entry in entries.values() if not entry.baseline]
    source = RecordedRun(record, contract, store)
    kept: list[ReleasedEvidence] = []
    answers: dict[str, Array] = {}
    for entry in sorted(own, key=lambda each: (each.kind, each.variant, each.target)):
        if entry.is_of(Outputs):
            kept.append(_answers_of(entry, source, answers))
        elif KINDS.named(entry.kind).released:
            kept.append(ReleasedEvidence(entry=_lasting(entry)))
    golden = _golden(source) if answers else None
    ids = golden.ids if golden is not None else ()
    judged = next(entry for entry in record.contracts if entry.name == contract.name)
    interface = contract.interface
    release = Release(
        name=name,
        contract=contract.name,
        contract_digest=judged.digest,
        golden=golden.digest if golden is not None else "",
        classes=contract.classes,
        scores=contract.scores_output,
        inputs=interface.inputs,
        outputs=interface.outputs,
        variants={v.name: _variant(contract, v.name, own) for v in judged.variants},
        verdicts=_verdicts(rows, contract, entries),
        evidence=tuple(kept),
        digest_of_answers=digest_of(ids, answers) if answers else "",
    )
    if before is not None:
        unchanged = before.substance == release.substance
        follows = before.follows if unchanged else before.digest
        release = release.model_copy(update={"follows": follows})
    return Stored(folder_of(contract, name), release, ids, answers)


def acceptance(stored: Stored, contract: Contract, record: Record, store: EvidenceCache) -> Acceptance:
    """Make the line of history of a release.

    Args:
        stored: The release.
        contract: The contract.
        record: Record of the run that it was made from.
        store: Evidence cache that holds the run's arrays.
    """
    release = stored.release
    golden = _golden(RecordedRun(record, contract, store)) if stored.answers else None
    scores = {name: f1_of(stored, name, golden) for name in release.variants} if golden is not None else {}
    return Acceptance(
        name=release.name,
        digest=release.digest,
        follows=release.follows,
        contract_digest=release.contract_digest,
        golden=release.golden,
        artefacts={name: variant.artefact for name, variant in release.variants.items() if variant.artefact},
        f1={name: round(value, 6) for name, value in scores.items() if value is not None},
    )


def keep_artefacts(stored: Stored, contract: Contract) -> int:
    """Copy the artefacts into a release's folder, so that a candidate can later be timed interleaved with them.

    Returns:
        Number of bytes copied.

    Raises:
        RecordError: A file has changed since the run, or cannot be copied.
    """
    copied = 0
    for name, variant in stored.release.variants.items():
        if variant.kind != "onnx" or not variant.artefact:
            continue
        if artefact_digest(contract, name) != variant.artefact:
            raise RecordError(f"{display_path(contract.path(contract.variants[name].path))} has changed since "
"it was judged",
                              next_step=_RUN_ALL)  # fmt: skip
        file = contract.path(contract.variants[name].path)
        place = stored.folder / ARTEFACTS / name
        try:
            shutil.rmtree(place, ignore_errors=True)
            for relative in (file.name, *external_locations(file)):
                target = place / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.parent / relative, target)
                copied += target.stat().st_size
            beside = contract.variants[name].model_copy(update={"path": (place / file.name).absolute()})
            copy = contract.model_copy(update={"variants": {name: beside}})
            if artefact_digest(copy, name) != variant.artefact:
                shutil.rmtree(place, ignore_errors=True)
                raise RecordError(f"{display_path(file)} changed while it was copied", next_step=_RUN_ALL)
        except OSError as error:
            reason = f"the artefact of {name} cannot be copied to {display_path(place)}: {error.strerror or error}"
            raise RecordError(reason, next_step="free what is short, or save without --artefacts") from error
    return copied


def _whole(record: Record, contract: Contract) -> tuple[VerdictEntry, ...]:
    """Return the verdicts of a complete run: it was not interrupted, and every clause was judged without an error.

    Raises:
        RecordError: The run is incomplete, or of another contract.
    """
    judged = next((entry for entry in record.contracts if entry.name == contract.name), None)
    if judged is None:
        known = join_names([entry.name for entry in record.contracts])
        raise RecordError(f"the record knows no contract {contract.name!r}, only {known}", next_step=_RUN_ALL)
    if judged.substance != measurement_digest(contract):
        raise RecordError(f"{contract.name} differs from the recorded run in more than limits", next_step=_RUN_ALL)
    if record.interrupted:
        raise RecordError(f"the run did not come to its end ({record.interrupted})", next_step=_RUN_ALL)
    if missing := record.unjudged_of(contract.name):
        named = join_names([str(row.identity) for row in missing], most=5)
        raise RecordError(f"the run left {len(missing)} clauses without a verdict: {named}", next_step=_RUN_ALL)
    rows = record.verdicts_of(contract.name)
    if failed := [row for row in rows if row.status is Status.ERROR]:
        named = join_names([str(row.identity) for row in failed], most=5)
        raise RecordError(
            f"what could not be measured cannot be released: {named}", next_step="see to these errors, then run again"
        )
    return rows


def _answers_of(entry: EvidenceEntry, source: RecordedRun, answers: dict[str, Array]) -> ReleasedEvidence:
    """Add one variant's answers to ``answers``, and return their entry.

    Raises:
        RecordError: The arrays are no longer in the evidence cache.
    """
    try:
        outputs = source.obtain(Need(Outputs, entry.variant, entry.target))
    except ParityError as error:
        raise RecordError(error.reason, next_step=_RUN_ALL) from error
    members = {}
    for output, array in outputs.arrays.items():
        members[output] = f"{entry.variant}@{entry.target}/{output}"
        answers[members[output]] = narrowed(array)
    return ReleasedEvidence(entry=_lasting(entry), expected=outputs.expected, answers=members)


def _golden(source: RecordedRun) -> GoldenFacts:
    try:
        return source.obtain(Need(GoldenFacts))
    except ParityError as error:
        raise RecordError(error.reason, next_step=_RUN_ALL) from error


def _lasting(entry: EvidenceEntry) -> EvidenceEntry:
    """Return an entry without the mark of the evidence cache: releases of cached and of fresh evidence are equal."""
    changes: dict[str, Any] = {}
    if entry.provenance is not None:
        changes["provenance"] = entry.provenance.model_copy(update={"cached": False})
    if entry.document is not None:
        changes["document"] = entry.document.model_copy(update={"provenance": changes.get("provenance")})
    return entry.model_copy(update=changes)


def _variant(contract: Contract, name: str, entries: list[EvidenceEntry]) -> ReleasedVariant:
    stated = contract.variants[name]
    digests = [e.provenance.artefact for e in entries if e.variant == name and e.provenance is not None]
    return ReleasedVariant(
        kind=stated.kind,
        path=stated.path.as_posix(),
        tier=stated.tier,
        reference=stated.reference,
        artefact=next(iter(digests), ""),
    )


def _verdicts(
    rows: tuple[VerdictEntry, ...], contract: Contract, entries: dict[str, EvidenceEntry]
) -> tuple[ReleasedVerdict, ...]:
    """Return the verdicts on this release alone, without those that compare it with an earlier one."""
    compared = {p.identity for p in plan(contract) if any(need.baseline for need in p.needs)}
    verdicts = []
    for row in rows:
        if row.identity in compared:
            continue
        kinds = {entries[key].kind for key in row.evidence if key in entries}
        times = any(KINDS.named(kind).alone for kind in kinds)
        columns = row.model_dump(include=set(ReleasedVerdict.model_fields))
        verdicts.append(ReleasedVerdict(**columns | ({"value": None} if times else {})))
    return tuple(verdicts)
