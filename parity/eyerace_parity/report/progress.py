"""Progress on a terminal. A log, a pipe and a dumb terminal see nothing of it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from eyerace_parity.core.progress import SilentProgress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from rich.progress import Task as Bar
    from rich.progress import TaskID

    from eyerace_parity.core.progress import Progress

When = Literal["auto", "always", "never"]
"""``auto``: where somebody sees it."""


class _Count(ProgressColumn):
    """Steps done of all, where it is known how many there are."""

    def render(self, task: Bar) -> Text:
        """Draw the count."""
        return Text("" if task.total is None else f"{task.completed:.0f}/{task.total:.0f}")


class _Left(TimeRemainingColumn):
    """Time that is left, once enough is done to tell."""

    def render(self, task: Bar) -> Text:
        """Draw it."""
        if not task.total or task.time_remaining is None or task.finished:
            return Text("")
        left = super().render(task)
        return Text.assemble(left, " left")


class _Task:
    def __init__(self, bars: Bars, number: TaskID) -> None:
        self._bars = bars
        self._number = number

    def advance(self, n: int = 1) -> None:
        """Move the bar on."""
        self._bars.advance(self._number, n)


class RichProgress:
    """Bars that appear while there is work and leave no trace.

    Work may nest and may run in several threads; the bars are live only while a task is open, so that whoever owns the
    terminal writes undisturbed in between.

    Args:
        file: Stream to draw on.
    """

    def __init__(self, file: TextIO) -> None:
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            _Count(),
            TimeElapsedColumn(),
            _Left(),
            console=Console(file=file, force_terminal=True, highlight=False, legacy_windows=False),
            transient=True,
            refresh_per_second=5,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._open = 0

    @property
    def live(self) -> bool:
        """Whether bars are on the screen."""
        return self._open > 0

    @contextmanager
    def task(self, label: str, total: int | None) -> Iterator[_Task]:
        """Show a bar while the work lasts."""
        number = self._bars.add_task(label, total=total)
        self._open += 1
        if self._open == 1:
            self._bars.start()
        try:
            yield _Task(self._bars, number)
        finally:
            self._open -= 1
            self._bars.remove_task(number)
            if not self._open:
                self._bars.stop()


def progress_on(file: TextIO, when: When = "auto") -> Progress:
    """Choose how progress is shown on a stream."""
    if when == "always" or (when == "auto" and file.isatty()):
        return RichProgress(file)
    return SilentProgress()


def command_progress(when: When = "auto") -> Progress:
    """Choose how a command shows progress: on standard error, because its output may be a pipe."""
    return progress_on(sys.stderr, when)
