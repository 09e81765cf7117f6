"""Installs the packages of a matrix environment with pip; if pip fails, writes a note for the merged report.

    python tools/install_runtime.py build/parity/matrix/ort1.16.json PIP-ARGUMENT…

The version may not exist, or may have no wheel for this Python. Then there is no record, and pip's message is written
in its place, so that the merged table shows it. At this point only pip is installed, so this imports nothing else.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

FORMAT = "eyerace-parity absence"
"""As :mod:`eyerace_parity.extensions.matrix.document` reads it."""

_MARK = "ERROR: "


def main(arguments: list[str]) -> int:
    """Run pip, pass its messages on, and collect its errors."""
    place, *rest = arguments
    # -I: no PYTHONPATH of the caller may reach the new environment.
    command = [sys.executable, "-I", "-m", "pip", "install", "--no-compile", *rest]
    errors = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace") as pip:
        for line in pip.stderr or ():
            sys.stderr.write(line)
            if line.startswith(_MARK):
                errors.append(line.removeprefix(_MARK).strip())
    if pip.returncode:
        write_note(Path(place), errors[0] if errors else f"pip ended with {pip.returncode}")
    return pip.returncode


def write_note(place: Path, reason: str) -> None:
    """Write why there is no record, in the place of the record."""
    here = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    absence = {
        "format": FORMAT,
        "schema": 1,
        "reason": f"its environment could not be made for {here}: {reason}",
        "next": "take a Python that this version has a wheel for, or take the version out of [matrix]; "
        f"`tox run -e {place.stem}` says all of it",
    }
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(absence, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
