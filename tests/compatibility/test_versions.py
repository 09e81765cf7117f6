"""Versions as people, wheels and development builds write them."""

from __future__ import annotations

import pytest

from eyerace_parity.compatibility.versions import Version, VersionRange


@pytest.mark.parametrize("text", ["1.21", "1.21.0", " 1.21.3 ", "1.21.0.dev20250101001", "1.21.0rc1", "1.21.0+cpu"])
def test_a_patch_decides_nothing(text: str) -> None:
    """Whatever follows the minor version, it is that minor version."""
    assert Version.parse(text) == Version(1, 21)


@pytest.mark.parametrize("text", ["", "1", "newest", "1.x", "v1.21", "-1.21", "1.21 or so"])
def test_what_is_no_version_is_refused(text: str) -> None:
    """With the way to write one."""
    with pytest.raises(ValueError, match=r"write it as 1\.21"):
        Version.parse(text)


def test_versions_are_numbers_not_texts() -> None:
    """1.9 is older than 1.16, and a span holds its ends."""
    assert Version.parse("1.9") < Version.parse("1.16")
    span = VersionRange.parse("1.16-1.23")
    assert [Version(1, minor) in span for minor in (15, 16, 23, 24)] == [False, True, True, False]
    assert (str(span), str(VersionRange.parse("1.24"))) == ("1.16-1.23", "1.24")
