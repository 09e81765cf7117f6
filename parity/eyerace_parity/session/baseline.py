"""The accepted release that a run compares with: found before anything is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.core.files import display_path
from eyerace_parity.release import files
from eyerace_parity.release.source import MissingBaseline, ReleaseBaseline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from eyerace_parity.checks.base import PlannedClause
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.evidence.source import Baseline
    from eyerace_parity.measure.laboratory import Laboratory


def stored_baseline(
    contract: Contract, planned: Sequence[PlannedClause], settings: Settings, folders: Sequence[Path]
) -> files.Stored | str:
    """Find the release that a contract is judged against.

    Args:
        contract: The contract.
        planned: All that it demands.
        settings: Options of the run.
        folders: What a path on the command line may be relative to.

    Returns:
        The release; or the name of one that is not there yet; or an empty text where none is named or none is needed.

    Raises:
        ContractError: The run names a release that is not there.
        RecordError: It is torn, or something else.
    """
    wanted = settings.baseline or contract.release.baseline or ""
    if not wanted or not compares(planned):
        return ""
    folder = files.find(contract, wanted, *folders)
    if folder is not None:
        return files.read(folder)
    if settings.baseline and settings.baseline != settings.accept:
        raise files.refuse_unknown(contract, wanted, settings.origin("baseline"))
    return wanted


def in_words(stored: files.Stored | str) -> str:
    """Say what a candidate is compared with; an empty text where it is with nothing."""
    if isinstance(stored, str):
        return f"compared with release {stored}, which is not there yet" if stored else ""
    return (
        f"compared with release {stored.release.name} ({stored.release.digest[:19]}) in {display_path(stored.folder)}"
    )


def compares(planned: Sequence[PlannedClause]) -> bool:
    """Whether anything is demanded of how a candidate stands to a release."""
    try:
        return any(need.baseline for each in planned for need in each.needs)
    except Exception:  # noqa: BLE001 - judging reports a faulty check
        return True


def source_of(
    stored: files.Stored | str, contract: Contract, laboratory: Callable[[Contract], Laboratory]
) -> Baseline | None:
    """The release as a source of evidence; ``None`` where none is named.

    Args:
        stored: The release, or its name.
        contract: The candidate's contract.
        laboratory: Opens what measures for a contract that names the release's artefact beside the candidate.
    """
    if isinstance(stored, str):
        return MissingBaseline(stored) if stored else None
    return ReleaseBaseline(stored, contract, lambda both, need: laboratory(both).obtain(need))
