"""The page: one file that answers what broke, by how much, and on which images. Drawn from the record alone."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from eyerace_parity.core.errors import ContractError, RecordError
from eyerace_parity.core.files import display_path, write_atomically
from eyerace_parity.record.contracts import recorded_contract
from eyerace_parity.report.view.run import run_view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.record.comparison import Comparison
    from eyerace_parity.record.document import Record
    from eyerace_parity.release.history import AcceptedRelease

    AcceptedReleases = Callable[[Contract], Sequence[AcceptedRelease]]


def require_page() -> None:
    """Refuse to promise a page where what draws it is not installed.

    Raises:
        ContractError: It is not.
    """
    missing = [name for name in ("altair", "vl_convert", "jinja2") if importlib.util.find_spec(name) is None]
    if missing:
        raise ContractError(
            f"an HTML page needs {', '.join(missing)}, which is not installed",
            next_step='python -m pip install "eyerace-parity[html]"',
        )


def write_page(
    path: Path, record: Record, root: Path, *, jobs: int = 2, accepted: AcceptedReleases | None = None
) -> None:
    """Draw a record as one HTML file that asks nothing of any network.

    Args:
        path: The file; its folder is made.
        record: The record.
        root: Folder that its files are relative to: photographs are shown where they are still there.
        jobs: Threads that decode photographs.
        accepted: Tells of a contract what was ever accepted; nothing is shown of it where it is ``None``.

    Raises:
        ContractError: What draws it is not installed.
        RecordError: The file cannot be written.
    """
    require_page()
    from eyerace_parity.report.html.material import photographs_of  # noqa: PLC0415 - only where a page can be drawn
    from eyerace_parity.report.html.page import render  # noqa: PLC0415

    contracts = {entry.name: recorded_contract(entry, root) for entry in record.contracts}
    known = {name: accepted(contract) for name, contract in contracts.items() if accepted and contract is not None}
    run = run_view(record, known)
    photographs = [photographs_of(contracts[view.entry.name], view.golden) for view in run.contracts]
    write_page_text(path, render(run, photographs, jobs=jobs))


def write_comparison_page(path: Path, found: Comparison) -> None:
    """Draw two records side by side; raises as :func:`write_page`."""
    require_page()
    from eyerace_parity.report.html.others import render_comparison  # noqa: PLC0415 - as above

    write_page_text(path, render_comparison(found))


def write_page_text(path: Path, text: str) -> None:
    """Write a page whole or not at all.

    Raises:
        RecordError: It cannot be written.
    """
    try:
        write_atomically(path, text)
    except OSError as error:
        raise RecordError(
            f"the page cannot be written to {display_path(path)}: {error.strerror or error}",
            next_step="name another place for the page",
        ) from error
