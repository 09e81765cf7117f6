"""The fingerprint of the processor."""

from __future__ import annotations

import platform
import re
from importlib import metadata

from eyerace_parity.core.machine import fingerprint, installed_version, load_average


def test_the_fingerprint_tells_the_processor_and_no_name() -> None:
    """Architecture, the telling instruction set, a digest; the same every time, and nobody's machine."""
    told = fingerprint()
    assert re.fullmatch(r"[a-z0-9_-]+( [a-z0-9-]+)? [0-9a-f]{8}", told)
    assert fingerprint() == told
    assert platform.node() not in told


def test_the_load_is_a_number_or_unknown() -> None:
    """Where the system has a load average it is not negative."""
    load = load_average()
    assert load is None or load >= 0


def test_versions_are_those_that_the_metadata_states() -> None:
    """They are read without parsing all of it."""
    for name in ("numpy", "onnxruntime", "pytest", "pydantic"):
        assert installed_version(name) == metadata.version(name)
