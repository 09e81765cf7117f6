"""Installs what an environment of the matrix needs, as pip does, and leaves word for the merged report where it cannot.

    python tools/install_runtime.py build/parity/matrix/ort1.16.json PIP-ARGUMENT…

The version may not exist, or have no wheel for this Python. Then there will be no record, and what pip said stands in
its place, so that whoever reads the merged table need not look for it in a log. Nothing is installed yet but pip.
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
    """Run pip, hand on what it says, and note its errors."""
    place, *rest = arguments
    command = [sys.executable, "-I", "-m", "pip", "install", "--no-compile", *rest]
    errors = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace") as pip:
        for line in pip.stderr or ():
            sys.stderr.write(line)
            if line.startswith(_MARK):
                errors.append(line.removeprefix(_MARK).strip())
    if pip.returncode:
        leave_word(Path(place), errors[0] if errors else f"pip ended with {pip.returncode}")
    return pip.returncode


def leave_word(place: Path, said: str) -> None:
    """Write why there will be no record, where the record would have been."""
    here = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    absence = {
        "format": FORMAT,
        "schema": 1,
        "reason": f"its environment could not be made for {here}: {said}",
        "next": "take a Python that this version has a wheel for, or take the version out of [matrix]; "
        f"`tox run -e {place.stem}` says all of it",
    }
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(absence, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
