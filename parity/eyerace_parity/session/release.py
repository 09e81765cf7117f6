"""Accepting what a run found as a release, after everything was measured."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import ContractError, ParityError, RecordError
from eyerace_parity.core.places import shown
from eyerace_parity.release import files
from eyerace_parity.session.baseline import compares

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.measure.laboratory import Laboratory
    from eyerace_parity.record.document import Record
    from eyerace_parity.session.subject import Subject

_NO: Final = {"", "0", "false", "no", "off"}
"""What the variable ``CI`` says on a machine that is none."""


def refuse_acceptance(settings: Settings, config: pytest.Config) -> None:
    """Refuse to accept a release where nobody looks at it, or where no single process sees the whole run.

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
    if settings.matrix:
        raise ContractError(
            f"{origin}: one runtime of the matrix is no whole run", next_step="run without --eyerace-parity-matrix"
        )


def refuse_idle(settings: Settings, subjects: Sequence[Subject]) -> None:
    """Refuse a release that nothing is compared with: a green run must not pass for one that compared.

    Raises:
        ContractError: No contract of the run demands anything of it.
    """
    if settings.baseline and subjects and not any(compares(subject.planned) for subject in subjects):
        raise ContractError(
            f"{settings.origin('baseline')}: no contract of this run demands anything of a release",
            next_step="state limits in [limits.release], e.g. f1_drop; `eyerace-parity clauses` lists all",
        )


def accept(subject: Subject, record: Record, laboratory: Laboratory) -> list[str]:
    """Accept what a run found as a release, and tell what that changes.

    The verdicts of the run stay what they are: it compared with what was accepted before.

    Returns:
        Lines for the user.

    Raises:
        RecordError: The run cannot be accepted, or the release cannot be written.
    """
    from eyerace_parity.evidence.answers import Golden  # noqa: PLC0415 - only where something is accepted
    from eyerace_parity.evidence.base import Need  # noqa: PLC0415
    from eyerace_parity.release.history import changes  # noqa: PLC0415
    from eyerace_parity.release.save import acceptance, make  # noqa: PLC0415

    contract, name = subject.contract, subject.settings.accept
    folder = files.folder_of(contract, name)
    before = files.read(folder) if (folder / files.RELEASE).is_file() else None
    made = make(record, contract, subject.store, name, before.release if before else None)
    against = before or (subject.baseline if isinstance(subject.baseline, files.Stored) else None)
    try:
        golden = laboratory.obtain(Need(Golden)) if made.answers else None
    except ParityError as error:
        raise RecordError(error.reason, next_step=error.next_step) from error
    files.write(made, acceptance(made, contract, record, subject.store))
    again = " again, unchanged" if before is not None and before.release.digest == made.release.digest else ""
    lines = [f"eyerace-parity: accepted as release {name}{again}: {shown(folder)} ({made.release.digest[:19]})"]
    if against is not None:
        lines.append(f"  changed since release {against.release.name} ({against.release.digest[:19]}):")
        lines += [f"    {line}" for line in changes(against, made, golden)]
    lines.append("  the verdicts above compared with what was accepted before; commit the folder, then run again")
    return lines
