"""The emulated processors as data: one tier per generation of phones, and those that a contract defines."""

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

ARCHITECTURES: Final[Mapping[str, Architecture]] = {"arm64": "aarch64", "x86": "x86_64"}
"""Architecture by the first part of a target's name."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One emulated processor.

    Attributes:
        name: Name of the target, e.g. ``arm64/armv8.0``.
        architecture: Its instruction set.
        cpu: QEMU's name for it.
        cpuinfo: One processor of a matching ``/proc/cpuinfo``; empty if the host's own fits (x86).
        phones: The phones it stands for, in one line.
    """

    name: str
    architecture: Architecture
    cpu: str
    cpuinfo: str
    phones: str


def own_tier(name: str, *, cpu: str, cpuinfo: str = "", phones: str = "") -> Tier:
    """Define a tier for a contract.

    Args:
        name: Name of the target; the part before the slash is the architecture.
        cpu: QEMU's name for the processor.
        cpuinfo: One processor of a matching ``/proc/cpuinfo``; required for arm64.
        phones: The phones it stands for.

    Raises:
        ContractError: The architecture is unknown, the processor is plain ``max``, or ``cpuinfo`` is missing.
    """
    prefix, _, rest = name.partition("/")
    if prefix not in ARCHITECTURES or not rest:
        raise ContractError(
            f"target {name!r} names no architecture",
            next_step=f"start its name with {' or '.join(f'{known}/' for known in ARCHITECTURES)}",
        )
    features = cpu.replace(" ", "").split(",")
    # On qemu 7.2 the SME instruction SMOPA gives wrong results in three quarters of the elements (measured; right from
    # 10.0 on). onnxruntime uses it through KleidiAI. mlas.disable_kleidiai=1 avoids it, but then another kernel than
    # the phone's is tested.
    if features[0] == "max" and not {"sve=off", "sme=off"} & set(features):
        raise ContractError(
            f"target {name!r} names the processor {cpu!r}: it has SME, and the emulator computes onnxruntime's SME "
            "kernels wrong, so the results would differ from a phone's",
            next_step="write max,sve=off, or the processor of a real phone such as cortex-a76",
        )
    # QEMU passes the host's /proc/cpuinfo through. onnxruntime 1.28 and newer then crash on import, and with the
    # cpuinfo of a newer processor the quantised model dies of SIGILL (measured).
    if prefix == "arm64" and not cpuinfo.strip():
        raise ContractError(
            f"target {name!r} has no cpuinfo: onnxruntime would read the host's /proc/cpuinfo and use kernels "
            f"that {cpu} lacks",
            next_step="add the lines of one processor of /proc/cpuinfo from such a phone",
        )
    return Tier(name, ARCHITECTURES[prefix], cpu, cpuinfo.strip(), phones)


def _load() -> Mapping[str, Tier]:
    entries = tomllib.loads(Path(__file__).with_name("tiers.toml").read_text(encoding="utf-8"))
    return MappingProxyType({name: own_tier(name, **entry) for name, entry in entries.items()})


KNOWN: Final[Mapping[str, Tier]] = _load()
"""The tiers that every contract can name, oldest phones first."""


def tier_named(name: str, own: Mapping[str, Tier] | None = None) -> Tier:
    """Look up a tier.

    Args:
        name: Name of the target.
        own: Tiers that the contract defines; they take precedence.

    Raises:
        ContractError: There is no tier of this name.
    """
    tiers = {**KNOWN, **(own or {})}
    if name not in tiers:
        raise ContractError(
            f"there is no target {name!r}{did_you_mean(name, tiers)}", next_step=f"targets: {join_names(tiers)}"
        )
    return tiers[name]
