"""What is done with a record when the run is over: written, drawn, reported to a CI job, accepted as a release."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import ContractError, ParityError, RecordError
from eyerace_parity.core.files import display_path
from eyerace_parity.record.accepted_flips import stale_entries
from eyerace_parity.record.files import write_record
from eyerace_parity.release import files
from eyerace_parity.report import github
from eyerace_parity.session.baseline import compares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import pytest

    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.measure.laboratory import Laboratory
    from eyerace_parity.record.document import Record
    from eyerace_parity.session.subject import ContractSession


@dataclass(slots=True)
class Ending:
    """The actions at the end of a run.

    Attributes:
        record: What was found.
        settings: Options of the run.
        subjects: The contracts that were judged.
        root: Folder that the record's files are relative to.
        notes: Lines for the end of the terminal.
        failed: Whether a requested action failed; the run then fails.
    """

    record: Record
    settings: Settings
    subjects: Sequence[ContractSession]
    root: Path
    notes: list[str] = field(default_factory=list, init=False)
    failed: bool = field(default=False, init=False)

    def bring_about(self) -> None:
        """Do everything that was requested. A failed action does not prevent the others."""
        if not self.settings.no_record or self.settings.html is not None:
            self._derive()
        troubles = dict.fromkeys(filter(None, (subject.trouble for subject in self.subjects)))
        self.notes += [
            f"eyerace-parity: measurements could not be kept for the next run: {reason}" for reason in troubles
        ]
        self.notes += [
            f"eyerace-parity: {line}" for each in self.record.contracts for line in stale_entries(self.record, each)
        ]
        if github.listened_to():
            # A summary that cannot be written is no reason for a red gate.
            self._try(self._summarise, red=False)
        if self.settings.accept:
            for subject in self.subjects:
                begins = f"nothing was accepted of {subject.contract.name}: "
                self._try(partial(accept, subject, self.record, subject.laboratory), begins)
        if not self.settings.no_record:
            self._try(self._keep)
        if self.settings.html is not None:
            self._try(self._draw)

    def _try(self, work: Callable[[], Iterable[str]], begins: str = "", *, red: bool = True) -> None:
        try:
            self.notes += work()
        except ParityError as error:
            self.notes.append(f"eyerace-parity: {begins}{error}")
            self.failed |= red

    def _derive(self) -> None:
        """Add derived evidence for reports to the record."""
        from eyerace_parity.measure.cache import EvidenceCache  # noqa: PLC0415 - a collecting run derives nothing
        from eyerace_parity.record.summaries import with_summaries  # noqa: PLC0415

        contracts = {subject.contract.name: subject.contract for subject in self.subjects}
        self.record = with_summaries(self.record, contracts, EvidenceCache(self.settings.cache))

    def _summarise(self) -> Iterable[str]:
        from eyerace_parity.report.view.run import run_view  # noqa: PLC0415 - only in a GitHub job

        github.write_summary(run_view(self.record))
        return ()

    def _keep(self) -> Iterable[str]:
        write_record(self.settings.record, self.record)
        return (f"record: {display_path(self.settings.record)}",)

    def _draw(self) -> Iterable[str]:
        from eyerace_parity.release.history import accepted_of  # noqa: PLC0415 - most runs draw no page
        from eyerace_parity.report.html import write_page  # noqa: PLC0415

        if self.settings.html is None:
            return ()
        write_page(self.settings.html, self.record, self.root, jobs=self.settings.jobs, accepted=accepted_of)
        return (f"page: {display_path(self.settings.html)}",)


_NO: Final = {"", "0", "false", "no", "off"}
"""Values of the variable ``CI`` that mean no."""


def refuse_acceptance(settings: Settings, config: pytest.Config) -> None:
    """Refuse to accept a release in CI, or in a run that is distributed or partial.

    Raises:
        ContractError: It is refused.
    """
    if not settings.accept:
        return
    origin = settings.origin("accept")
    files.check_name(settings.accept, origin)
    if os.environ.get("CI", "").strip().casefold() not in _NO:
        raise ContractError(
            f"{origin}: a release is not accepted in continuous integration",
            next_step="accept it on your own machine, look at what changed, and commit the release's folder",
        )
    distributed = config.getoption("dist", "no") != "no" or config.getoption("tx", None)
    if distributed or hasattr(config, "workerinput"):
        raise ContractError(
            f"{origin}: a release is not accepted from a run that xdist distributes", next_step="run without -n"
        )
    if settings.added.get("matrix"):
        raise ContractError(
            f"{origin}: one runtime of the matrix is no whole run", next_step="run without --eyerace-parity-matrix"
        )


def refuse_idle(settings: Settings, subjects: Sequence[ContractSession]) -> None:
    """Refuse a baseline that no clause uses: the passing run would look like a comparison.

    Raises:
        ContractError: No contract of the run demands anything of it.
    """
    if settings.baseline and subjects and not any(compares(subject.planned) for subject in subjects):
        raise ContractError(
            f"{settings.origin('baseline')}: no contract of this run demands anything of a release",
            next_step="state limits in [limits.release], e.g. f1_drop; `eyerace-parity clauses` lists all",
        )


def accept(subject: ContractSession, record: Record, laboratory: Laboratory) -> list[str]:
    """Accept the results of a run as a release, and describe what changes.

    The verdicts of the run stay what they are: it compared with what was accepted before.

    Returns:
        Lines for the user.

    Raises:
        RecordError: The run cannot be accepted, or the release cannot be written.
    """
    from eyerace_parity.evidence.answers import GoldenFacts  # noqa: PLC0415 - only where something is accepted
    from eyerace_parity.evidence.base import Need  # noqa: PLC0415
    from eyerace_parity.release.history import changes  # noqa: PLC0415
    from eyerace_parity.release.save import acceptance, make  # noqa: PLC0415

    contract, name = subject.contract, subject.settings.accept
    folder = files.folder_of(contract, name)
    before = files.read(folder) if (folder / files.RELEASE).is_file() else None
    made = make(record, contract, subject.store, name, before.release if before else None)
    against = before or (subject.baseline if isinstance(subject.baseline, files.Stored) else None)
    try:
        golden = laboratory.obtain(Need(GoldenFacts)) if made.answers else None
    except ParityError as error:
        raise RecordError(error.reason, next_step=error.next_step) from error
    files.write(made, acceptance(made, contract, record, subject.store))
    again = " again, unchanged" if before is not None and before.release.digest == made.release.digest else ""
    lines = [f"eyerace-parity: accepted as release {name}{again}: {display_path(folder)} ({made.release.digest[:19]})"]
    if against is not None:
        lines.append(f"  changed since release {against.release.name} ({against.release.digest[:19]}):")
        lines += [f"    {line}" for line in changes(against, made, golden)]
    lines.append("  the verdicts above compared with what was accepted before; commit the folder, then run again")
    return lines
