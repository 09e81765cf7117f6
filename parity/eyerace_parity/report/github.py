"""What a CI service shows beside the code: a note on the contract's own line for each clause that is not held.

GitHub reads such notes from a job's output (``::error file=…,line=…::…``) and a summary from the file that
``GITHUB_STEP_SUMMARY`` names. Both are written only where GitHub says that it listens.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import RecordError
from eyerace_parity.core.text import workflow_message, workflow_property
from eyerace_parity.report import markdown
from eyerace_parity.report.view.contract import WORST_FIRST
from eyerace_parity.report.view.words import RICH, title

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eyerace_parity.record.document import ContractEntry
    from eyerace_parity.record.rows import VerdictEntry
    from eyerace_parity.report.view.run import RunView

MOST: Final = 10
"""GitHub shows ten notes of each level a step; the last one then says how many more there are."""

SUMMARY_BYTES: Final = 1_000_000
"""GitHub takes 1 MiB of summary a step."""


def listened_to(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this runs in a GitHub job, which reads notes from the output."""
    return (os.environ if environ is None else environ).get("GITHUB_ACTIONS") == "true"


def notes(run: RunView) -> Iterator[str]:
    """One workflow command a clause that is not held, the worst first, never more than are shown."""
    found = [
        (contract.entry, line.row)
        for status in WORST_FIRST
        for contract in run.contracts
        for line in contract.lines
        if line.row.status is status
    ]
    shown = found if len(found) <= MOST else found[: MOST - 1]
    for contract, row in shown:
        yield _note(contract, row)
    if len(found) > len(shown):
        rest = f"{len(found) - len(shown)} more clauses are not held; the record and the summary name them all"
        yield f"::error title=eyerace-parity::{workflow_message(rest)}"


def _note(contract: ContractEntry, row: VerdictEntry) -> str:
    place = f"file={workflow_property(contract.file)}" + (f",line={row.line}" if row.line else "")
    causes = "".join(f"\nlikely cause: {cause}" for cause in row.causes)
    message = title(row, RICH) + causes + (f"\nnext: {row.next}" if row.next else "")
    name = workflow_property(f"{contract.name}: {row.identity}")
    return f"::error {place},title={name}::{workflow_message(message)}"


def write_summary(run: RunView, environ: Mapping[str, str] | None = None) -> Path | None:
    """Add the run to the job's summary.

    Returns:
        The file that was added to; ``None`` where no summary is kept.

    Raises:
        RecordError: The file cannot be written.
    """
    named = (os.environ if environ is None else environ).get("GITHUB_STEP_SUMMARY", "")
    if not named:
        return None
    try:
        with Path(named).open("a", encoding="utf-8") as file:
            file.write(markdown.render(run, most=SUMMARY_BYTES))
    except OSError as error:
        raise RecordError(
            f"the step's summary cannot be written: {error.strerror or error}",
            next_step="see what GITHUB_STEP_SUMMARY names",
        ) from error
    return Path(named)
