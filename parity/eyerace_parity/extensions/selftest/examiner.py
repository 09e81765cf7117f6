"""Plants one fault and judges it: which clauses break that hold without it, and whether a reason names the cause.

Judged are the expected clauses, and all others that need no further measurement. So a fault in a file's header costs no
inference, and evidence that a fault does not change comes from the cache.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.checks.plan import plan
from eyerace_parity.core.errors import ContractError, ParityError
from eyerace_parity.core.result import HOST, Identity, Judgement, Status, Verdict
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.kinds import Runs
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.extensions.selftest.model import Detection, Expected, FaultResult, PlantedFault
from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable, Workshop, name_of
from eyerace_parity.golden.base import GoldenSetProxy
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.judging import judge
from eyerace_parity.measure.laboratory import Laboratory
from eyerace_parity.measure.measurer import derivation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from eyerace_parity.checks.base import PlannedClause
    from eyerace_parity.contract.data import Preprocess
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.evidence.base import Array, Need
    from eyerace_parity.golden.base import GoldenSet
    from eyerace_parity.measure.cache import EvidenceCache
    from eyerace_parity.measure.targets.equipment import TargetEquipment

# 1,200 samples of 3 x 224 x 224 float32 take 0.7 GB.
ROOM: Final = 1 << 30
"""Bytes of prepared samples that are kept; others are prepared again."""


@dataclass(slots=True)
class SampleMemory:
    """Prepared samples of any golden sets, by set, profile and index.

    Attributes:
        room: Bytes left.
        samples: The samples.
    """

    room: int = ROOM
    samples: dict[tuple[str, str, int], dict[str, Array]] = field(default_factory=dict)

    def keep(self, key: tuple[str, str, int], feeds: dict[str, Array]) -> None:
        """Keep a sample if it fits."""
        size = sum(array.nbytes for array in feeds.values())
        if size <= self.room:
            self.room -= size
            for array in feeds.values():
                array.flags.writeable = False  # the same array is returned again
            self.samples[key] = feeds


class CachedGoldenSet(GoldenSetProxy):
    """A golden set that keeps prepared samples in memory.

    Args:
        golden: The set.
        memory: Prepared samples, shared with other sets.
    """

    def __init__(self, golden: GoldenSet, memory: SampleMemory) -> None:
        super().__init__(golden)
        self._memory = memory

    def feeds(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """One prepared sample; see :meth:`GoldenSet.feeds`."""
        key = (self.digest, "" if profile is None else profile.model_dump_json(), index)
        found = self._memory.samples.get(key)
        if found is None:
            found = self._golden.feeds(index, profile)
            self._memory.keep(key, found)
        return dict(found)


@dataclass(slots=True)
class Examiner:
    """Judges faults of one good bundle.

    Attributes:
        contract: The good contract.
        store: The evidence cache.
        jobs: Samples evaluated in parallel.
        progress: Receives the progress of long work.
        equipment: Starts workers on targets; ``None`` if targets are left out.
    """

    contract: Contract
    store: EvidenceCache
    jobs: int
    progress: Progress
    equipment: Callable[[Contract], TargetEquipment | None] | None = None
    _clean: Laboratory | None = field(default=None, init=False)
    _planned: dict[Identity, PlannedClause] = field(default_factory=dict, init=False)
    _held: dict[Identity, Judgement] = field(default_factory=dict, init=False)
    _golden: dict[str, GoldenSet] = field(default_factory=dict, init=False)
    _reddened: set[Identity] = field(default_factory=set, init=False)
    _memory: SampleMemory = field(default_factory=SampleMemory, init=False)

    def __post_init__(self) -> None:
        """Plan the good contract.

        Raises:
            ContractError: It demands nothing.
        """
        self._planned = {planned.identity: planned for planned in plan(self.contract)}

    @property
    def planned(self) -> tuple[PlannedClause, ...]:
        """Clauses of the good contract that the self-test can judge."""
        return tuple(planned for planned in self._planned.values() if self._can(planned))

    @property
    def reddened(self) -> frozenset[Identity]:
        """Clauses that some fault has broken."""
        return frozenset(self._reddened)

    def clean(self, planned: PlannedClause) -> Judgement:
        """Judge a clause on the good bundle, once."""
        identity = planned.identity
        if identity not in self._held:
            self._held[identity] = judge(planned, self.laboratory).judgement
        return self._held[identity]

    @property
    def laboratory(self) -> Laboratory:
        """The source of evidence of the good bundle."""
        if self._clean is None:
            self._clean = self.open(self.contract)
        return self._clean

    def examine(self, fault: PlantedFault) -> FaultResult:
        """Plant a fault and judge it. Never raises for the content of a bundle or the effect of a fault."""
        clock = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="eyerace-parity-selftest-") as folder:
            try:
                damaged = fault.plant(Workshop(self.contract, Path(folder), self.progress))
                outcome = self._judge(fault, damaged)
            except FaultNotApplicable as error:
                outcome = FaultResult(fault, Detection.NOT_APPLICABLE, cause=str(error))
            except ParityError as error:
                outcome = FaultResult(fault, Detection.FAILED, cause=str(error))
            except Exception as error:  # noqa: BLE001 - an edit may fail on an unusual model; the other faults must still run
                reason = f"planting it failed: {type(error).__name__}: {error}"
                outcome = FaultResult(fault, Detection.FAILED, cause=reason)
        return replace(outcome, seconds=time.monotonic() - clock)

    def close(self) -> None:
        """Reduce the cache to its size limit."""
        if self._clean is not None:
            self._clean.close()

    # ---- judging -----------------------------------------------------------------------------------------------------

    def _judge(self, fault: PlantedFault, damaged: Contract) -> FaultResult:
        musts, witnesses = self._demanded(fault.expected), self._demanded(fault.witnesses)
        demanded = musts | witnesses
        if not demanded:
            return self._unseen(fault)
        held = [identity for identity in demanded if self.clean(self._planned[identity]).status.passes]
        if not held:
            return FaultResult(fault, Detection.FAILED, tuple(demanded.values()), cause=self._red_already(demanded))
        verdicts = self._verdicts(damaged, frozenset(held))
        red = sorted((v for v in verdicts if not v.status.passes), key=lambda verdict: verdict.identity not in held)
        self._reddened.update(verdict.identity for verdict in red)
        turned = {verdict.identity for verdict in red}
        seen_by = [demanded[identity] for identity in held if identity in turned]
        blind = tuple(demanded[identity] for identity in held if identity in musts and identity not in turned)
        if (could := witnesses.keys() & set(held)) and not could & turned:
            blind += tuple(demanded[identity] for identity in held if identity in could)
        cause = next((said for verdict in red for said in _said(verdict.judgement) if fault.named_in(said)), "")
        if not seen_by:
            answer = Detection.MISSED
        elif not cause:
            answer = Detection.MISNAMED
        else:
            answer = Detection.PARTLY if blind else Detection.CAUGHT
        return FaultResult(fault, answer, tuple(demanded[i] for i in held), tuple(red), blind, cause)

    def _demanded(self, clauses: Iterable[Expected]) -> dict[Identity, Expected]:
        """Clauses that the good contract demands and that can be judged here."""
        found = {identity: expected for expected in clauses if (identity := self._identity(expected)) is not None}
        return {identity: expected for identity, expected in found.items() if self._can(self._planned[identity])}

    def _verdicts(self, damaged: Contract, held: frozenset[Identity]) -> list[Verdict]:
        """Judge the expected clauses and all free ones; keep those that hold without the fault."""
        try:
            planned = plan(damaged)
        except ContractError as error:
            # The damaged contract cannot be planned: the gate ends with a usage error, which counts as detected.
            refused = Judgement(Status.ERROR, reason=str(error), next_step=error.next_step or "correct the contract")
            return [Verdict(identity, refused) for identity in held]
        measured = {(need.kind, need.variant) for identity in held for need in self._planned[identity].needs}
        if damaged.golden == self.contract.golden:
            same = (name for name, variant in damaged.variants.items() if variant == self.contract.variants[name])
            measured |= {(Outputs, name) for name in same}  # these are in the cache
        targets = {identity.target for identity in held}
        chosen = [each for each in planned if each.identity in held or _costs_nothing(each, measured)]
        chosen = [each for each in chosen if each.case.target in targets | {HOST} and each.identity in self._planned]
        laboratory = self.open(damaged)
        laboratory.expect(need for each in chosen for need in each.needs)
        found = [judge(each, laboratory) for each in sorted(chosen, key=lambda each: each.identity not in held)]
        laboratory.close()
        seen = {verdict.identity for verdict in found}
        found += [_gone(identity) for identity in held - seen]
        return [v for v in found if v.status.passes or self.clean(self._planned[v.identity]).status.passes]

    def _identity(self, expected: Expected) -> Identity | None:
        """The clause of the good contract; ``None`` if it demands none."""
        name = name_of(self.contract, expected.role)
        return next(
            (
                identity
                for identity in self._planned
                if (identity.variant, identity.clause, identity.target) == (name, expected.clause, expected.target)
            ),
            None,
        )

    def _can(self, planned: PlannedClause) -> bool:
        return planned.case.target == HOST or self.equipment is not None

    def _unseen(self, fault: PlantedFault) -> FaultResult:
        clauses = (*fault.expected, *fault.witnesses)
        if any(self._identity(expected) is not None for expected in clauses):
            return FaultResult(fault, Detection.LEFT_OUT, clauses, cause="only targets detect it: run with --targets")
        names = ", ".join(dict.fromkeys(expected.clause for expected in clauses))
        return FaultResult(fault, Detection.UNCOVERED, clauses, cause=f"the contract demands none of: {names}")

    def _red_already(self, demanded: Iterable[Identity]) -> str:
        first = next(iter(demanded))
        return f"{first} does not hold in the good bundle: {self._held[first].reason}"

    # ---- laboratories ------------------------------------------------------------------------------------------------

    def open(self, contract: Contract) -> Laboratory:
        """Open a laboratory for a contract, with the same cache."""
        return Laboratory(
            contract,
            self._opener,
            self.store,
            jobs=self.jobs,
            progress=self.progress,
            equipment=self.equipment(contract) if self.equipment is not None else None,
        )

    def _opener(self, contract: Contract) -> GoldenSet:
        """Open a golden set; contracts with the same set share its prepared samples."""
        shared = contract.model_dump_json(include={"golden", "classes", "preprocess", "interface"})
        if shared not in self._golden:
            self._golden[shared] = CachedGoldenSet(open_golden(contract), self._memory)
        return self._golden[shared]


def _costs_nothing(planned: PlannedClause, measured: set[tuple[type[Any], str]]) -> bool:
    """Whether a clause needs only evidence that is measured anyway, on the host."""
    if planned.case.target != HOST:
        return False
    try:
        needs = planned.needs
    except Exception:  # noqa: BLE001 - if the clause is expected, judging it reports the error
        return False
    return all(not need.baseline and _is_measured(need, measured) for need in needs)


def _is_measured(need: Need[Any], measured: set[tuple[type[Any], str]]) -> bool:
    declared = KINDS.of(need.kind)
    if declared.runs is Runs.DERIVED:
        return all(_is_measured(needed, measured) for needed in derivation_of(need.kind).inputs(need))
    # Times are taken anew for every variant, and so only where they are expected.
    return declared.cheap or (not declared.alone and (need.kind, need.variant) in measured)


def _gone(identity: Identity) -> Verdict:
    """A clause that the damaged contract no longer plans does not hold."""
    reason = f"{identity} is no longer demanded"
    return Verdict(identity, Judgement(Status.ERROR, reason=reason, next_step="compare the contract with the good one"))


def _said(judgement: Judgement) -> list[str]:
    """All sentences of a judgement that may name a cause: causes, then the reason, then the details."""
    return [*judgement.causes, judgement.reason, *judgement.details]
