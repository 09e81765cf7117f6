"""Where packages come from: the host's own archives in both forms of apt's files, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.extensions.emulation.mirrors import Archive, Distribution, archives, distribution, for_architecture

if TYPE_CHECKING:
    from pathlib import Path

BOOKWORM = Distribution("debian", "12", "bookworm")


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """An empty folder of apt's configuration."""
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_the_form_of_stanzas_is_read(etc: Path) -> None:
    """Several suites in one stanza, its key, comments, and a stanza that is switched off."""
    (etc / "sources.list.d" / "debian.sources").write_text(
        "Types: deb deb-src\n# a comment\nURIs: http://mirror.test/debian/\nSuites: bookworm bookworm-updates\n"
        "Components: main\n contrib\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\nTrusted: yes\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://off.test/debian\nSuites: bookworm\nComponents: main\n"
    )
    found = archives(BOOKWORM, etc)
    assert [(archive.uri, archive.suite) for archive in found] == [
        ("http://mirror.test/debian", "bookworm"),
        ("http://mirror.test/debian", "bookworm-updates"),
    ]
    assert found[0].components == ("main", "contrib")
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n" in found[0].stanza()
    assert "Trusted" not in found[0].stanza(), "signatures are asked for whatever the host says"


def test_the_form_of_lines_is_read(etc: Path) -> None:
    """Options in brackets, comments behind, and sources of source code."""
    (etc / "sources.list").write_text(
        "# deb http://old.test/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k/debian-archive-keyring.gpg] http://mirror.test/debian bookworm main # here\n"
        "deb-src http://mirror.test/debian bookworm main\n"
        "deb http://mirror.test/debian-security bookworm-security main contrib\n"
    )
    first, second = archives(BOOKWORM, etc)
    assert (first.uri, first.architectures) == ("http://mirror.test/debian", ("amd64",))
    assert first.fields == (("Signed-By", "/k/debian-archive-keyring.gpg"),)
    assert (second.suite, second.components) == ("bookworm-security", ("main", "contrib"))


def test_nobody_elses_archive_is_taken(etc: Path) -> None:
    """Backports, other releases, personal archives and vendors stay out."""
    key = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    (etc / "sources.list").write_text(
        f"deb {key} http://mirror.test/debian bookworm main\n"
        f"deb {key} http://mirror.test/debian bookworm-backports main\n"
        f"deb {key} http://mirror.test/debian trixie main\n"
        f"deb {key} http://mirror.test/debian stable main\n"
        "deb [signed-by=/k/vendor.gpg] http://vendor.test/debian bookworm main\n"
        "deb http://ppa.somewhere.test/x/ubuntu bookworm main\n"
        "deb http://docker.test/debian bookworm stable\n"
        "deb http://flat.test/ ./\n"
    )
    assert [archive.suite for archive in archives(BOOKWORM, etc)] == ["bookworm"]


def test_a_rolling_release_goes_by_its_alias(etc: Path) -> None:
    """A host that follows ``testing`` by name has no suite of its codename."""
    (etc / "sources.list").write_text("deb http://mirror.test/debian testing main\n")
    assert [a.suite for a in archives(Distribution("debian", "rolling", "forky"), etc)] == ["testing"]


def test_without_an_archive_the_next_step_is_told(etc: Path) -> None:
    """An apt without sources cannot fetch anything."""
    with pytest.raises(MeasurementError, match="names no archive of debian bookworm") as refused:
        archives(BOOKWORM, etc)
    assert "--sysroot" in refused.value.next_step


@pytest.mark.parametrize(
    ("uri", "ports"),
    [
        ("http://archive.ubuntu.com/ubuntu", "http://ports.ubuntu.com/ubuntu-ports"),
        ("http://de.archive.ubuntu.com/ubuntu", "http://ports.ubuntu.com/ubuntu-ports"),
        ("https://security.ubuntu.com/ubuntu", "https://ports.ubuntu.com/ubuntu-ports"),
        ("http://mirror.test/pub/ubuntu", "http://mirror.test/pub/ubuntu-ports"),
    ],
)
def test_arm64_of_ubuntu_lies_beside(uri: str, ports: str) -> None:
    """Its arm64 packages are kept apart from those of x86; the host's own architecture stays where it is."""
    found = (Archive(uri, "noble", ("main",), (), ()),)
    assert [a.uri for a in for_architecture(found, "arm64", native="amd64", identity="ubuntu")] == [ports]
    assert for_architecture(found, "amd64", native="amd64", identity="ubuntu") == found


def test_a_source_that_says_its_architecture_is_believed() -> None:
    """A host that already knows where arm64 is needs nothing derived; its x86 source is left out."""
    here = Archive("http://mirror.test/ubuntu", "noble", ("main",), ("amd64",), ())
    there = Archive("http://arm.test/u", "noble", ("main",), ("arm64",), ())
    assert for_architecture((here, there), "arm64", native="amd64", identity="ubuntu") == (there,)
    assert for_architecture((here, there), "amd64", native="amd64", identity="ubuntu") == (here,)


def test_the_distribution_is_told_by_its_family() -> None:
    """A derivative uses the archives, and the codename, of what it is derived from."""
    mint = {"ID": "linuxmint", "ID_LIKE": "ubuntu debian", "VERSION_ID": "22", "VERSION_CODENAME": "wilma"}
    assert distribution({**mint, "UBUNTU_CODENAME": "noble"}) == Distribution("ubuntu", "22", "noble")
    assert distribution({"ID": "debian", "VERSION_ID": "12", "VERSION_CODENAME": "bookworm"}) == BOOKWORM
    with pytest.raises(MeasurementError, match="neither Debian nor Ubuntu") as refused:
        distribution({"ID": "fedora", "PRETTY_NAME": "Fedora Linux"})
    assert "--sysroot" in refused.value.next_step
