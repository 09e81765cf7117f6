"""One fault, planted and judged: which clauses turned red that hold without it, and whether a reason names the cause.

Judged are the clauses that are expected to turn red, and all others that need no measurement which those do not need
anyhow. So a fault of a file's header costs no inference, and what a fault does not touch comes from the store.
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
from eyerace_parity.evidence.registry import KINDS, Runs
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

ROOM: Final = 1 << 30
"""Bytes of prepared samples that are kept; what does not fit is prepared again."""


@dataclass(slots=True)
class SampleMemory:
    """Prepared samples of any golden sets, by set, profile and index.

    Attributes:
        room: Bytes that are left.
        samples: What is kept.
    """

    room: int = ROOM
    samples: dict[tuple[str, str, int], dict[str, Array]] = field(default_factory=dict)

    def keep(self, key: tuple[str, str, int], feeds: dict[str, Array]) -> None:
        """Keep a sample, if it fits."""
        size = sum(array.nbytes for array in feeds.values())
        if size <= self.room:
            self.room -= size
            for array in feeds.values():
                array.flags.writeable = False  # it will be handed out again
            self.samples[key] = feeds


class CachedGoldenSet(GoldenSetProxy):
    """A golden set that gives what it has prepared before.

    Args:
        golden: The set.
        memory: What has been prepared, shared with other sets.
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
        store: Where measurements are kept.
        jobs: Samples evaluated side by side.
        progress: Who hears of long work.
        equipment: Starts workers on targets; ``None`` where targets are left out.
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
        """Clauses that some fault has turned red."""
        return frozenset(self._reddened)

    def clean(self, planned: PlannedClause) -> Judgement:
        """Judge a clause on the untouched bundle, once."""
        identity = planned.identity
        if identity not in self._held:
            self._held[identity] = judge(planned, self.laboratory).judgement
        return self._held[identity]

    @property
    def laboratory(self) -> Laboratory:
        """Where evidence of the untouched bundle comes from."""
        if self._clean is None:
            self._clean = self.open(self.contract)
        return self._clean

    def examine(self, fault: PlantedFault) -> FaultResult:
        """Plant a fault and judge it. Never raises for what a bundle holds or a fault does."""
        clock = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="eyerace-parity-selftest-") as folder:
            try:
                damaged = fault.plant(Workshop(self.contract, Path(folder), self.progress))
                outcome = self._judge(fault, damaged)
            except FaultNotApplicable as error:
                outcome = FaultResult(fault, Detection.UNFIT, cause=str(error))
            except ParityError as error:
                outcome = FaultResult(fault, Detection.FAILED, cause=str(error))
            except Exception as error:  # noqa: BLE001 - an edit meets models of every kind; one must not cost all others
                told = f"planting it failed: {type(error).__name__}: {error}"
                outcome = FaultResult(fault, Detection.FAILED, cause=told)
        return replace(outcome, seconds=time.monotonic() - clock)

    def close(self) -> None:
        """Keep the store within its size."""
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
        """Clauses that the good contract demands, and that can be judged here."""
        found = {identity: expected for expected in clauses if (identity := self._identity(expected)) is not None}
        return {identity: expected for identity, expected in found.items() if self._can(self._planned[identity])}

    def _verdicts(self, damaged: Contract, held: frozenset[Identity]) -> list[Verdict]:
        """Judge the expected clauses, and all that cost nothing more, as far as they hold without the fault."""
        try:
            planned = plan(damaged)
        except ContractError as error:
            # The damaged contract cannot even be planned: the gate ends with a usage error, which nobody overlooks.
            refused = Judgement(Status.ERROR, reason=str(error), next_step=error.next_step or "correct the contract")
            return [Verdict(identity, refused) for identity in held]
        measured = {(need.kind, need.variant) for identity in held for need in self._planned[identity].needs}
        if damaged.golden == self.contract.golden:
            same = (name for name, variant in damaged.variants.items() if variant == self.contract.variants[name])
            measured |= {(Outputs, name) for name in same}  # they are in the store
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
        """The clause of the good contract that is meant, or ``None`` where it demands none."""
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
            return FaultResult(fault, Detection.LEFT_OUT, clauses, cause="only targets see it: run with --targets")
        names = ", ".join(dict.fromkeys(expected.clause for expected in clauses))
        return FaultResult(fault, Detection.UNCOVERED, clauses, cause=f"the contract demands none of: {names}")

    def _red_already(self, demanded: Iterable[Identity]) -> str:
        first = next(iter(demanded))
        return f"{first} does not hold in the untouched bundle: {self._held[first].reason}"

    # ---- laboratories ------------------------------------------------------------------------------------------------

    def open(self, contract: Contract) -> Laboratory:
        """Open a laboratory for a contract, over the same store."""
        return Laboratory(
            contract,
            self._opener,
            self.store,
            jobs=self.jobs,
            progress=self.progress,
            equipment=self.equipment(contract) if self.equipment is not None else None,
        )

    def _opener(self, contract: Contract) -> GoldenSet:
        """Open a golden set, and read its files once for all contracts that share it."""
        shared = contract.model_dump_json(include={"golden", "classes", "preprocess", "interface"})
        if shared not in self._golden:
            self._golden[shared] = CachedGoldenSet(open_golden(contract), self._memory)
        return self._golden[shared]


def _costs_nothing(planned: PlannedClause, measured: set[tuple[type[Any], str]]) -> bool:
    """Whether a clause needs only what is measured anyhow, on the host."""
    if planned.case.target != HOST:
        return False
    try:
        needs = planned.needs
    except Exception:  # noqa: BLE001 - judging it where it is expected will say so
        return False
    return all(not need.baseline and _is_measured(need, measured) for need in needs)


def _is_measured(need: Need[Any], measured: set[tuple[type[Any], str]]) -> bool:
    declared = KINDS.of(need.kind)
    if declared.runs is Runs.DERIVED:
        return all(_is_measured(needed, measured) for needed in derivation_of(need.kind).inputs(need))
    # Times are taken anew for every variant, and so only where they are expected.
    return declared.cheap or (not declared.alone and (need.kind, need.variant) in measured)


def _gone(identity: Identity) -> Verdict:
    """A clause that the damaged contract no longer plans is no clause that holds."""
    reason = f"{identity} is no longer demanded"
    return Verdict(identity, Judgement(Status.ERROR, reason=reason, next_step="see what the contract has become"))


def _said(judgement: Judgement) -> list[str]:
    """All sentences of a judgement that may name a cause: causes first, then the reason, then the details."""
    return [*judgement.causes, judgement.reason, *judgement.details]
