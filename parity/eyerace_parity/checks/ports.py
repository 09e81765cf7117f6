"""Comparing inputs and outputs: what a contract states, what an artefact declares, what a variant answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyerace_parity.core.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.contract.data import Port
    from eyerace_parity.evidence.artefacts import PortFact
    from eyerace_parity.evidence.base import Array


def spelled(port: Port | PortFact) -> str:
    """Write a port as ``pixel_values float32 [batch, 3, 224, 224]``."""
    axes = "[…]" if port.shape is None else f"[{', '.join(str(axis) for axis in port.shape)}]"
    return f"{port.name} {port.dtype} {axes}"


def faults_of_ports(wanted: Sequence[Port], found: Sequence[PortFact]) -> list[str]:
    """Say how declared ports differ from the contract's.

    An axis that the contract names must be dynamic in the artefact, and one that it fixes must be fixed there. What a
    dynamic axis is called in the artefact does not matter: no app sees it.
    """
    by_name = {port.name: port for port in found}
    faults = _names([port.name for port in wanted], list(by_name))
    for port in wanted:
        if (other := by_name.get(port.name)) is not None:
            faults += _faults_of_port(port, other)
    return faults


def faults_of_answers(wanted: Sequence[Port], arrays: Mapping[str, Array]) -> list[str]:
    """Say how answers, samples on their first axis, differ from the contract's outputs."""
    faults = _names([port.name for port in wanted], list(arrays))
    for port in wanted:
        array = arrays.get(port.name)
        if array is None:
            continue
        if array.dtype.name != port.dtype:
            faults.append(f"{port.name} is {array.dtype.name}, not {port.dtype}")
        extents, axes = array.shape[1:], port.shape[1:]
        if len(extents) != len(axes):
            faults.append(f"{port.name} has {len(extents)} axes a sample, not {len(axes)}")
            continue
        faults += [
            f"{port.name}: axis {number} has {extent}, not {axis}"
            for number, (extent, axis) in enumerate(zip(extents, axes, strict=True), start=1)
            if isinstance(axis, int) and extent != axis
        ]
    return faults


def _names(wanted: Sequence[str], found: Sequence[str]) -> list[str]:
    missing = [f"{name} is missing{did_you_mean(name, found)}" for name in wanted if name not in found]
    return missing + [f"{name} is not in the contract" for name in found if name not in wanted]


def _faults_of_port(wanted: Port, found: PortFact) -> list[str]:
    faults = [] if found.dtype == wanted.dtype else [f"{wanted.name} is {found.dtype}, not {wanted.dtype}"]
    if found.shape is None:
        return [*faults, f"{wanted.name} declares no shape"]
    if len(found.shape) != len(wanted.shape):
        return [*faults, f"{wanted.name} has {len(found.shape)} axes, not {len(wanted.shape)}"]
    for number, (axis, other) in enumerate(zip(wanted.shape, found.shape, strict=True)):
        if isinstance(axis, str) and isinstance(other, int):
            faults.append(f"{wanted.name}: axis {number} ({axis}) is fixed at {other}, but must be dynamic")
        elif isinstance(axis, int) and isinstance(other, str):
            faults.append(f"{wanted.name}: axis {number} is dynamic ({other}), but must be {axis}")
        elif isinstance(axis, int) and axis != other:
            faults.append(f"{wanted.name}: axis {number} has {other}, not {axis}")
    return faults


def differences_of_ports(ours: Sequence[PortFact], theirs: Sequence[PortFact]) -> list[str]:
    """Say how the ports of two artefacts differ; names of dynamic axes do not count."""
    others = {port.name: port for port in theirs}
    mine = {port.name: port for port in ours}
    faults = [f"{name} is only in the reference" for name in others if name not in mine]
    for name, port in mine.items():
        other = others.get(name)
        if other is None:
            faults.append(f"{name} is not in the reference")
        elif port.dtype != other.dtype or _extents(port) != _extents(other):
            faults.append(f"{spelled(port)}, but {spelled(other)} in the reference")
    return faults


def _extents(port: PortFact) -> tuple[int | None, ...] | None:
    return None if port.shape is None else tuple(axis if isinstance(axis, int) else None for axis in port.shape)
