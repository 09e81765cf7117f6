"""Repeats the good gate under conditions that must not matter: no clause may break.

Each condition is a whole pytest run in its own process, with its record in a scratch folder. All runs share one cache,
except the condition with an empty one.
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

_MAX_BYTES: Final = 2 << 30
"""Largest bundle that is copied, in bytes."""

# Hidden folders may hold environments and version control of any size.
_NOT_COPIED: Final = (".*", "__pycache__", "node_modules")
# 0 and 1 are verdicts; 5 means that this condition left no clause to judge. Others mean that pytest itself failed.
_VALID_EXIT_CODES: Final = frozenset({0, 1, 5})


@dataclass(frozen=True, slots=True)
class PytestRun:
    """How one run is started.

    Attributes:
        contract: The contract's file.
        folder: Scratch folder of the run.
        arguments: Further arguments for pytest.
        environment: Further environment variables.
        around: Context that is active during the run.
    """

    contract: Path
    folder: Path
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    around: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition under which the gate must give the same verdicts.

    Attributes:
        name: What differs, in a few words.
        arrange: Prepares the run; raises :class:`FaultNotApplicable` if the condition is impossible on this machine or
            with
            this bundle.
    """

    name: str
    arrange: Callable[[Contract, Path, int], PytestRun]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The result of the gate under a condition.

    Attributes:
        condition: The condition.
        judged: Number of judged clauses.
        red: Clauses that held in the first run and not in this one, with their reasons; or why there was no run.
        left_out: Why the condition was impossible; empty if it ran.
        seconds: Duration.
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
        cache: Folder of the evidence cache that runs share.
        targets: Whether targets run, too.
    """

    contract: Contract
    cache: Path
    targets: bool = False
    _held: frozenset[str] | None = None

    def repeat(self, number: int) -> Repeat:
        """Run the gate once more; ``number`` selects the condition and is the random seed."""
        condition = CONDITIONS[number % len(CONDITIONS)]
        clock = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="eyerace-parity-selftest-") as folder:
            try:
                run = condition.arrange(self.contract, Path(folder), number)
                answers, why = self._run(run)
            except FaultNotApplicable as error:
                return Repeat(condition.name, left_out=str(error))
            finally:
                _make_writable(Path(folder))
        seconds = time.monotonic() - clock
        if self._held is None:
            self._held = frozenset(name for name, reason in answers.items() if not reason)
        red = [f"{name}: {reason}" for name, reason in answers.items() if reason and name in self._held]
        missing = [f"{name}: not judged" for name in sorted(self._held - answers.keys())]
        return Repeat(condition.name, len(answers), tuple([why] if why else [*red, *missing]), seconds=seconds)

    def _run(self, run: PytestRun) -> tuple[dict[str, str], str]:
        """Run pytest. Returns the reason of each judged clause, empty if it holds; and why there was no run."""
        record = run.folder / "record.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--eyerace-parity",
            str(run.contract),
            "-q",
            "-p",
            "no:cacheprovider",
        ]
        command += ["--eyerace-parity-record", str(record), "--rootdir", str(run.folder)]
        if not any(argument.startswith("--eyerace-parity-cache") for argument in run.arguments):
            command += ["--eyerace-parity-cache", str(self.cache)]
        if not self.targets and self.contract.targets.run:
            command += ["-k", "not arm64"]
        environment = {**os.environ, **dict(run.environment)}
        environment.pop("PYTEST_ADDOPTS", None)
        with run.around(), _process([*command, *run.arguments], run.folder, environment) as process:
            output, _ = process.communicate()
        if process.returncode not in _VALID_EXIT_CODES:
            last_lines = output.decode(errors="replace").strip().splitlines()[-3:]
            return {}, f"pytest ended with {process.returncode}: {' / '.join(last_lines)}"
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
    """A process that ends with the block at the latest."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(command, cwd=folder, env=environment, **pipes)  # type: ignore[call-overload]  # noqa: S603
    try:
        yield process
    finally:
        if process.poll() is None:
            # SIGINT first, so that pytest can end its own workers; a kill may leave them running.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


# ---- conditions ------------------------------------------------------------------------------------------------------


def _arguments(*arguments: str, **environment: str) -> Callable[[Contract, Path, int], PytestRun]:
    return lambda contract, folder, _number: PytestRun(contract.file, folder, arguments, tuple(environment.items()))


def _any_order(contract: Contract, folder: Path, number: int) -> PytestRun:
    from eyerace_parity.extensions.selftest.shuffled import SEED  # noqa: PLC0415 - imports pytest, which commands do not need

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
    return PytestRun(contract.file, folder, around=_busy_cores)


def _other_folder(contract: Contract, folder: Path, _number: int) -> PytestRun:
    return PytestRun(_copied(contract, folder / "a folder, ausgewählt für 鳩"), folder)


def _read_only(contract: Contract, folder: Path, _number: int) -> PytestRun:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        raise FaultNotApplicable("root can write to read-only files: run it as another user")
    copy = _copied(contract, folder / "bundle")
    for path in (copy.parent, *copy.parent.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return PytestRun(copy, folder)


CONDITIONS: Final = (
    Condition("as it is", _arguments()),
    Condition("a random order", _any_order),
    Condition("two workers of xdist", _workers),
    Condition("four samples a batch", _arguments("--eyerace-parity-set", "golden.batch=4")),
    Condition("two threads", _arguments("--eyerace-parity-set", "session.intra_op_threads=2")),
    Condition("one job", _arguments("--eyerace-parity-jobs", "1")),
    Condition("other work on the machine", _busy),
    Condition("the locale C", _arguments(LC_ALL="C", LANG="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")),
    Condition("another time zone", _arguments(TZ="Pacific/Kiritimati")),
    Condition("another hash seed", _arguments(PYTHONHASHSEED="1")),
    Condition("a folder with blanks and non-ASCII letters", _other_folder),
    Condition("a read-only bundle", _read_only),
    Condition("an empty cache", _empty_cache),
)
"""Every condition, in the order of the repeats."""


@contextmanager
def _busy_cores() -> Iterator[None]:
    """Keep every core busy."""
    spin = [sys.executable, "-c", "while True: sum(range(10_000))"]
    processes = [subprocess.Popen(spin) for _ in range(os.cpu_count() or 1)]  # noqa: S603 - a fixed command
    try:
        yield
    finally:
        for other in processes:
            other.kill()
            other.wait()


def _copied(contract: Contract, target: Path) -> Path:
    """Copy a bundle; returns the contract's file in the copy.

    Raises:
        FaultNotApplicable: It is too large.
    """
    size = 0
    for place, folders, files in os.walk(contract.root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        size += sum((Path(place) / name).stat().st_size for name in files)
        if size > _MAX_BYTES:
            raise FaultNotApplicable(f"the bundle's folder is larger than {_MAX_BYTES >> 30} GiB, too much to copy")
    shutil.copytree(contract.root, target, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    return target / contract.file.name


def _make_writable(folder: Path) -> None:
    """Make a scratch folder removable again."""
    for place, folders, _files in os.walk(folder):
        for name in folders:
            (Path(place) / name).chmod(0o755)
