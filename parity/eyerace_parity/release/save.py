"""From the record of a finished run to a release."""

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
    """Make a release of a finished run; nothing is written.

    Args:
        record: The run.
        contract: The contract, in the state that was run.
        store: Where the run kept its arrays.
        name: What the release is called.
        before: The release that it takes the place of.

    Returns:
        The release. Where the same was found as in ``before``, it is ``before`` again.

    Raises:
        RecordError: The run was of something else, was not whole, or its arrays are gone.
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
    told = next(entry for entry in record.contracts if entry.name == contract.name)
    interface = contract.interface
    release = Release(
        name=name,
        contract=contract.name,
        contract_digest=told.digest,
        golden=golden.digest if golden is not None else "",
        classes=contract.classes,
        scores=contract.scores_output,
        inputs=interface.inputs,
        outputs=interface.outputs,
        variants={v.name: _variant(contract, v.name, own) for v in told.variants},
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
    """Write the line of history of a release."""
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
    """Copy the artefacts beside a release, where its times can later be taken in turns with a candidate's.

    Returns:
        Bytes that were copied.

    Raises:
        RecordError: A file is no longer the one that the run measured, or cannot be copied.
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
    """Verdicts of a run that came to its end and judged all that the contract demands.

    Raises:
        RecordError: It did not.
    """
    told = next((entry for entry in record.contracts if entry.name == contract.name), None)
    if told is None:
        known = join_names([entry.name for entry in record.contracts])
        raise RecordError(f"the record knows no contract {contract.name!r}, only {known}", next_step=_RUN_ALL)
    if told.substance != measurement_digest(contract):
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
    """Take one variant's answers into the archive."""
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
    """The same evidence, whether it was measured in that run or taken from the store."""
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
    """What was said of this release, and not of how it stands to another."""
    compared = {p.identity for p in plan(contract) if any(need.baseline for need in p.needs)}
    told = []
    for row in rows:
        if row.identity in compared:
            continue
        kinds = {entries[key].kind for key in row.evidence if key in entries}
        times = any(KINDS.named(kind).alone for kind in kinds)
        columns = row.model_dump(include=set(ReleasedVerdict.model_fields))
        told.append(ReleasedVerdict(**columns | ({"value": None} if times else {})))
    return tuple(told)
