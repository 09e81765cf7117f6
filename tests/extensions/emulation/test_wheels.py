"""The guest's wheels: chosen and checked by a real pip, without a network, from a folder of the user's own."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from eyerace_parity.core.errors import InputChanged, MeasurementError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.extensions.emulation import wheels
from eyerace_parity.extensions.emulation.home import Home
from eyerace_parity.extensions.emulation.wheels import GuestVersions, find_site, install_site, runtime_of
from tests.extensions.emulation.test_userland import find, root  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.extensions.emulation.userland import Userland

SILENT = SilentProgress()


def wheel(folder: Path, name: str, version: str, tag: str = "cp311-cp311-manylinux_2_28_aarch64") -> Path:
    """Write a tiny wheel that pip takes for a whole one."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"__version__ = {version!r}\n")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


@pytest.fixture
def userland(root: Path) -> Userland:  # noqa: F811 - a fixture
    """A userland with Python 3.11 and the C library 2.36."""
    return find(root)


@pytest.mark.parametrize(
    ("asked", "numpy", "runtime"),
    [
        ("1.32.0", "2.4.6", GuestVersions("1.32.0", "2.4.6")),
        ("1.22", "2.4.6", GuestVersions("1.22.0", "2.4.6")),
        ("1.16.3", "2.4.6", GuestVersions("1.16.3", "1.26.4")),
        ("1.18.1", "1.25.0", GuestVersions("1.18.1", "1.25.0")),
    ],
)
def test_a_runtime_is_paired_with_a_numpy_that_it_works_with(asked: str, numpy: str, runtime: GuestVersions) -> None:
    """Up to 1.18 it needs numpy 1."""
    assert runtime_of(asked, numpy) == runtime


def test_what_is_no_version_is_refused() -> None:
    """Nothing else reaches pip."""
    with pytest.raises(MeasurementError, match="no version of onnxruntime"):
        runtime_of("latest --index-url=x", "2.0.0")


def test_wheels_of_ones_own_are_unpacked(tmp_path: Path, userland: Userland) -> None:
    """Found again afterwards; the same versions with other bytes are not taken for them."""
    own, home = tmp_path / "own", Home(tmp_path / "home")
    for name, version in (("onnxruntime", "9.1.0"), ("onnxruntime", "9.2.0"), ("numpy", "2.4.6")):
        wheel(own, name, version)
    runtime = GuestVersions("9.1.0", "2.4.6")
    assert find_site(home, runtime, userland, own) is None
    with home.claim(SILENT):
        site = install_site(home, runtime, userland, SILENT, own)
    assert (site.folder / "onnxruntime" / "__init__.py").read_text() == "__version__ = '9.1.0'\n"
    assert (site.versions["onnxruntime"], site.versions["numpy"]) == ("9.1.0", "2.4.6")
    assert find_site(home, runtime, userland, own) == site
    wheel(own, "onnxruntime", "9.1.0").write_bytes(b"")
    assert find_site(home, runtime, userland, own) is None


def test_wheels_that_change_while_they_are_unpacked_are_not_kept(
    tmp_path: Path, userland: Userland, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build of one's own is written once more meanwhile: the site would bear the name of the later bytes for good."""
    own, home = tmp_path / "own", Home(tmp_path / "home")
    for name, version in (("onnxruntime", "9.1.0"), ("numpy", "2.4.6")):
        wheel(own, name, version)
    fetch, runtime = wheels._fetch, GuestVersions("9.1.0", "2.4.6")

    def fetched(package: str, *given: Any) -> Path:
        found = fetch(package, *given)
        with zipfile.ZipFile(next(own.glob("onnxruntime-*")), "a") as archive:
            archive.writestr(f"another-{package}", "")
        return found

    monkeypatch.setattr(wheels, "_fetch", fetched)
    with home.claim(SILENT), pytest.raises(InputChanged, match="changed while it was unpacked"):
        install_site(home, runtime, userland, SILENT, own)
    assert find_site(home, runtime, userland, own) is None


def test_a_numpy_of_the_same_kind_will_do(tmp_path: Path, userland: Userland) -> None:
    """It only carries the arrays, so another 2.x is taken where the guest's Python has no wheel of that very one."""
    own, home = tmp_path / "own", Home(tmp_path / "home")
    wheel(own, "onnxruntime", "9.1.0")
    wheel(own, "numpy", "2.1.0")
    with home.claim(SILENT):
        assert install_site(home, GuestVersions("9.1.0", "2.4.6"), userland, SILENT, own).versions["numpy"] == "2.1.0"


@pytest.mark.parametrize("tag", ["cp312-cp312-manylinux_2_28_aarch64", "cp311-cp311-manylinux_2_39_aarch64"])
def test_a_wheel_that_the_userland_cannot_use_is_not_taken(tmp_path: Path, userland: Userland, tag: str) -> None:
    """One for another Python, and one that needs a newer C library."""
    own, home = tmp_path / "own", Home(tmp_path / "home")
    wheel(own, "onnxruntime", "9.1.0", tag)
    wheel(own, "numpy", "2.4.6")
    with home.claim(SILENT), pytest.raises(MeasurementError, match=r"no wheel for arm64 and Python 3\.11") as told:
        install_site(home, GuestVersions("9.1.0", "2.4.6"), userland, SILENT, own)
    assert "--sysroot" in told.value.next_step
    assert home.parts() == ()


def test_a_folder_that_lacks_a_wheel_is_told(tmp_path: Path, userland: Userland) -> None:
    """Both are needed, because nothing else is fetched then."""
    wheel(tmp_path / "own", "onnxruntime", "9.1.0")
    with pytest.raises(MeasurementError, match="no aarch64 wheel of numpy"):
        find_site(Home(tmp_path / "home"), GuestVersions("9.1.0", "2.4.6"), userland, tmp_path / "own")
