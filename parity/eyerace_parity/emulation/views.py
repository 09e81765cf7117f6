"""A view of the userland for each processor: links to all of it, and a ``/proc/cpuinfo`` of its own.

The emulator looks for every absolute path below its ``-L`` folder first. What is not there is the host's, and the
host's ``/proc/cpuinfo`` would be read as arm64's: onnxruntime takes kernels by it that the emulated processor has not.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eyerace_parity.emulation.home import content_name

if TYPE_CHECKING:
    from eyerace_parity.emulation.home import Home
    from eyerace_parity.emulation.tiers import Tier
    from eyerace_parity.emulation.userland import Userland

PROCESSORS: Final = 8
"""As many as most phones have, and as few hosts: what a guest is told of its machine is the same everywhere."""

_LINKED: Final = ("bin", "etc", "lib", "lib64", "opt", "sbin", "usr", "var")
"""Not ``home``, ``tmp`` or ``work``: a user's own root may hold such folders, and the guest needs the host's."""


def view_of(home: Home, userland: Userland, tier: Tier) -> Path:
    """The view of a userland for a tier; made when it is first asked for.

    Raises:
        MeasurementError: It cannot be made.
    """
    told = cpuinfo(tier)
    name = content_name({"root": str(userland.root.absolute()), "userland": userland.digest, "cpuinfo": told})
    view = home.folder / "views" / name
    if view.is_dir():
        return view
    with home.told():
        view.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=view.parent))
        for top in _LINKED:
            if (userland.root / top).exists():
                (making / top).symlink_to((userland.root / top).absolute())
        (making / "proc").mkdir()
        (making / "proc" / "cpuinfo").write_text(told, encoding="ascii")
        try:
            making.rename(view)
        except OSError:
            # Another process made the same one in between.
            shutil.rmtree(making, ignore_errors=True)
            if not view.is_dir():
                raise
    return view


def cpuinfo(tier: Tier) -> str:
    """The whole ``/proc/cpuinfo`` of a tier."""
    if any(line.startswith("processor") for line in tier.cpuinfo.splitlines()):
        return tier.cpuinfo + "\n"  # a contract's own, given whole
    return "".join(f"processor\t: {number}\n{tier.cpuinfo}\n\n" for number in range(PROCESSORS))
