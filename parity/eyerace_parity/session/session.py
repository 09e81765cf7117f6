"""One run of the gate inside pytest: the contracts it judges, their verdicts and its exit code.

The hooks in :mod:`eyerace_parity.plugin` hand over to a :class:`GateSession`. Under xdist the controller opens the
contracts, builds what is missing and keeps the record; each worker judges with a laboratory of its own and sends every
verdict, with its evidence, along with the report of its item. All laboratories share one evidence store.
"""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest

from eyerace_parity.core.errors import CHANGED_NEXT
from eyerace_parity.core.text import join_names
from eyerace_parity.extending.loading import deactivate
from eyerace_parity.record.compose import VerdictWithEvidence, compose, relative
from eyerace_parity.record.reproduce import command_of
from eyerace_parity.report.view.words import account
from eyerace_parity.session.ending import Ending
from eyerace_parity.session.exits import Ran, exit_of, runs_nothing
from eyerace_parity.session.interrupts import InterruptGuard
from eyerace_parity.session.nodes import ClauseItem, ContractFile
from eyerace_parity.session.selection import BY_ADDOPTS, DESELECTED
from eyerace_parity.session.subject import ContractSession, open_subject

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from eyerace_parity.checks.base import PlannedClause
    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.core.result import Identity
    from eyerace_parity.extending.loading import ActiveExtensions
    from eyerace_parity.record.document import Record
    from eyerace_parity.record.rows import VerdictEntry
    from eyerace_parity.session.display import TerminalDisplay
    from eyerace_parity.session.selection import Coverage
    from eyerace_parity.session.subject import LazyIsolatedWorker

ON_REPORT: Final = "eyerace_parity"
"""Attribute of a test report that carries findings, as JSON texts: they cross the worker border unchanged."""

_findings: Final = pytest.StashKey[list[VerdictWithEvidence]]()

WORKER_KEY: Final = "eyerace_parity"
"""Key of our part in what xdist's controller and workers tell each other."""


@dataclass(slots=True)
class GateSession:
    """The state of one run in one process.

    Attributes:
        config: pytest's configuration.
        settings: Options of the run.
        display: The terminal of the run.
        judged: The contracts that the run judges, by file.
        known: Further contracts, for fixtures.
        added: Contracts in ``judged`` that pytest's arguments do not collect.
        only_marked: Whether tests that are not marked ``parity`` are left out.
        worker: Whether this is an xdist worker.
        isolated_worker: Measures what could crash the process that measures.
        coverage: Which clauses are judged, and what deselected the others.
        extensions: The extensions that take part.
        only_reports: Whether the command line asks only for a report, such as ``--collect-only``.
        patience: Holds back interrupts after the first one.
    """

    config: pytest.Config
    settings: Settings
    display: TerminalDisplay
    judged: dict[Path, ContractSession]
    known: dict[Path, ContractSession]
    added: tuple[Path, ...]
    only_marked: bool
    worker: bool
    isolated_worker: LazyIsolatedWorker
    coverage: Coverage
    only_reports: bool
    extensions: ActiveExtensions
    patience: InterruptGuard = field(default_factory=InterruptGuard, init=False)
    _fallen: set[str] = field(default_factory=set, init=False)
    _withdrawn: tuple[str, ...] = field(default=(), init=False)
    _marked_ran: bool = field(default=False, init=False)
    _failed: bool = field(default=False, init=False)
    _stopped: str = field(default="", init=False)
    _record: Record | None = field(default=None, init=False)
    _notes: list[str] = field(default_factory=list, init=False)
    _started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"), init=False)
    _clock: float = field(default_factory=time.monotonic, init=False)

    # What is judged -----------------------------------------------------------------------------------------------

    def subject(self, file: Path) -> ContractSession:
        """The contract of a file.

        Raises:
            ContractError: The run does not know it and it cannot be opened.
        """
        found = self.judged.get(file) or self.known.get(file)
        if found is None:
            found = self.known[file] = open_subject(
                file, self.settings, self.display, self.isolated_worker, **shared_of(self.config)
            )
        return found

    def judge(self, item: pytest.Item, subject: ContractSession, planned: PlannedClause) -> VerdictWithEvidence:
        """Judge a clause for an item; the finding is sent with the item's report."""
        found = subject.judge(planned)
        self._heed(found)
        item.stash.setdefault(_findings, []).append(found)
        return found

    def _heed(self, found: VerdictWithEvidence) -> None:
        """Remember a verdict other than held: the run must then fail, whatever else happens."""
        row = found.verdict
        if not row.status.passes:
            self._fallen.add(f"{row.contract}: {row.identity} {row.status}")

    def account(self, row: VerdictEntry) -> str:
        """Return the full text of a verdict."""
        return account(row, self.display.signs)

    # The run, hook by hook ----------------------------------------------------------------------------------------

    def header(self) -> list[str]:
        """Lines for pytest's header."""
        lines = self.display.header(tuple(self.judged.values()), tuple(self.known) if not self.judged else ())
        if foreign := self.extensions.foreign():
            lines.append(f"eyerace-parity: extensions: {join_names(map(str, foreign))}")
        return lines

    def start(self) -> None:
        """Open the display. Before xdist's workers start, build what is missing: they must know what failed."""
        self.display.open()
        if _distributed(self.config) and not runs_nothing(self.config.option):
            self._build(None)

    def collect(self, path: Path, parent: pytest.Collector) -> ContractFile | None:
        """Collect a file if it is a judged contract that :meth:`add` does not collect."""
        return self._collector(path, parent) if path in self.judged and path not in self.added else None

    def _collector(self, path: Path, parent: pytest.Collector) -> ContractFile:
        collector: ContractFile = ContractFile.from_parent(parent, path=path)
        collector.gate = self
        return collector

    def add(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Collect the contracts that pytest's arguments do not collect, before all other items.

        They are not added to pytest's arguments: pytest may treat one argument as a part of another, and it skips
        contracts in folders that it does not recurse into.
        """
        found: list[pytest.Item] = []
        for file in self.added:
            found += session.genitems(self._collector(file, session))
        items[:0] = found

    def choose(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Keep each clause once; if no paths were named, keep only items of the gate.

        Args:
            items: What was collected; changed in place.

        Returns:
            The removed items, for pytest to count.
        """
        seen: set[tuple[Path, Identity]] = set()
        kept, removed = [], []
        for item in items:
            if isinstance(item, ClauseItem):
                # A contract that was named and lies in a folder that was named is collected twice.
                key = (item.path, item.planned.identity)
                if key in seen:
                    continue
                seen.add(key)
            elif self.only_marked and item.get_closest_marker("parity") is None:
                removed.append(item)
                continue
            kept.append(item)
        items[:] = kept
        self.coverage.note_order(items)
        return removed

    def note_selected(self, items: Sequence[pytest.Item]) -> None:
        """Record which clauses are left after all deselection."""
        clauses = [item for item in items if isinstance(item, ClauseItem)]
        self.coverage.note_selected(items, self.judged, self.config)
        for file, subject in self.judged.items():
            subject.expect(item.planned for item in clauses if item.path == file)

    def before_items(self, session: pytest.Session) -> None:
        """Build missing artefacts that the selected items need, now that they are certain to run."""
        aborted = session.testsfailed and not self.config.getoption("continue_on_collection_errors")
        if self.worker or _distributed(self.config) or runs_nothing(self.config.option) or aborted:
            return
        chosen = [item for item in session.items if isinstance(item, ClauseItem)]
        others = len(chosen) < len(session.items)
        # A test of the user's may ask for any variant.
        self._build(None if others else chosen)

    def turn(self) -> AbstractContextManager[None]:
        """The machine lock for an item. Only xdist workers need it, because other workers may be timing."""
        if not self.worker:
            return nullcontext()
        from eyerace_parity.measure.cache import EvidenceCache  # noqa: PLC0415 - a run of one process needs none for this

        return EvidenceCache(self.settings.cache).turn()

    def attach(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """In a worker, send what an item found along with its report."""
        self._marked_ran |= not isinstance(item, ClauseItem) and item.get_closest_marker("parity") is not None
        found = item.stash.get(_findings, None)
        if self.worker and found:
            report.__dict__[ON_REPORT] = [each.model_dump_json(exclude_defaults=True) for each in found]

    def receive(self, report: pytest.TestReport) -> None:
        """In the controller, keep what a worker found."""
        if self.worker:
            return
        for text in getattr(report, ON_REPORT, ()):
            found = VerdictWithEvidence.model_validate_json(text)
            self._heed(found)
            for subject in self.judged.values():
                if subject.contract.name == found.verdict.contract:
                    subject.ledger.enter(found)

    def finish(self, session: pytest.Session) -> None:
        """Write the record, or, in a worker, tell the controller what was selected and what did not hold."""
        if self.worker:
            coverage, fallen = self.coverage.to_json(), sorted(self._fallen)
            message = {"coverage": coverage, "fallen": fallen, "marked_ran": self._marked_ran}
            self.config.workeroutput[WORKER_KEY] = json.dumps(message)  # type: ignore[attr-defined]
            return
        if runs_nothing(self.config.option):
            self._explain(session)
            return
        early = str(session.shouldfail or session.shouldstop or "")
        self._stopped = early or ("interrupted" if session.exitstatus == pytest.ExitCode.INTERRUPTED else "")
        self._withdrawn = tuple(line for subject in self.judged.values() for line in subject.withdraw())
        if self.judged:
            self._keep_record()
        self._notes += [f"eyerace-parity: {line}; {CHANGED_NEXT}" for line in self._withdrawn]
        if self.config.getoption("verbose") < 0:  # then pytest shows no header, where it would stand
            self._notes += [f"eyerace-parity: {note}" for each in self.judged.values() for note in each.contract.notes]
        self._explain(session)

    def _keep_record(self) -> None:
        self._record = compose(
            [subject.ledger for subject in self.judged.values()],
            root=self.config.rootpath,
            started=self._started,
            seconds=time.monotonic() - self._clock,
            why_unjudged=self._why_unjudged,
            interrupted=self._stopped,
            settings=self.settings,
            command=command_of(self.config.invocation_params.args),
            folder=self._typed_in(),
        )
        ending = Ending(self._record, self.settings, tuple(self.judged.values()), self.config.rootpath)
        ending.bring_about()
        self._record = ending.record
        self._notes += ending.notes
        self._failed = ending.failed

    def settle(self, session: pytest.Session) -> None:
        """Set the exit code from the verdicts, whatever pytest's reports say."""
        if not self.worker:
            session.exitstatus = self._exit(int(session.exitstatus))[0]

    def _explain(self, session: pytest.Session) -> None:
        """Add a note if the exit code differs from pytest's."""
        code, reason = self._exit(int(session.exitstatus))
        if reason:
            self._notes.append(f"eyerace-parity: exit {code}: {reason}")

    def _exit(self, status: int) -> tuple[int, str]:
        """The exit code, and why it differs from pytest's."""
        if self.only_reports:
            return status, ""
        missing: dict[str, list[str]] = {}
        for subject in self.judged.values():
            for row in subject.ledger.unjudged(self._why_unjudged):
                if row.why != DESELECTED:
                    missing.setdefault(row.why, []).append(str(row.identity))
        ran = Ran(
            fallen=(*sorted(self._fallen), *self._withdrawn),
            missing=missing,
            judged=sum(len(subject.ledger.findings) for subject in self.judged.values()),
            marked=self._marked_ran,
            unkept=self._failed,
        )
        return exit_of(status, ran)

    def _typed_in(self) -> str:
        """The folder in which pytest was called, relative to the root of the run; empty for the root."""
        folder = relative(self.config.invocation_params.dir, self.config.rootpath)
        return "" if folder == "." else folder

    def show(self, terminal: pytest.TerminalReporter) -> None:
        """Show the record on the terminal."""
        if self._record is not None:
            self.display.show(terminal, self._record, self._notes)
            return
        for note in self._notes:
            terminal.write_line(note)

    def close(self) -> None:
        """Free all resources."""
        for subject in (*self.judged.values(), *self.known.values()):
            subject.close()
        self.isolated_worker.close()
        self.display.close()
        self.patience.end()
        deactivate(self.extensions)

    # xdist --------------------------------------------------------------------------------------------------------

    def instructions(self) -> str:
        """Instructions for an xdist worker: contracts, selection, and what could not be built."""
        unbuilt = {
            str(file): {name: [error.reason, error.next_step] for name, error in subject.unbuilt.items()}
            for file, subject in self.judged.items()
        }
        message = {
            "contracts": unbuilt,
            "known": [str(file) for file in self.known],
            "added": [str(file) for file in self.added],
            "only_marked": self.only_marked,
            "selections": [asdict(self.coverage.asked), asdict(self.coverage.effective)],
        }
        return json.dumps(message)

    def hear(self, message: str | None) -> None:
        """Read a worker's message: what it selected, and what did not hold."""
        if message is not None:
            received = json.loads(message)
            self.coverage.add_from(received["coverage"])
            self._fallen |= set(received["fallen"])
            self._marked_ran |= received["marked_ran"]

    # ---------------------------------------------------------------------------------------------------------------

    def _why_unjudged(self, identity: Identity) -> str:
        if runs_nothing(self.config.option):
            return BY_ADDOPTS  # where this command line says so, nobody asks
        if identity not in self.coverage.selected:
            # A worker that was stopped may not have said what it had selected.
            return "not reached" if self._stopped and not self.coverage.selected else self.coverage.why(identity)
        return "not reached" if self._stopped else "left without a verdict"

    def _build(self, chosen: Sequence[ClauseItem] | None) -> None:
        """Build what is missing for some items, or for all."""
        for file, subject in self.judged.items():
            wanted = None
            if chosen is not None:
                wanted = {name for item in chosen if item.path == file for name in _variants_of(item.planned)}
            for name in subject.to_build(wanted):
                clock = time.monotonic()
                result = subject.build(name)
                self.display.built(subject, name, result, time.monotonic() - clock)


def shared_of(config: pytest.Config) -> dict[str, Any]:
    """Folders that a release on the command line may be relative to, and how many workers share the granted jobs."""
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    return {"folders": (config.invocation_params.dir, config.rootpath), "workers": workers}


def _distributed(config: pytest.Config) -> bool:
    """Whether this process distributes its items to xdist workers."""
    return config.pluginmanager.hasplugin("dsession")


def _variants_of(planned: PlannedClause) -> set[str]:
    """The variants that a clause reads evidence of."""
    try:
        needs = planned.needs
    except Exception:  # noqa: BLE001 - judging it will say that the check is at fault
        needs = ()
    return {planned.case.name, *(name for need in needs for name in (need.variant, need.versus) if name)}
