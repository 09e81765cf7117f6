"""The folder of installed parts: whole or not there, one install at a time, and what goes wrong is told in words."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.extensions.emulation.home import Home, run_step, trouble_at

SILENT = SilentProgress()


def make(home: Home, name: str = "one", content: str = "x") -> None:
    """Install a part of one file."""
    with home.claim(SILENT), home.making() as staging:
        (staging / "root").mkdir()
        (staging / "root" / "file").write_text(content)
        home.keep(staging, "runtime", name, {"package": "1.0"})


def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process of its own."""
    command = [sys.executable, "-c", dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(happened, seconds: float = 60.0) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def test_a_part_is_kept_whole(tmp_path: Path) -> None:
    """It has its versions, its size and its files, and nothing is left beside it."""
    home = Home(tmp_path / "home")
    make(home, content="12345")
    part = home.part("runtime", "one")
    assert part is not None
    assert (part.kind, part.name, dict(part.versions), part.bytes) == ("runtime", "one", {"package": "1.0"}, 5)
    assert (part.root / "file").read_text() == "12345"
    assert home.parts() == (part,)
    assert sorted(path.name for path in home.folder.iterdir()) == [".lock", "runtime-one"]
    assert home.size() > 5, "the manifest counts too"


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"schema": 1}', '{"schema": 99, "versions": {}, "bytes": 1}'])
def test_a_torn_part_is_no_part(tmp_path: Path, torn: str) -> None:
    """Whatever the manifest says that cannot be read; the next install takes its place."""
    home = Home(tmp_path)
    make(home)
    (tmp_path / "runtime-one" / "manifest.json").write_text(torn)
    assert home.parts() == ()
    make(home, content="again")
    assert (home.parts()[0].root / "file").read_text() == "again"


def test_a_failed_install_leaves_nothing(tmp_path: Path) -> None:
    """What was begun goes with the error."""
    home = Home(tmp_path)

    def fail() -> None:
        with home.claim(SILENT), home.making() as staging:
            (staging / "root").mkdir()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


INSTALL = """
    import sys, time
    from pathlib import Path
    from eyerace_parity.extensions.emulation.home import Home
    from eyerace_parity.core.progress import SilentProgress
    home = Home(Path(sys.argv[1]))
    with home.claim(SilentProgress()):
        if home.part("runtime", "one") is None:
            with home.making() as staging:
                (staging / "root").mkdir()
                (staging / "root" / "file").write_text("x")
                (home.folder / "begun").touch()
                while len(sys.argv) > 2 and not Path(sys.argv[2]).exists():
                    time.sleep(0.02)
                home.keep(staging, "runtime", "one", {"package": "1.0"})
            print("made")
        else:
            print("found")
"""


def test_of_two_installs_one_waits_and_finds(tmp_path: Path) -> None:
    """Two processes at once: one makes the part, the other waits for it and makes nothing."""
    home, go = tmp_path / "home", tmp_path / "go"
    first = run_python(INSTALL, home, go)
    until((home / "begun").exists)
    second = run_python(INSTALL, home, go)
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(1.0)
    go.touch()
    assert [first.communicate(timeout=60)[0].strip(), second.communicate(timeout=60)[0].strip()] == ["made", "found"]


@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9 there")
def test_an_install_that_is_killed_leaves_nothing_that_is_taken_for_whole(tmp_path: Path) -> None:
    """``kill -9`` in the middle: no part, no lock; the next install sweeps the rest away."""
    home = tmp_path / "home"
    process = run_python(INSTALL, home, tmp_path / "never")
    until((home / "begun").exists)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    left = [path.name for path in home.iterdir() if path.name.startswith("making-")]
    assert left, "the test did not kill it in the middle"
    assert Home(home).parts() == ()
    make(Home(home))
    assert [path.name for path in home.iterdir() if path.name.startswith("making-")] == []
    assert len(Home(home).parts()) == 1


def test_clean_frees_what_an_install_made_and_nothing_else(tmp_path: Path) -> None:
    """``--home`` may have been pointed at a folder with other things in it."""
    home = Home(tmp_path)
    make(home)
    (tmp_path / "views" / "a").mkdir(parents=True)
    (tmp_path / "views" / "a" / "b").write_text("123")
    (tmp_path / "my-thesis").mkdir()
    (tmp_path / "my-thesis" / "manifest.json").write_text("{}")
    before = home.size()
    assert home.clean(SILENT) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "my-thesis"]
    assert home.size() == home.clean(SILENT) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_told_as_a_sentence(tmp_path: Path) -> None:
    """A real refusal of the system, met by this process and by a command that it runs."""
    home = Home(tmp_path)

    def write() -> None:
        with home.readable_errors(), Path("/dev/full").open("w") as file:
            file.write("x" * 100_000)

    def write_elsewhere() -> None:
        run_step(("sh", "-c", "head -c 9 /dev/zero > /dev/full"), what="writing", folder=tmp_path)

    for attempt in (write, write_elsewhere):
        with pytest.raises(MeasurementError, match=r"the disk of .* is full") as told:
            attempt()
        assert "free about" in told.value.next_step


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="everything may be written by root")
def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    """With the option that chooses another."""
    tmp_path.chmod(0o500)
    with pytest.raises(MeasurementError, match="ermission denied") as told, Home(tmp_path / "home").claim(SILENT):
        pass
    assert "--home" in told.value.next_step


def test_every_refusal_of_the_file_system_has_a_next_step(tmp_path: Path) -> None:
    """A file where the folder should be, and a read-only disk."""
    (tmp_path / "file").touch()
    with pytest.raises(MeasurementError) as told, Home(tmp_path / "file").claim(SILENT):
        pass
    assert "--home" in told.value.next_step
    read_only = trouble_at(tmp_path, OSError(errno.EROFS, "Read-only file system"))
    assert "read-only file system" in read_only.reason
