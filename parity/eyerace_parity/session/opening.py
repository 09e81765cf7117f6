"""Opens a run: resolves options, finds and plans contracts, and rejects mistakes before anything is measured."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from eyerace_parity.contract.options import all_options
from eyerace_parity.contract.settings import resolve
from eyerace_parity.core.errors import ContractError, RecipeError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.machine import disable_telemetry
from eyerace_parity.extending.loading import activate, deactivate
from eyerace_parity.report.html import require_page
from eyerace_parity.session.discovery import Discovery, discover, refuse_namesakes
from eyerace_parity.session.display import TerminalDisplay
from eyerace_parity.session.ending import refuse_acceptance, refuse_idle
from eyerace_parity.session.exits import runs_nothing
from eyerace_parity.session.selection import Coverage, ItemSelection
from eyerace_parity.session.session import WORKER_KEY, GateSession, shared_of
from eyerace_parity.session.subject import LazyIsolatedWorker, open_subject

if TYPE_CHECKING:
    import argparse

    import pytest

    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.extending.loading import ActiveExtensions


def open_session(config: pytest.Config) -> GateSession:
    """Open the session of a run.

    Raises:
        ContractError: An option or a contract is wrong, or there is none.
    """
    disable_telemetry()
    settings = _settings(config)
    extensions = settings.load_extensions(foreign=True)
    activate(extensions)
    try:
        return _opened(config, settings, extensions)
    except BaseException:
        deactivate(extensions)
        raise


def _opened(config: pytest.Config, settings: Settings, extensions: ActiveExtensions) -> GateSession:
    """Open the contracts of a run, with its extensions active."""
    instructions = getattr(config, "workerinput", {}).get(WORKER_KEY)
    typed = _typed(config)
    display = TerminalDisplay(config, settings, worker=instructions is not None)
    isolated_worker = LazyIsolatedWorker(wanted=not settings.in_process)
    unbuilt: dict[str, dict[str, list[str]]] = {}
    if instructions is None:
        _refuse_folder(settings)
        refuse_acceptance(settings, config)
        found = discover(config, settings)
        here = config.invocation_params.dir
        coverage = Coverage(
            ItemSelection.of(typed, typed.file_or_dir or (), here), ItemSelection.of(config.option, config.args, here)
        )
    else:
        received = json.loads(instructions)
        unbuilt = received["contracts"]
        coverage = Coverage(*(ItemSelection.from_json(each) for each in received["selections"]))
        known, added = (tuple(Path(file) for file in received[key]) for key in ("known", "added"))
        found = Discovery(tuple(Path(file) for file in unbuilt), known, added, received["only_marked"])
    judged, known_ones = (
        {file: open_subject(file, settings, display, isolated_worker, **shared_of(config)) for file in files}
        for files in (found.contracts, found.known)
    )
    refuse_namesakes([(subject.contract.name, file) for file, subject in judged.items()])
    refuse_idle(settings, tuple(judged.values()))
    for file, reasons in unbuilt.items():
        judged[Path(file)].unbuilt |= {
            name: RecipeError(reason, next_step=next_step) for name, (reason, next_step) in reasons.items()
        }
    return GateSession(
        config,
        settings,
        display,
        judged,
        known_ones,
        found.added,
        found.only_marked,
        worker=instructions is not None,
        isolated_worker=isolated_worker,
        coverage=coverage,
        only_reports=runs_nothing(typed),
        extensions=extensions,
    )


def _typed(config: pytest.Config) -> argparse.Namespace:
    """The options of the command line alone: pytest merges ``addopts`` into its own."""
    return config._parser.parse_known_args([os.fspath(word) for word in config.invocation_params.args])  # noqa: SLF001


def _settings(config: pytest.Config) -> Settings:
    return resolve(
        command_line={option.name: config.getoption(option.argument()["dest"]) for option in all_options()},
        ini={option.name: config.getini(option.ini) for option in all_options()},
        root=config.rootpath,
        ini_folder=config.inipath.parent if config.inipath else config.rootpath,
        folder=config.invocation_params.dir,
    )


def _refuse_folder(settings: Settings) -> None:
    """Refuse a record or a page that cannot be written, before anything is measured.

    Raises:
        ContractError: There is a folder in its place, or what draws the page is not installed.
    """
    for name, path in (("record", settings.record), ("html", settings.html)):
        if path is not None and path.is_dir():
            raise ContractError(
                f"{settings.origin(name)}: {display_path(path)} is a folder",
                next_step="name a file, e.g. build/parity/record.json",
            )
    if settings.html is not None:
        require_page()
