"""A userland of the user's own: what is taken for one, and what is not."""

from __future__ import annotations

import struct
from pathlib import Path, PurePosixPath

import pytest

from eyerace_parity.core.digests import rows_digest
from eyerace_parity.core.errors import InputChanged, MeasurementError
from eyerace_parity.extensions.emulation.home import Home
from eyerace_parity.extensions.emulation.userland import Userland, find_userland, numeric_digests, numeric_files
from eyerace_parity.measure.seals import Seal


def elf(path: Path, machine: int = 183, more: bytes = b"") -> None:
    """Write the head of a program for some processor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HH", 3, machine) + more)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one Python and a C library."""
    elf(tmp_path / "root/usr/bin/python3.11")
    elf(
        tmp_path / "root/usr/lib/aarch64-linux-gnu/libc.so.6",
        more=b"GNU C Library (Debian) stable release version 2.36.",
    )
    return tmp_path / "root"


def find(root: Path) -> Userland:
    """Look a user's own userland up."""
    found = find_userland(Home(root.parent / "home"), root)
    assert found is not None
    return found


def test_ones_own_root_is_taken(root: Path) -> None:
    """With the version of its Python and of its C library, which decide what wheels it can use."""
    userland = find(root)
    assert (userland.python, userland.python_version) == (PurePosixPath("usr/bin/python3.11"), "3.11")
    assert userland.glibc() == (2, 36)


def test_the_python_that_is_meant_is_taken(root: Path) -> None:
    """A newer one beside it does not count; without ``python3`` the newest does, 3.11 being newer than 3.9."""
    elf(root / "usr/bin/python3.9")
    elf(root / "usr/local/bin/python3.13", machine=62)  # of x86: not the guest's
    assert find(root).python_version == "3.11"
    (root / "usr/bin/python3").symlink_to("python3.9")
    assert find(root).python_version == "3.9"


def test_links_are_followed_as_the_guest_would(root: Path) -> None:
    """An absolute link in a root begins at that root, not at the host's."""
    (root / "opt").mkdir()
    (root / "usr/bin/python3.11").rename(root / "opt/python")
    (root / "usr/bin/python3.11").symlink_to("/opt/python")
    assert find(root).python_version == "3.11"


def test_another_library_is_another_userland(root: Path) -> None:
    """What could change a number changes the digest that evidence is kept under."""
    before = find(root).digest
    elf(root / "usr/lib/aarch64-linux-gnu/libm.so.6")
    assert find(root).digest != before


def test_a_root_that_changes_under_a_run_is_told(root: Path) -> None:
    """What stands in the key is hashed again when something was executed there."""
    seal = Seal(lambda: numeric_files(root).values(), lambda: rows_digest(numeric_digests(root).items()))
    assert seal.digest == find(root).digest
    seal.prove()
    python = numeric_files(root)["python"]
    python.write_bytes(python.read_bytes() + b"another")
    with pytest.raises(InputChanged, match=python.name):
        seal.prove()


def test_what_is_no_arm64_root_is_told(root: Path) -> None:
    """A folder that is not there, one without Python, one of x86, and one without the GNU C library."""
    with pytest.raises(MeasurementError, match="there is no folder"):
        find(root / "nowhere")
    (root / "usr/lib/aarch64-linux-gnu/libc.so.6").unlink()
    with pytest.raises(MeasurementError, match="no GNU C library"):
        find(root).glibc()
    elf(root / "usr/bin/python3.11", machine=62)
    with pytest.raises(MeasurementError, match="no arm64 python3"):
        find(root)


def test_without_one_there_is_none(tmp_path: Path) -> None:
    """Nothing of one's own and nothing installed."""
    assert find_userland(Home(tmp_path)) is None
