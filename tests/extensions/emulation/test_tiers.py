"""The tiers: data that can be trusted, and a contract's own that are refused in words."""

from __future__ import annotations

import pytest

from eyerace_parity.core.errors import ContractError
from eyerace_parity.extensions.emulation.tiers import KNOWN, own_tier, tier_named
from eyerace_parity.extensions.emulation.userland import PROCESSORS, cpuinfo


def test_there_is_one_tier_for_each_generation_of_phones() -> None:
    """The names that contracts use, with processors that are never plain ``max``."""
    assert [(tier.name, tier.cpu) for tier in KNOWN.values()] == [
        ("arm64/armv8.0", "cortex-a53"),
        ("arm64/armv8.2", "cortex-a76"),
        ("arm64/armv8.6", "max,sve=off"),
        ("x86/avx2", "Haswell"),
    ]


@pytest.mark.parametrize(("name", "dot", "i8mm"), [("8.0", False, False), ("8.2", True, False), ("8.6", True, True)])
def test_cpuinfo_promises_what_the_generation_has(name: str, dot: bool, i8mm: bool) -> None:  # noqa: FBT001
    """A feature too many kills the model, and one too few hides kernels."""
    told = cpuinfo(KNOWN[f"arm64/armv{name}"])
    features = next(line for line in told.splitlines() if line.startswith("Features")).split()
    assert ("asimddp" in features, "i8mm" in features) == (dot, i8mm)
    assert told.count("processor\t:") == told.count("CPU part") == PROCESSORS


def test_a_whole_cpuinfo_of_ones_own_is_taken_as_it_is() -> None:
    """Two kinds of core in one phone cannot be told by repeating one of them."""
    whole = "processor\t: 0\nCPU part\t: 0xd03\n\nprocessor\t: 1\nCPU part\t: 0xd09"
    assert cpuinfo(own_tier("arm64/mine", cpu="cortex-a53", cpuinfo=whole)) == whole + "\n"


@pytest.mark.parametrize(
    ("name", "cpu", "told", "words"),
    [
        ("arm64/mine", "max", "x: y", "computes onnxruntime"),
        ("arm64/mine", "max,pauth=off", "x: y", "computes onnxruntime"),
        ("arm64/mine", "cortex-a72", " ", "has no cpuinfo"),
        ("mips/mine", "24Kf", "", "names no architecture"),
        ("arm64", "cortex-a72", "x: y", "names no architecture"),
    ],
)
def test_what_would_mislead_is_refused(name: str, cpu: str, told: str, words: str) -> None:
    """Plain ``max``, an arm64 processor that reads the host's cpuinfo, and an unknown architecture."""
    with pytest.raises(ContractError, match=words) as refused:
        own_tier(name, cpu=cpu, cpuinfo=told)
    assert refused.value.next_step


def test_a_tier_is_found_by_name() -> None:
    """The contract's own comes before a known one; a near miss is told."""
    mine = own_tier("arm64/armv8.0", cpu="cortex-a72", cpuinfo="x: y")
    assert tier_named("arm64/armv8.0", {mine.name: mine}) is mine
    with pytest.raises(ContractError, match=r"did you mean 'arm64/armv8\.2'"):
        tier_named("arm64/armv82")
