"""Measures system noise while times are taken: stolen time, other processes, a throttled clock.

It reads Linux counters before and after; a counter that does not exist is not reported. The numbers are those of the
whole machine as the system shows it: in a container that may be the host.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from eyerace_parity.evidence.costs import Disturbance

N = TypeVar("N", int, float)

SHORTEST: Final = 0.2
"""Seconds below which the counters, which tick a hundred times a second, tell nothing."""

_ROOT: Final = Path("/")
_BUSY: Final = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq in a line of /proc/stat
_STEAL: Final = 7


@dataclass(frozen=True, slots=True)
class _Counters:
    """The system's counters at one moment; ``None`` for those that it does not have.

    Attributes:
        clock: Wall clock in seconds.
        cores: Processors of the machine.
        busy: Seconds of work of all of them.
        steal: Seconds that the hypervisor gave to others.
        throttled: Periods in which the control group was held back.
        thermal: Times that a processor was slowed down for its heat.
    """

    clock: float
    cores: int
    busy: float | None
    steal: float | None
    throttled: int | None
    thermal: int | None


@dataclass(slots=True)
class NoiseWatch:
    """Watches the machine from its creation to :meth:`seen`.

    Args:
        root: Where ``proc`` and ``sys`` lie.
    """

    root: Path = _ROOT
    _before: _Counters = field(init=False)
    _clocks: list[float] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._before = _read(self.root)

    def look(self) -> None:
        """Read the clock of the fastest processor, which is the working one. Call it now and then."""
        speeds = [_number(path) for path in self.root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")]
        if known := [speed for speed in speeds if speed]:
            self._clocks.append(max(known) / 1000)

    def seen(self, own_cpu: float) -> Disturbance | None:
        """Return the noise since the start.

        Args:
            own_cpu: CPU seconds of the measurement itself, which do not count.

        Returns:
            What the counters say; ``None`` where the system has none or the time was too short for them.
        """
        before, after = self._before, _read(self.root)
        seconds = after.clock - before.clock
        if before.busy is None or after.busy is None or seconds < SHORTEST:
            return None
        steal = _grown(before.steal, after.steal)
        return Disturbance(
            seconds=seconds,
            cores=after.cores,
            others=max(0.0, after.busy - before.busy - own_cpu) / seconds,
            steal=None if steal is None else steal / (seconds * after.cores),
            throttled=_grown(before.throttled, after.throttled),
            thermal=_grown(before.thermal, after.thermal),
            slowest_mhz=min(self._clocks, default=None),
            fastest_mhz=max(self._clocks, default=None),
        )


def _read(root: Path) -> _Counters:
    busy = steal = None
    cores = 0
    try:
        lines = (root / "proc/stat").read_text(encoding="ascii", errors="replace").splitlines()
        cores = sum(line.startswith("cpu") and line[3:4].isdigit() for line in lines)
        total = [int(word) / os.sysconf("SC_CLK_TCK") for word in lines[0].split()[1:]]
        busy, steal = sum(total[place] for place in _BUSY), total[_STEAL]
    except (OSError, ValueError, IndexError, AttributeError):
        pass  # no Linux, or one that shows less
    heat = [_number(path) for path in root.glob("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count")]
    known = [count for count in heat if count is not None]
    return _Counters(time.monotonic(), cores or 1, busy, steal, _held_back(root), sum(known) if known else None)


def _held_back(root: Path) -> int | None:
    """Periods in which this process's control group was throttled: version 2 below its own path, 1 below ``cpu``."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        _, names, path = [*line.split(":", 2), "", ""][:3]
        if names and "cpu" not in names.split(","):
            continue
        mounts = ("cpu", "cpu,cpuacct") if names else ("", "unified")
        # Inside a container the path may be one of the host's, which is then the mount itself.
        for folder in [root / "sys/fs/cgroup" / mount / inside for mount in mounts for inside in (path.strip("/"), "")]:
            count = _entry(folder / "cpu.stat", "nr_throttled")
            if count is not None:
                return count
    return None


def _entry(path: Path, name: str) -> int | None:
    try:
        pairs = [line.split() for line in path.read_text(encoding="ascii", errors="replace").splitlines()]
        return next((int(pair[1]) for pair in pairs if pair[:1] == [name]), None)
    except (OSError, ValueError, IndexError):
        return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _grown(before: N | None, after: N | None) -> N | None:
    return None if before is None or after is None else max(after - before, type(after)(0))
