"""Which runtime a Flutter package has on board."""

from __future__ import annotations

import pytest

from eyerace_parity.compatibility.flutter import minimum_runtime, packages_with, resolve
from eyerace_parity.compatibility.versions import Version


@pytest.mark.parametrize(
    ("text", "board"),
    [
        ("flutter_onnxruntime 1.4.3", "1.21.0"),
        ("flutter_onnxruntime 1.5.0", "1.21.0"),
        ("flutter_onnxruntime 1.5.1", "1.22.0"),
        ("flutter_onnxruntime ^1.7.1", "1.22.0"),
        ("flutter_onnxruntime 1.8.0", "1.22.0 on android, 1.24.2 on ios"),
        ("flutter_onnxruntime 1.8.4", "1.23.0"),
        ("onnxruntime_v2 1.23.1", "1.22.0"),
        ("onnxruntime_v2 1.23.2+2", "1.23.2"),
        ("onnxruntime_plus 1.5.0", "1.22.0 on android"),
    ],
)
def test_releases_are_resolved_by_ranges(text: str, board: str) -> None:
    """Each release has what the last change before it brought."""
    assert resolve(text).described == board


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("flutter_onnxruntim 1.5.1", "did you mean 'flutter_onnxruntime'"),
        ("tflite 1.0.0", "known: flutter_onnxruntime"),
        ("flutter_onnxruntime", "names no release"),
        ("flutter_onnxruntime newest", "names no release"),
        ("flutter_onnxruntime 0.9.0", "known from 1.0.0 to 1.8.4"),
        ("flutter_onnxruntime 2.0.0", "min_onnxruntime"),
        ("", "unknown Flutter package"),
    ],
)
def test_what_is_not_known_is_not_guessed(text: str, told: str) -> None:
    """The message says what is known, and what to state instead."""
    with pytest.raises(ValueError, match=told):
        resolve(text)


def test_packages_are_found_by_their_runtime() -> None:
    """For the column of the merged table; a platform that differs is named."""
    assert packages_with(Version(1, 21)) == ("flutter_onnxruntime ≥ 1.0.0, < 1.5.1",)
    assert packages_with(Version(1, 24)) == ("flutter_onnxruntime 1.8.0 (ios)",)
    assert packages_with(Version(1, 30)) == ()


def test_the_oldest_demand_counts() -> None:
    """A version and a package may both be stated; of a package the older platform counts."""
    assert minimum_runtime(None, None) is None
    assert minimum_runtime("1.23.2", None) == Version(1, 23)
    assert minimum_runtime("1.23", "flutter_onnxruntime 1.8.0") == Version(1, 22)
    assert minimum_runtime("1.20", "flutter_onnxruntime 1.8.0") == Version(1, 20)
