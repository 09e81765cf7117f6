"""What disturbed the machine, read from counters that are files here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.measure.kinds import system_noise
from eyerace_parity.measure.kinds.system_noise import NoiseWatch

if TYPE_CHECKING:
    from pathlib import Path


def counters(root: Path, *, user: int, steal: int, throttled: int, heat: int, mhz: int) -> None:
    """Write a system of two processors."""
    files = {
        "proc/stat": f"cpu  {user} 0 0 1000 0 0 0 {steal} 0 0\ncpu0 1 0 0 0\ncpu1 1 0 0 0\nintr 5\n",
        "proc/self/cgroup": "9:cpuset:/\n1:cpu,cpuacct:/group\n0::/\n",
        "sys/fs/cgroup/cpu,cpuacct/group/cpu.stat": f"nr_periods 9\nnr_throttled {throttled}\nthrottled_time 5\n",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": f"{heat}\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": f"{mhz * 1000}\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "800000\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters of these tests need no time to tick, and tick a hundred times a second."""
    monkeypatch.setattr(system_noise, "SHORTEST", 0.0)
    monkeypatch.setattr("os.sysconf", lambda _name: 100, raising=False)


def test_all_that_is_counted_is_told(tmp_path: Path) -> None:
    """Work of others is all work less one's own; the clock is that of the fastest processor."""
    counters(tmp_path, user=1000, steal=0, throttled=4, heat=1, mhz=3000)
    watch = NoiseWatch(tmp_path)
    watch.look()
    time.sleep(0.05)
    counters(tmp_path, user=1020, steal=1, throttled=6, heat=2, mhz=1500)
    watch.look()
    seen = watch.seen(0.15)
    assert seen is not None
    assert seen.cores == 2
    assert seen.others * seen.seconds == pytest.approx(0.05)
    assert seen.steal is not None
    assert seen.steal * seen.seconds * 2 == pytest.approx(0.01)
    assert (seen.throttled, seen.thermal) == (2, 1)
    assert (seen.slowest_mhz, seen.fastest_mhz) == (1500, 3000)


def test_one_s_own_work_disturbs_nobody(tmp_path: Path) -> None:
    """More of it than the counters show, which are coarser, is not less than nothing of others."""
    counters(tmp_path, user=1000, steal=0, throttled=0, heat=0, mhz=3000)
    watch = NoiseWatch(tmp_path)
    counters(tmp_path, user=1010, steal=0, throttled=0, heat=0, mhz=3000)
    seen = watch.seen(0.2)
    assert seen is not None
    assert seen.others == 0.0


def test_where_nothing_is_counted_nothing_is_claimed(tmp_path: Path) -> None:
    """A system without these files, and one that has only the first."""
    watch = NoiseWatch(tmp_path)
    watch.look()
    assert watch.seen(0.0) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text("cpu  1 0 0 1000 0 0 0 0 0 0\ncpu0 1 0 0 0\n", encoding="ascii")
    seen = NoiseWatch(tmp_path).seen(0.0)
    assert seen is not None
    assert (seen.throttled, seen.thermal, seen.slowest_mhz) == (None, None, None)


def test_a_moment_is_too_short_for_the_counters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters that tick a hundred times a second say nothing of less."""
    monkeypatch.setattr(system_noise, "SHORTEST", 0.2)
    counters(tmp_path, user=1000, steal=0, throttled=0, heat=0, mhz=3000)
    assert NoiseWatch(tmp_path).seen(0.0) is None
