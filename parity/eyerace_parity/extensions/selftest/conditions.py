"""The untouched gate under other conditions, all of them legal: not one clause may turn red.

Each condition is a whole run of pytest in a process of its own, with its record in a scratch folder. Runs share one
cache, but for the condition that begins with an empty one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import ParityError
from eyerace_parity.core.result import HOST
from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable
from eyerace_parity.record.files import read_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from eyerace_parity.contract.model import Contract

_LARGEST: Final = 2 << 30
"""Bytes of a bundle that is still copied."""

_LEFT_BEHIND: Final = (".*", "__pycache__", "node_modules")
_GOOD_ENDINGS: Final = frozenset({0, 1, 5})


@dataclass(frozen=True, slots=True)
class PytestRun:
    """How one run is started.

    Attributes:
        contract: The contract's file.
        folder: Scratch folder of the run.
        arguments: Further arguments of pytest.
        environment: Further environment variables.
        around: What goes on meanwhile.
    """

    contract: Path
    folder: Path
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    around: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition under which the gate must answer as ever.

    Attributes:
        name: What is different, a few words.
        arrange: Gives the run; raises :class:`FaultNotApplicable` where this machine or bundle cannot have the
            condition.
    """

    name: str
    arrange: Callable[[Contract, Path, int], PytestRun]


@dataclass(frozen=True, slots=True)
class Repeat:
    """What became of the gate under a condition.

    Attributes:
        condition: The condition.
        judged: Clauses that were judged.
        red: Those that did not hold although they did in the first run, with their reasons; or why there was no run.
        left_out: Why the condition could not be had, or an empty text.
        seconds: How long it took.
    """

    condition: str
    judged: int = 0
    red: tuple[str, ...] = ()
    left_out: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class Repeater:
    """Repeats the gate of one contract.

    Attributes:
        contract: The contract.
        cache: Folder of the evidence store that runs share.
        targets: Whether targets are executed, too.
    """

    contract: Contract
    cache: Path
    targets: bool = False
    _held: frozenset[str] | None = None

    def repeat(self, number: int) -> Repeat:
        """Run the gate once more; ``number`` chooses the condition, and seeds what is drawn."""
        condition = CONDITIONS[number % len(CONDITIONS)]
        clock = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="eyerace-parity-selftest-") as folder:
            try:
                stage = condition.arrange(self.contract, Path(folder), number)
                answers, why = self._run(stage)
            except FaultNotApplicable as error:
                return Repeat(condition.name, left_out=str(error))
            finally:
                _writable(Path(folder))
        seconds = time.monotonic() - clock
        if self._held is None:
            self._held = frozenset(name for name, reason in answers.items() if not reason)
        red = [f"{name}: {reason}" for name, reason in answers.items() if reason and name in self._held]
        gone = [f"{name}: not judged" for name in sorted(self._held - answers.keys())]
        return Repeat(condition.name, len(answers), tuple([why] if why else [*red, *gone]), seconds=seconds)

    def _run(self, stage: PytestRun) -> tuple[dict[str, str], str]:
        """Run pytest; returns the reason of each judged clause, empty where it holds, and why there was no run."""
        record = stage.folder / "record.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--eyerace-parity",
            str(stage.contract),
            "-q",
            "-p",
            "no:cacheprovider",
        ]
        command += ["--eyerace-parity-record", str(record), "--rootdir", str(stage.folder)]
        if not any(argument.startswith("--eyerace-parity-cache") for argument in stage.arguments):
            command += ["--eyerace-parity-cache", str(self.cache)]
        if not self.targets and self.contract.targets.run:
            command += ["-k", "not arm64"]
        environment = {**os.environ, **dict(stage.environment)}
        environment.pop("PYTEST_ADDOPTS", None)
        with stage.around(), _process([*command, *stage.arguments], stage.folder, environment) as process:
            said, _ = process.communicate()
        if process.returncode not in _GOOD_ENDINGS:
            last = said.decode(errors="replace").strip().splitlines()[-3:]
            return {}, f"pytest ended with {process.returncode}: {' / '.join(last)}"
        try:
            rows = read_record(record).verdicts
        except ParityError as error:
            return {}, str(error)
        return {
            f"{row.identity}": "" if row.status.passes else row.reason
            for row in rows
            if self.targets or row.target == HOST
        }, ""


@contextmanager
def _process(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive the block, whatever ends it."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(command, cwd=folder, env=environment, **pipes)  # type: ignore[call-overload]  # noqa: S603
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


# ---- conditions ------------------------------------------------------------------------------------------------------


def _plain(contract: Contract, folder: Path, _number: int) -> PytestRun:
    return PytestRun(contract.file, folder)


def _arguments(*arguments: str) -> Callable[[Contract, Path, int], PytestRun]:
    return lambda contract, folder, _number: PytestRun(contract.file, folder, arguments)


def _environment(**values: str) -> Callable[[Contract, Path, int], PytestRun]:
    return lambda contract, folder, _number: PytestRun(contract.file, folder, environment=tuple(values.items()))


def _any_order(contract: Contract, folder: Path, number: int) -> PytestRun:
    from eyerace_parity.extensions.selftest.shuffled import SEED  # noqa: PLC0415 - a plugin of pytest

    return PytestRun(
        contract.file, folder, ("-p", "eyerace_parity.extensions.selftest.shuffled"), ((SEED, str(number)),)
    )


def _workers(contract: Contract, folder: Path, _number: int) -> PytestRun:
    if find_spec("xdist") is None:
        raise FaultNotApplicable("pytest-xdist is not installed")
    return PytestRun(contract.file, folder, ("-n", "2"))


def _empty_cache(contract: Contract, folder: Path, _number: int) -> PytestRun:
    return PytestRun(contract.file, folder, ("--eyerace-parity-cache", str(folder / "cache")))


def _busy(contract: Contract, folder: Path, _number: int) -> PytestRun:
    return PytestRun(contract.file, folder, around=_others_at_work)


def _elsewhere(contract: Contract, folder: Path, _number: int) -> PytestRun:
    return PytestRun(_copied(contract, folder / "a folder, ausgewählt für 鳩"), folder)


def _read_only(contract: Contract, folder: Path, _number: int) -> PytestRun:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        raise FaultNotApplicable("root may write everywhere: run it as another user")
    copy = _copied(contract, folder / "bundle")
    for path in (copy.parent, *copy.parent.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return PytestRun(copy, folder)


CONDITIONS: Final = (
    Condition("as it is", _plain),
    Condition("an order drawn by lot", _any_order),
    Condition("two workers of xdist", _workers),
    Condition("four samples a batch", _arguments("--eyerace-parity-set", "golden.batch=4")),
    Condition("two threads", _arguments("--eyerace-parity-set", "session.intra_op_threads=2")),
    Condition("one job", _arguments("--eyerace-parity-jobs", "1")),
    Condition("other work on the machine", _busy),
    Condition("the locale C", _environment(LC_ALL="C", LANG="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")),
    Condition("another time zone", _environment(TZ="Pacific/Kiritimati")),
    Condition("another hash seed", _environment(PYTHONHASHSEED="1")),
    Condition("a folder with blanks and other letters", _elsewhere),
    Condition("a bundle that cannot be written to", _read_only),
    Condition("an empty cache", _empty_cache),
)
"""Every condition, in the order of the repeats."""


@contextmanager
def _others_at_work() -> Iterator[None]:
    """Keep every core busy with something else."""
    spin = [sys.executable, "-c", "while True: sum(range(10_000))"]
    others = [subprocess.Popen(spin) for _ in range(os.cpu_count() or 1)]  # noqa: S603 - a loop of our own
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def _copied(contract: Contract, target: Path) -> Path:
    """Copy a bundle; returns the contract's file in the copy.

    Raises:
        Unfit: It is too large.
    """
    size = 0
    for place, folders, files in os.walk(contract.root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        size += sum((Path(place) / name).stat().st_size for name in files)
        if size > _LARGEST:
            raise FaultNotApplicable(f"the bundle's folder holds more than {_LARGEST >> 30} GiB, too much to copy")
    shutil.copytree(contract.root, target, ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
    return target / contract.file.name


def _writable(folder: Path) -> None:
    """Let a scratch folder be removed again."""
    for place, folders, _files in os.walk(folder):
        for name in folders:
            (Path(place) / name).chmod(0o755)
