"""One contract in one process of a run: its plan, its laboratory, and its artefacts brought up to date."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import (
    CHANGED_NEXT,
    ArtefactError,
    ContractError,
    MeasurementError,
    ParityError,
    RecipeError,
)
from eyerace_parity.core.files import display_path
from eyerace_parity.core.result import Judgement, Status
from eyerace_parity.core.text import join_names
from eyerace_parity.extending.loading import active
from eyerace_parity.judging import judge
from eyerace_parity.measure.targets.equipment import equipment_of
from eyerace_parity.record.compose import ContractFindings, finding
from eyerace_parity.session.baseline import source_of, stored_baseline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from eyerace_parity.checks.base import PlannedClause
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.evidence.base import Need
    from eyerace_parity.measure.cache import EvidenceCache
    from eyerace_parity.measure.isolated_worker import IsolatedWorker
    from eyerace_parity.measure.laboratory import Laboratory
    from eyerace_parity.record.compose import VerdictWithEvidence
    from eyerace_parity.record.rows import VerdictEntry
    from eyerace_parity.release.files import Stored

E = TypeVar("E")


@dataclass(slots=True)
class ContractSession:
    """A contract that is judged, and the source of its own evidence (:class:`eyerace_parity.evidence.source.Source`).

    Attributes:
        ledger: The contract, its plan and its verdicts so far.
        settings: Options of the run, as they stand for this contract.
        progress: Receives the progress of long work.
        jobs: Number of measurements in parallel in this process.
        isolated_worker: Measures what could crash the process that measures.
        baseline: The accepted release to compare with; the name of one that does not exist yet; or an empty text.
        unbuilt: Why a variant could not be built, by its name.
    """

    ledger: ContractFindings
    settings: Settings
    progress: Progress
    jobs: int
    isolated_worker: LazyIsolatedWorker
    baseline: Stored | str = ""
    unbuilt: dict[str, RecipeError] = field(default_factory=dict)
    _expected: tuple[PlannedClause, ...] = field(default=(), init=False)
    _laboratory: Laboratory | None = field(default=None, init=False)
    _store: EvidenceCache | None = field(default=None, init=False)

    @property
    def contract(self) -> Contract:
        """The contract."""
        return self.ledger.contract

    @property
    def planned(self) -> tuple[PlannedClause, ...]:
        """All that it demands."""
        return self.ledger.planned

    @property
    def laboratory(self) -> Laboratory:
        """Obtains evidence; opened when it is first needed."""
        if self._laboratory is None:
            self._laboratory = self._open(self.contract, compare=True)
        return self._laboratory

    @property
    def store(self) -> EvidenceCache:
        """The evidence cache."""
        if self._store is None:
            from eyerace_parity.measure.cache import EvidenceCache  # noqa: PLC0415 - a run that only collects needs none

            self._store = EvidenceCache(self.settings.cache)
        return self._store

    def _open(self, contract: Contract, *, compare: bool = False) -> Laboratory:
        """Open a laboratory; with ``compare`` it also supplies evidence of the accepted release."""
        from eyerace_parity.golden.dataset import open_golden  # noqa: PLC0415
        from eyerace_parity.measure.laboratory import Laboratory  # noqa: PLC0415 - as above

        return Laboratory(
            contract,
            open_golden,
            self.store,
            jobs=self.jobs,
            progress=self.progress,
            use_recorded=self.settings.recorded,
            peer_python=self.settings.peer,
            baseline=source_of(self.baseline, contract, self._open) if compare else None,
            equipment=equipment_of(contract, self.settings, self.progress),
            all_samples=self.settings.arm64 == "all",
            isolated=self.isolated_worker.get(),
            rehash=self.settings.rehash,
        )

    @property
    def trouble(self) -> str:
        """Why evidence could not be cached for the next run, or an empty string."""
        return "" if self._store is None else self._store.trouble

    def expect(self, planned: Iterable[PlannedClause]) -> None:
        """Announce the clauses that will be judged, so that their evidence can be measured together."""
        self._expected = tuple(planned)

    def obtain(self, need: Need[E]) -> E:
        """Return the evidence that meets a need.

        Raises:
            ArtefactError: The variant could not be built.
            MeasurementError: It cannot be measured.
        """
        for name in filter(None, (need.variant, need.versus)):
            if name in self.unbuilt:
                raise ArtefactError(self.unbuilt[name].reason, next_step=self.unbuilt[name].next_step)
        expected, self._expected = self._expected, ()
        self.laboratory.expect(wanted(expected, self.unbuilt))
        return self.laboratory.obtain(need)

    def key(self, need: Need[Any]) -> str:
        """Return the key of a piece of evidence in the record."""
        return self.laboratory.key(need)

    def judge(self, planned: PlannedClause) -> VerdictWithEvidence:
        """Judge a clause once; later calls return the same finding."""
        known = self.ledger.findings.get(planned.identity)
        if known is not None:
            return known
        verdict = judge(planned, self)
        try:
            found = finding(planned, verdict, self)
        except MeasurementError as error:  # a file changed after the verdict
            judgement = Judgement(Status.ERROR, reason=error.reason, next_step=error.next_step)
            found = finding(planned, replace(verdict, judgement=judgement, evidence=(), needs=()), self)
        self.ledger.enter(found)
        return found

    def withdraw(self) -> tuple[str, ...]:
        """Withdraw verdicts on files that have changed by the end of the run: the judged files no longer exist.

        Returns:
            A line for each such file.
        """
        from eyerace_parity.core.digests import file_digest, known_digest  # noqa: PLC0415 - a run that only collects needs none
        from eyerace_parity.measure.context import artefact_digest  # noqa: PLC0415

        digest_of = file_digest if self.settings.rehash else known_digest
        now: dict[str, str] = {}
        for found in tuple(self.ledger.findings.values()):
            for entry in found.evidence.values():
                name, source = entry.variant, entry.provenance
                if entry.baseline or source is None or not source.artefact or name not in self.contract.variants:
                    continue
                if name not in now:
                    try:
                        now[name] = artefact_digest(self.contract, name, digest_of)
                    except MeasurementError:
                        now[name] = ""
                if now[name] != source.artefact:
                    self.ledger.enter(found.model_copy(update={"verdict": self._withdrawn(found, name)}))
        rows = [found.verdict for found in self.ledger.findings.values()]
        return tuple(dict.fromkeys(row.reason for row in rows if row.next == CHANGED_NEXT))

    def _withdrawn(self, found: VerdictWithEvidence, variant: str) -> VerdictEntry:
        place = display_path(self.contract.path(self.contract.variants[variant].path))
        changes = {"reason": f"{place} changed before the run ended", "next": CHANGED_NEXT, "causes": (), "details": ()}
        return found.verdict.model_copy(update={"status": Status.ERROR, "value": None, **changes})

    def to_build(self, variants: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return the variants to build before anything is measured, sources first.

        Args:
            variants: Only what these variants need; everything by default.

        Returns:
            Variants whose file is missing; with ``--eyerace-parity-rebuild`` also those that are stale.
        """
        from eyerace_parity.recipes.build import missing_artefacts  # noqa: PLC0415 - a run that only collects needs none
        from eyerace_parity.recipes.lineage import chain_of  # noqa: PLC0415

        missing = missing_artefacts(self.contract)
        found: dict[str, None] = {}
        wanted = self.contract.variants if variants is None else variants
        for name in (name for each in wanted for name in chain_of(self.contract, each)):
            recipe = self.contract.recipe_of(name)
            if name in missing or (
                self.settings.rebuild and recipe is not None and (recipe.source in found or self._is_stale(name))
            ):
                found[name] = None
        return tuple(found)

    def build(self, name: str) -> Path | RecipeError:
        """Build a variant. If it cannot be built, its clauses end in ``error`` and the run goes on.

        Returns:
            Its file, or why there is none.
        """
        from eyerace_parity.recipes.build import build_variant, content_of  # noqa: PLC0415 - as above

        isolated = self.isolated_worker.get()
        make = content_of if isolated is None else isolated.make
        try:
            return build_variant(self.contract, name, self.progress, make)
        except ParityError as error:
            reason = error.reason if isinstance(error, RecipeError) else f"{name} cannot be built: {error.reason}"
            self.unbuilt[name] = RecipeError(reason, next_step=error.next_step)
            return self.unbuilt[name]

    def close(self) -> None:
        """Close the laboratory."""
        if self._laboratory is not None:
            self._laboratory.close()
            self._laboratory = None

    def _is_stale(self, name: str) -> bool:
        """Whether the stamp of a file names other sources than the present ones."""
        from eyerace_parity.recipes.lineage import current_lineage, read_stamp  # noqa: PLC0415 - only where it is asked for

        def judged(lineage: dict[str, str]) -> dict[str, str]:
            return {key: value for key, value in lineage.items() if not key.startswith("tool.")}

        try:
            stamped = read_stamp(self.contract.path(self.contract.variants[name].path))
            return judged(stamped) != judged(current_lineage(self.contract, name))
        except ParityError:
            return True  # building it says why


def open_subject(
    file: Path,
    settings: Settings,
    progress: Progress,
    isolated_worker: LazyIsolatedWorker,
    *,
    folders: Sequence[Path],
    workers: int = 1,
) -> ContractSession:
    """Open a contract and plan it.

    Args:
        file: The contract.
        settings: Options of the run.
        progress: Who hears of long work.
        isolated_worker: Measures what could crash the process that measures.
        folders: What a release that the options name may be relative to.
        workers: How many processes share the granted jobs.

    Raises:
        ContractError: It is wrong, or demands nothing.
    """
    contract = open_contract(file, settings.overrides())
    for view in active().added("contract_views", contract.extensions):
        contract = view(contract, settings)
    planned = plan(contract)
    if not planned:
        raise ContractError(
            f"{display_path(file)} demands nothing of any variant, so there is nothing to hold",
            next_step="state limits; `eyerace-parity clauses` lists all that there are",
        )
    own = settings.under(contract)
    baseline = stored_baseline(contract, planned, own, folders)
    return ContractSession(
        ContractFindings(contract, planned), own, progress, max(1, own.jobs // workers), isolated_worker, baseline
    )


@dataclass(slots=True)
class LazyIsolatedWorker:
    """Creates the isolated worker of a run when it is first needed.

    Attributes:
        wanted: Whether to use one; otherwise the run's own process measures.
    """

    wanted: bool
    _isolated: IsolatedWorker | None = field(default=None, init=False)

    def get(self) -> IsolatedWorker | None:
        """The isolated worker, always the same; ``None`` if none is wanted."""
        if self._isolated is None and self.wanted:
            from eyerace_parity.measure.isolated_worker import IsolatedWorker  # noqa: PLC0415 - a run that only collects needs none

            self._isolated = IsolatedWorker()
        return self._isolated

    def close(self) -> None:
        """End its process, if it has one."""
        if self._isolated is not None:
            self._isolated.close()


def in_words(contract: Contract, settings: Settings, progress: Progress) -> str:
    """Describe on which targets a contract runs and what will be installed first; empty without targets."""
    equipment = equipment_of(contract, settings, progress)
    if equipment is None:
        return ""
    targets = contract.targets
    samples = "all samples" if settings.arm64 == "all" else f"{targets.images} samples a target"
    line = f"executed on {join_names(targets.run)}: {join_names(targets.executed(contract.variants))}, {samples}"
    missing = equipment.missing(targets.run)
    if not missing:
        return line
    verb = "missing, and not fetched because the run is offline" if settings.offline else "installed first"
    return f"{line}; {verb}: {join_names(missing)}"


def wanted(planned: Iterable[PlannedClause], unbuilt: Iterable[str]) -> Iterator[Need[Any]]:
    """Evidence that some clauses need, except of variants that could not be built."""
    for each in planned:
        try:
            needs = each.needs
        except Exception:  # noqa: BLE001, S112 - judging it will say that the check is at fault
            continue
        yield from (need for need in needs if not {need.variant, need.versus} & set(unbuilt))
