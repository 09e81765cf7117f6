"""From several records to one: whether what each runtime found is what the contract expects, and what was predicted.

A record that is torn, or of another bundle, leaves cells that say so, and the rest goes on; what the contract declares
and no record answers has cells too. Nothing is measured here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity import __version__
from eyerace_parity.checks.plan import plan
from eyerace_parity.core.errors import RecordError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.result import HOST, Status
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.artefacts import Graph
from eyerace_parity.extensions.matrix.changes import changes_of, loads_of
from eyerace_parity.extensions.matrix.document import CellNumber, MatrixCell, MergedRecord, outcome_of
from eyerace_parity.extensions.matrix.predictions import predict_for
from eyerace_parity.extensions.matrix.records import artefacts_here, measured_artefacts, open_records, release, rows_of
from eyerace_parity.extensions.matrix.section import Fails, Matrix, cell_of
from eyerace_parity.measure.kinds.predictions import demanded_of
from eyerace_parity.record.compose import measurement_digest
from eyerace_parity.record.document import outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.result import Identity
    from eyerace_parity.extensions.matrix.document import Expected, MatrixRuntime, Observed, Predicted
    from eyerace_parity.extensions.matrix.records import Row
    from eyerace_parity.extensions.matrix.section import Expectation
    from eyerace_parity.record.document import Record
    from eyerace_parity.record.rows import VerdictEntry

Places = dict[tuple[str, str], set["Identity"]]
"""Clauses that must be judged, by variant and target."""


def merge(contract: Contract, files: Sequence[Path], versions: Sequence[str] = ()) -> MergedRecord:
    """Merge the records of a contract.

    Args:
        contract: The contract, as it stands now.
        files: The records.
        versions: Declared versions that are asked for; all by default.

    Raises:
        RecordError: A version is asked for that the contract does not declare, or there is nothing to merge.
        ContractError: The contract demands nothing.
    """
    declared = contract.section(Matrix).versions
    if strangers := [version for version in versions if version not in declared]:
        raise RecordError(
            f"the matrix declares no version {join_names(strangers)}",
            next_step=f"ask for some of: {join_names(declared, most=40)}"
            if declared
            else "state [matrix] in the contract",
        )
    asked = tuple(versions) or declared
    rows = rows_of(open_records(contract, files), declared, asked)
    if not rows:
        raise RecordError("no record was named, and the contract declares no matrix", next_step="state [matrix] in it")
    merging = _Merging(contract, rows)
    cells = tuple(merging.cells())
    runtimes = tuple(runtime for runtime, _ in rows)
    return MergedRecord(
        tool=__version__,
        contract=contract.name,
        file=display_path(contract.file),
        digest=contract.digest,
        substance=measurement_digest(cell_of(contract)),
        artefacts=merging.artefacts(),
        versions=declared,
        asked=asked,
        newest=merging.newest[0].label if merging.newest else "",
        runtimes=runtimes,
        cells=cells,
        outcome=outcome_of(cells, runtimes),
    )


class _Merging:
    """The rows of one merge, and what all cells need to know of the others."""

    def __init__(self, contract: Contract, rows: Sequence[Row]) -> None:
        self.contract = contract
        self.rows = rows
        sound = [row for row in rows if row[1].record is not None]
        self.newest = max(sound, key=lambda row: release(row[0].version), default=None)
        self._newest = self.newest[1].record if self.newest else None
        self._places: Places = {}
        for planned in plan(cell_of(contract)):
            self._places.setdefault((planned.case.name, planned.case.target), set()).add(planned.identity)

    def artefacts(self) -> dict[str, str]:
        """Digests of the files that were judged."""
        found = artefacts_here(self.contract)
        for _, given in self.rows:
            found = (dict(measured_artefacts(given.record)) if given.record else {}) | found
        return found

    def cells(self) -> Iterator[MatrixCell]:
        """All cells, row by row."""
        for runtime, found in self.rows:
            for (variant, target), wanted in self._places.items():
                yield self._cell(runtime, found.record, (variant, target), wanted)

    def _cell(
        self, runtime: MatrixRuntime, record: Record | None, place: tuple[str, str], wanted: set[Identity]
    ) -> MatrixCell:
        variant, target = place
        rows = [row for row in record.verdicts if row.identity in wanted] if record is not None else []
        failing = [row for row in rows if not row.status.passes]
        absent = sorted({identity.clause for identity in wanted - {row.identity for row in rows}})
        observed: Observed = "missing" if record is None else outcome(rows, unjudged=len(absent))
        expected, words = self._expected(runtime, variant)
        predicted, prediction = self._prediction(runtime, record, variant)
        fault = _disagreement(runtime, observed, expected, words, failing) or _unjudged(absent if record else ())
        if not fault and record is not None and target == HOST:
            fault = _surprise(record, variant, runtime, predicted, prediction)
        reason, step = fault or ((_first(failing).reason, "") if failing else ("", ""))
        changes = changes_of(self.contract, record, variant, self._newest) if record and target == HOST else None
        return MatrixCell(
            runtime=runtime.label,
            variant=variant,
            target=target,
            observed=observed,
            expected=expected,
            words=words,
            predicted=predicted,
            prediction=prediction,
            agrees=fault is None,
            failing=tuple(row.clause for row in failing),
            reason=reason,
            next=step,
            changes=changes,
            numbers=() if target == HOST else tuple(_numbers(rows)),
        )

    def _expected(self, runtime: MatrixRuntime, variant: str) -> tuple[Expected, tuple[str, ...]]:
        stated: Expectation | None = self.contract.section(Matrix).expect.get(runtime.declared, {}).get(variant)
        if isinstance(stated, Fails):
            return "fails", stated.words
        if stated is not None:
            return "held", ()
        oldest = release(str(demanded_of(self.contract, variant) or ""))
        version = release(runtime.version or runtime.declared)
        # Without numbers (the newest, of which there is no record) it is no older than what the contract names.
        return ("anything" if version and version < oldest else "held"), ()

    def _prediction(self, runtime: MatrixRuntime, record: Record | None, variant: str) -> tuple[Predicted, str]:
        """Predict from the file, as any record has read it: what it says of itself depends on no runtime."""
        for known in filter(None, (record, self._newest)):
            for entry in known.evidence.values():
                graph = entry.document
                if isinstance(graph, Graph) and entry.variant == variant and not entry.baseline:
                    return predict_for(self.contract, variant, graph, runtime.version or runtime.declared)
        return "unknown", ""


def _numbers(rows: Sequence[VerdictEntry]) -> Iterator[CellNumber]:
    for row in rows:
        if row.value is not None:
            yield CellNumber(clause=row.clause, value=row.value, unit=row.unit)


Fault = tuple[str, str]
"""Why a cell does not agree, and what to do about it."""


def _disagreement(
    runtime: MatrixRuntime,
    observed: Observed,
    expected: Expected,
    words: Sequence[str],
    failing: Sequence[VerdictEntry],
) -> Fault | None:
    """Say why what was observed is not what was expected; ``None`` where it is."""
    if observed == "missing":
        return runtime.fault or "there is no sound record of it", runtime.next
    if expected == "fails":
        return _other_failure(observed, words, failing)
    if expected == "held" and failing:
        first = _first(failing)
        return f"{first.clause}: {first.reason}", first.next
    return None


def _other_failure(observed: Observed, words: Sequence[str], failing: Sequence[VerdictEntry]) -> Fault | None:
    """Say why a failure is not the expected one: each clause must name it, and all expected words must be named."""
    expected = join_names(repr(word) for word in words)
    if observed == "held":
        return (
            f"it is held, though the contract expects it to fail with {expected}",
            "state 'held' below [matrix.expect]",
        )
    for row in failing:
        if not any(_tells(row, word) for word in words):
            return f"it fails for another reason than {expected}: {row.clause}: {row.reason}", row.next
    if failing and (absent := [word for word in words if not any(_tells(row, word) for row in failing)]):
        untold = join_names(repr(word) for word in absent)
        step = "state below [matrix.expect] why it fails"
        return f"it fails, but nothing of it tells {untold}: {_first(failing).reason}", step
    return None


def _unjudged(clauses: Sequence[str]) -> Fault | None:
    """A run that judged a part only says nothing of the whole, whatever was expected of it."""
    if not clauses:
        return None
    step = "run it again with --eyerace-parity-matrix and nothing deselected, by this version of eyerace-parity"
    return f"not judged: {join_names(clauses)}", step


def _tells(row: VerdictEntry, word: str) -> bool:
    return word.casefold() in f"{row.clause} {row.reason}".casefold()


def _first(failing: Sequence[VerdictEntry]) -> VerdictEntry:
    """What is certain comes first, as it does for a whole contract."""
    ranks = (Status.BROKEN, Status.ERROR, Status.UNPROVEN)
    return min(failing, key=lambda row: ranks.index(row.status))


def _surprise(
    record: Record, variant: str, runtime: MatrixRuntime, predicted: Predicted, prediction: str
) -> Fault | None:
    """Say that a file that was predicted to load does not, or the other way round."""
    loads = loads_of(record, variant)
    if loads is None or predicted == "unknown" or loads == (predicted == "loads"):
        return None
    did = "loads" if loads else "does not load"
    reason = f"it {did} in onnxruntime {runtime.version}, against what the file let expect: {prediction}"
    return reason, "the table of runtimes is wrong, or the file is: measure this version again for the table"
