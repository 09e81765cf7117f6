"""Judge a contract from a script, without pytest: the same settings, laboratory and record as a run of the gate."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyerace_parity.contract.options import all_options
from eyerace_parity.contract.settings import resolve
from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.machine import disable_telemetry
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.core.text import did_you_mean, join_names
from eyerace_parity.extending.loading import activated
from eyerace_parity.record.compose import compose
from eyerace_parity.session.subject import LazyIsolatedWorker, open_subject

if TYPE_CHECKING:
    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.record.document import Record

_OF_A_RUN = ("contract", "record", "html", "no_record", "accept", "progress", "matrix", "rebuild")
"""Options that speak of a run of pytest: its files, its terminal, what it accepts."""


def judge(contract: Path | str, *, progress: Progress | None = None, **options: Any) -> Record:
    """Judge a contract in this process, and return the record. Nothing is written but the evidence cache.

    What could take a process down is measured in a process of its own, as in a run of the gate. An artefact that is
    missing is built by its recipe. Extensions of other packages take part.

    Args:
        contract: The contract's file.
        progress: Who hears of long work; nobody by default.
        **options: Options of the gate by their names with underscores, e.g. ``jobs=2`` or
            ``set=["variants.int8.limits.quality.f1=0.9"]``. Environment, contract and defaults speak otherwise.

    Raises:
        ContractError: The contract or an option is wrong; nothing was measured.
        RecordError: The release that it names is torn.
    """
    disable_telemetry()
    settings = _settings(options)
    with activated(settings.load_extensions(foreign=True)):
        return _judged(Path(contract), settings, progress or SilentProgress())


def _settings(options: dict[str, Any]) -> Settings:
    known = [option.name for option in all_options() if option.name not in _OF_A_RUN]
    for name in options:
        if name not in known:
            near = did_you_mean(name, known)
            raise ContractError(
                f"judge() takes no option {name!r}{near}", next_step=f"give any of: {join_names(known, most=40)}"
            )
    several = {option.name for option in all_options() if option.several}
    given = {
        name: [str(each) for each in value] if name in several else "true" if value is True else str(value)
        for name, value in options.items()
        if value is not None and value is not False
    }
    return resolve(command_line=given, root=Path.cwd(), prefix="judge() ")


def _judged(file: Path, settings: Settings, progress: Progress) -> Record:
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    worker = LazyIsolatedWorker(wanted=not settings.in_process)
    session = open_subject(file, settings, progress, worker, folders=(Path.cwd(),))
    try:
        for name in session.to_build():
            session.build(name)
        session.expect(session.planned)
        for each in session.planned:
            session.judge(each)
        session.withdraw()
        return compose(
            [session.ledger],
            root=Path.cwd(),
            started=started,
            seconds=time.monotonic() - clock,
            why_unjudged=lambda _identity: "left without a verdict",
            settings=settings,
        )
    finally:
        session.close()
        worker.close()
