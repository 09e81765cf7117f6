"""Targets that are processes of this machine: everything about a lane can be seen on them but the emulation itself."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.isolation.runtime_worker import local_command
from eyerace_parity.measure.targets.equipment import TargetCommand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OLD, NEW, X86 = "arm64/armv8.0", "arm64/armv8.2", "x86/avx2"


@dataclass(slots=True)
class Local:
    """Workers on this machine's own Python under the names of emulated processors.

    Attributes:
        commands: Another command for some of the targets.
        lacking: Targets that cannot be had.
        asked: Targets that were asked for, in order.
    """

    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)

    def toolkit(self, target: str) -> TargetCommand:
        """Say how a worker is started there."""
        self.asked.append(target)
        if target in self.lacking:
            raise MeasurementError(f"{target} is not installed", next_step="run `eyerace-parity arm64 install`")
        command = self.commands.get(target, local_command())
        identity = {"command": " ".join(command)}
        return TargetCommand(
            command,
            identity,
            counting_refused="nothing is counted here",
            processor="phone generation" if target.startswith("arm64/") else "processor",
        )

    def prove(self, target: str) -> None:
        """Nothing here is anybody's own."""

    def missing(self, targets: Sequence[str]) -> tuple[str, ...]:
        """Say what would have to be fetched."""
        return tuple(target for target in targets if target in self.lacking)


def on_two_targets(bundle: Path, *, images: int) -> Path:
    """Let a bundle's contract have both ONNX variants executed on two targets; returns the bundle."""
    path = bundle / "contract.toml"
    targets = f'\n[targets]\nrun = ["{OLD}", "{X86}"]\nvariants = ["fp32", "int8"]\nimages = {images}\n'
    path.write_text(path.read_text(encoding="utf-8") + targets, encoding="utf-8")
    return bundle


def misbehaving(folder: Path, name: str, answer: str) -> tuple[str, ...]:
    """A command whose worker answers inference as it is told.

    Args:
        folder: Where the script is put.
        name: Name of the script.
        answer: Body of ``infer(session, feeds)``; ``right`` is the true one, ``runs`` how often it was asked before.
    """
    script = folder / f"{name}.py"
    body = dedent(answer).strip().replace("\n", "\n    ")
    script.write_text(
        "import os, signal, sys, time\n"
        "from eyerace_parity.isolation import worker\n"
        "right, state = worker.infer, {'runs': 0}\n"
        "def infer(session, feeds):\n"
        "    runs = state['runs']\n"
        "    state['runs'] += 1\n"
        f"    {body}\n"
        "worker.infer = infer\n"
        "worker.main()\n",
        encoding="utf-8",
    )
    return (sys.executable, str(script))


def alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended but was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
