"""The pytest plugin ``eyerace-parity``: options, and hooks that hand over at once to the session of the run.

This file is imported by every pytest run of an environment that has the package, so it imports nothing heavy: what the
gate needs is imported once ``--eyerace-parity`` is given.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from eyerace_parity.contract.options import all_options
from eyerace_parity.session import SWITCH, session_key

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from eyerace_parity.session.session import GateSession

MARKER: Final = "parity"
"""Marks a user's own test as part of the gate, and every item of a contract."""

pytest_plugins = ("eyerace_parity.session.fixtures",)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare every option of the settings' table, in one group, with its ini twin."""
    group = parser.getgroup("eyerace-parity", "eyerace-parity: judge exported models against their contract")
    group.addoption(
        SWITCH,
        action="store_true",
        default=False,
        dest="eyerace_parity",
        help="judge the contracts, and run the tests marked 'parity'; without it nothing of this plugin happens",
    )
    for option in all_options():
        group.addoption(option.flag(), **option.argument())
        words = f"{option.help} (as {option.flag()}; environment: {option.environment})"
        parser.addini(option.ini, words, type=option.ini_type, default=None)  # type: ignore[arg-type] # its own words


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; with the switch, open the contracts and take part in the run."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(contract=None): part of the parity gate, run only with {SWITCH}; "
        "'contract' names the contract that the test's fixtures speak of, relative to rootdir",
    )
    if not config.getoption("eyerace_parity") or config.getoption("help", default=False):
        return
    from eyerace_parity.core.errors import ParityError  # noqa: PLC0415 - nothing is imported without the switch
    from eyerace_parity.session.interrupts import held_back  # noqa: PLC0415

    _import_plainly(config)
    with _uncollected():
        with held_back():
            from eyerace_parity.session.opening import open_session  # noqa: PLC0415

        try:
            session = open_session(config)
        except ParityError as error:
            raise pytest.UsageError(f"eyerace-parity: {error}") from None
    config.stash[session_key] = session
    config.pluginmanager.register(Hooks(session), "eyerace-parity-session")


def _import_plainly(config: pytest.Config) -> None:
    """Take this package out of the modules whose assertions pytest rewrites: none of its assertions is a test's.

    pytest rewrites all modules of a distribution that has a plugin; loading ours through that takes twice as long.
    """
    hook = config.pluginmanager.rewrite_hook
    # Private; without them the package is imported as before.
    getattr(hook, "_must_rewrite", set()).discard(__name__.partition(".")[0])
    getattr(hook, "_marked_for_rewrite_cache", {}).clear()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from what is imported in the block, and lives as long as the process.

    It would walk over all of it each time that the heap grows by a quarter, and pytest calls it three times at the end
    of a run: a sixth of the time of a run whose evidence is all cached.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
        if not gc.get_freeze_count():  # of a second run in this process, what the first left over would stay for ever
            gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the gate's own tests, visibly, when the gate was not asked for."""
    if session_key in config.stash:
        return
    for item in items:
        if item.get_closest_marker(MARKER) is not None:
            item.add_marker(pytest.mark.skip(reason=f"part of the parity gate: run it with {SWITCH}"))


@dataclass(frozen=True, slots=True, eq=False)
class Hooks:
    """The hooks of a run with the switch. Each hands over to the session, and knows nothing itself.

    Attributes:
        session: The session of the run.
    """

    session: GateSession

    def pytest_report_header(self) -> list[str]:
        """Say what will be judged, and which values are not the defaults."""
        return self.session.header()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Set the stage; under xdist, build what is missing before a worker can look for it."""
        self.session.start()

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect a file that is one of the run's contracts."""
        return self.session.collect(file_path, parent)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Remember what was collected, before anybody leaves any of it out."""
        self.session.coverage.see(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the contracts that no path led to; where none was named, leave out what does not belong to the gate."""
        self.session.add(session, items)
        removed = self.session.choose(items)
        if removed:
            session.config.hook.pytest_deselected(items=removed)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which clauses will be judged."""
        self.session.note_selected(session.items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Build what is missing for the chosen clauses, as late as possible."""
        self.session.before_items(session)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Under xdist, take turns with the other workers: no item runs while one of them takes times."""
        with self.session.turn():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send the verdict along with the report of its item."""
        report = yield
        if call.when == "call":
            self.session.attach(item, report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the verdict that came with a report, wherever it was judged."""
        self.session.receive(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        """Let no further interrupt cost the record."""
        self.session.patience.begin()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Write the record before anybody shows it; have the last word on the exit code."""
        self.session.finish(session)
        try:
            return (yield)
        finally:
            self.session.settle(session)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the record."""
        self.session.show(terminalreporter)

    def pytest_unconfigure(self) -> None:
        """Free what the run held."""
        self.session.close()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell an xdist worker what the controller has settled."""
        node.workerinput["eyerace_parity"] = self.session.instructions()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hear from an xdist worker what it had selected."""
        self.session.hear(getattr(node, "workeroutput", {}).get("eyerace_parity"))
