"""What is done with a record when the run is over: it is kept, drawn, told to a CI job, accepted as a release."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from eyerace_parity.core.errors import ParityError
from eyerace_parity.core.places import shown
from eyerace_parity.record.accepted_flips import gone
from eyerace_parity.record.files import write_record
from eyerace_parity.report import github
from eyerace_parity.session.release import accept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.record.document import Record
    from eyerace_parity.session.subject import Subject


@dataclass(slots=True)
class Ending:
    """The end of one run.

    Attributes:
        record: What was found.
        settings: Options of the run.
        subjects: The contracts that were judged.
        root: Folder that the record's files are relative to.
        notes: Lines for the end of the terminal.
        failed: Whether something that was asked for could not be done, which makes the run red.
    """

    record: Record
    settings: Settings
    subjects: Sequence[Subject]
    root: Path
    notes: list[str] = field(default_factory=list, init=False)
    failed: bool = field(default=False, init=False)

    def bring_about(self) -> None:
        """Do all that was asked for; what cannot be done keeps nothing else from being done."""
        troubles = dict.fromkeys(filter(None, (subject.trouble for subject in self.subjects)))
        self.notes += [f"eyerace-parity: measurements could not be kept for the next run: {told}" for told in troubles]
        self.notes += [f"eyerace-parity: {line}" for each in self.record.contracts for line in gone(self.record, each)]
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

    def _summarise(self) -> Iterable[str]:
        github.write_summary(self.record)
        return ()

    def _keep(self) -> Iterable[str]:
        write_record(self.settings.record, self.record)
        return (f"record: {shown(self.settings.record)}",)

    def _draw(self) -> Iterable[str]:
        from eyerace_parity.measure.cache import Store  # noqa: PLC0415 - most runs draw no page
        from eyerace_parity.release.chronicle import accepted_of  # noqa: PLC0415
        from eyerace_parity.report.html import write_page  # noqa: PLC0415

        if self.settings.html is None:
            return ()
        store, jobs = Store(self.settings.cache), self.settings.jobs
        write_page(self.settings.html, self.record, store, self.root, jobs=jobs, accepted=accepted_of)
        return (f"page: {shown(self.settings.html)}",)
