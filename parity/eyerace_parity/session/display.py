"""The terminal output of a run inside pytest: header, progress and summary."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TextIO

from eyerace_parity.core.files import display_path
from eyerace_parity.core.numbers import pluralise
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.core.text import join_names
from eyerace_parity.report import github
from eyerace_parity.report.view.words import RICH, signs_for
from eyerace_parity.session import power
from eyerace_parity.session import subject as targets
from eyerace_parity.session.baseline import in_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pytest

    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.core.errors import RecipeError
    from eyerace_parity.core.progress import Progress, Task
    from eyerace_parity.record.document import Record
    from eyerace_parity.report.progress import RichProgress
    from eyerace_parity.report.view.words import StatusSigns
    from eyerace_parity.session.subject import ContractSession


_VERDICT_ONLY: Final = -2
"""Verbosity at which the table is left out (``-qq``)."""


@dataclass(slots=True)
class TerminalDisplay:
    """The terminal of a run, and the receiver of its progress (:class:`eyerace_parity.core.progress.Progress`).

    Attributes:
        config: The run's configuration.
        settings: Its options.
        worker: Whether this is an xdist worker, which writes nothing.
    """

    config: pytest.Config
    settings: Settings
    worker: bool
    _progress: Progress = field(default_factory=SilentProgress, init=False)
    _screen: TextIO | None = field(default=None, init=False)

    def open(self) -> None:
        """Set up progress: bars on a terminal, nothing otherwise. Call it while nothing captures output.

        The bars have a file descriptor of their own, so that a test's output stays captured while they move.
        """
        wanted = self.settings.progress
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if self.worker or wanted == "never" or terminal is None or (wanted == "auto" and not self._seen()):
            return
        try:
            descriptor = os.dup(sys.stdout.fileno())
        except (OSError, ValueError, AttributeError):
            return  # output goes to no real stream
        from eyerace_parity.report.progress import RichProgress  # noqa: PLC0415 - it imports rich, which a log does not need

        self._screen = os.fdopen(descriptor, "w", encoding=self._encoding(), errors="replace")
        self._progress = _Undisturbed(RichProgress(self._screen), self.config, terminal)

    def task(self, label: str, total: int | None) -> AbstractContextManager[Task]:
        """Show a piece of long work."""
        return self._progress.task(label, total)

    def header(self, subjects: Sequence[ContractSession], unjudged: Sequence[Path] = ()) -> list[str]:
        """Return header lines: what will be judged, and which options are not defaults.

        Args:
            subjects: The contracts that are judged.
            unjudged: If there are none, those that would be judged if no paths were named.
        """
        lines = [
            f"eyerace-parity: {display_path(file)} is not judged, because other paths were named; name it too "
            "to judge it"
            for file in unjudged
        ]
        for subject in subjects:
            contract = subject.contract
            lines.append(
                f"eyerace-parity: {display_path(contract.file)} ({contract.name}, {contract.digest[:19]}): "
                f"{join_names(contract.variants)}; {pluralise(len(subject.planned), 'clause')}"
            )
            lines += [f"eyerace-parity: {note}" for note in contract.notes]
            if release := in_words(subject.baseline):
                lines.append(f"eyerace-parity: {release}")
            if executed := targets.in_words(contract, subject.settings, self):
                lines.append(f"eyerace-parity: {executed}")
            if seen := power.in_words(contract, subject.planned):
                lines.append(f"eyerace-parity: {seen}")
            building = () if self.config.getoption("collectonly") else subject.to_build()
            if building:
                files = [display_path(contract.path(contract.variants[name].path)) for name in building]
                verb = "missing or stale" if self.settings.rebuild else "missing"
                lines.append(f"eyerace-parity: built before the first check, because {verb}: {join_names(files)}")
        said = [
            f"{name} = {text} ({origin})"
            for name, (text, origin) in self.settings.described().items()
            if origin != "default" and text
        ]
        if said:
            lines.append(f"eyerace-parity: {'; '.join(said)}")
        return lines

    def built(self, subject: ContractSession, name: str, result: Path | RecipeError, seconds: float) -> None:
        """Report the build of an artefact."""
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None:
            return
        file = display_path(subject.contract.path(subject.contract.variants[name].path))
        terminal.ensure_newline()
        if isinstance(result, Exception):
            terminal.write_line(f"eyerace-parity: {file} could not be built: {result}", red=True)
        else:
            terminal.write_line(f"eyerace-parity: built {file} in {seconds:.1f} s")

    @property
    def signs(self) -> StatusSigns:
        """Signs that the terminal can encode. A worker writes to no terminal; its text is encoded where it is shown."""
        return RICH if self.worker else signs_for(self._encoding())

    def show(self, terminal: pytest.TerminalReporter, record: Record, notes: Sequence[str]) -> None:
        """Show the record at the end of the run; with ``-qq`` only the verdict."""
        from eyerace_parity.report.terminal import draw, verdict_line  # noqa: PLC0415 - a run that only collects draws nothing
        from eyerace_parity.report.view.run import run_view  # noqa: PLC0415

        run = run_view(record)

        writer = self.config.get_terminal_writer()
        if self.config.getoption("verbose") <= _VERDICT_ONLY:
            for contract in run.contracts:
                terminal.write_line(verdict_line(contract, encoding=self._encoding()))
        else:
            terminal.section("parity")
            terminal.write(
                draw(run, width=writer.fullwidth, colour=writer.hasmarkup, encoding=self._encoding()), flush=True
            )
        for note in notes:
            terminal.write_line(note)
        if github.listened_to():
            for command in github.notes(run):
                terminal.write_line(command)

    def close(self) -> None:
        """Close the descriptor of the bars."""
        if self._screen is not None:
            self._screen.close()
            self._screen = None

    def _encoding(self) -> str:
        """Encoding of what the terminal writes to; pytest does not say, so its writer is asked for its file."""
        stream = getattr(self.config.get_terminal_writer(), "_file", None) or sys.__stdout__
        return getattr(stream, "encoding", None) or "ascii"

    def _seen(self) -> bool:
        """Whether the output is a terminal that can redraw a line."""
        stream = sys.__stdout__
        dumb = os.environ.get("TERM", "") in {"dumb", "unknown"} or bool(os.environ.get("CI"))
        return stream is not None and stream.isatty() and not dumb and self.config.getoption("verbose") >= 0


@dataclass(slots=True)
class _Undisturbed:
    """Starts bars on a new line: pytest may have left a line unfinished."""

    bars: RichProgress
    config: pytest.Config
    terminal: pytest.TerminalReporter

    def task(self, label: str, total: int | None) -> AbstractContextManager[Task]:
        """Open a task below pytest's output."""
        if not self.bars.live:
            capture = self.config.pluginmanager.get_plugin("capturemanager")
            with nullcontext() if capture is None else capture.global_and_fixture_disabled():
                self.terminal.ensure_newline()
                self.terminal.flush()
        return self.bars.task(label, total)
