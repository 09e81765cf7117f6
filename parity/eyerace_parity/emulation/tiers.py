"""Tiers as data: the emulated processors, one per generation of phones, and those of a contract's own."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.text import did_you_mean, join_names

if TYPE_CHECKING:
    from collections.abc import Mapping

Architecture = Literal["aarch64", "x86_64"]

_ARCHITECTURES: Final[Mapping[str, Architecture]] = {"arm64": "aarch64", "x86": "x86_64"}
"""By what the name of a target begins with."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One emulated processor.

    Attributes:
        name: Name of the target, e.g. ``arm64/armv8.0``.
        architecture: What it runs.
        cpu: The emulator's name of it.
        cpuinfo: One processor of a matching ``/proc/cpuinfo``; empty where the host's own is right (x86).
        phones: The phones meant, in one line.
    """

    name: str
    architecture: Architecture
    cpu: str
    cpuinfo: str
    phones: str


def own_tier(name: str, *, cpu: str, cpuinfo: str = "", phones: str = "") -> Tier:
    """Make a tier of a contract's own.

    Args:
        name: Name of the target; its part before the slash is the architecture.
        cpu: The emulator's name of the processor.
        cpuinfo: One processor of a matching ``/proc/cpuinfo``; needed for arm64.
        phones: The phones meant.

    Raises:
        ContractError: The architecture is unknown, the processor is plain ``max``, or ``cpuinfo`` is missing.
    """
    family, _, rest = name.partition("/")
    if family not in _ARCHITECTURES or not rest:
        raise ContractError(
            f"target {name!r} names no architecture",
            next_step=f"begin its name with {' or '.join(f'{known}/' for known in _ARCHITECTURES)}",
        )
    features = cpu.replace(" ", "").split(",")
    if features[0] == "max" and not {"sve=off", "sme=off"} & set(features):
        raise ContractError(
            f"target {name!r} asks for the processor {cpu!r}: it has SME, for which onnxruntime takes kernels that "
            "come out wrong under the emulator, so its results would say nothing about a phone",
            next_step="write max,sve=off, or the processor of a real phone such as cortex-a76",
        )
    if family == "arm64" and not cpuinfo.strip():
        raise ContractError(
            f"target {name!r} has no cpuinfo: onnxruntime would read the host's /proc/cpuinfo and take kernels "
            f"that {cpu} lacks",
            next_step="give the lines of one processor of /proc/cpuinfo from such a phone",
        )
    return Tier(name, _ARCHITECTURES[family], cpu, cpuinfo.strip(), phones)


def _known() -> Mapping[str, Tier]:
    entries = tomllib.loads(Path(__file__).with_name("tiers.toml").read_text(encoding="utf-8"))
    return MappingProxyType({name: own_tier(name, **entry) for name, entry in entries.items()})


KNOWN: Final[Mapping[str, Tier]] = _known()
"""The tiers that every contract can name, oldest phones first."""


def tier_named(name: str, own: Mapping[str, Tier] | None = None) -> Tier:
    """Look a tier up.

    Args:
        name: Name of the target.
        own: Tiers of the contract's own; they come before those known.

    Raises:
        ContractError: There is none of this name.
    """
    found = {**KNOWN, **(own or {})}
    if name not in found:
        raise ContractError(
            f"there is no target {name!r}{did_you_mean(name, found)}", next_step=f"targets: {join_names(found)}"
        )
    return found[name]
