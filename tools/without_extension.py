"""Run the core's own tests without the folder of one of our extensions: ``python tools/without_extension.py NAME …``.

The package is copied without ``extensions/NAME``, and the copy is put before the installed one. The tests are those of
``tests/`` but ``tests/extensions``; further arguments are pytest's. A test that is marked ``needs_extension(NAME)`` is
deselected: it speaks of the EyeRace contract, which uses the extension.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "parity" / "eyerace_parity"


OF_THE_INSTALLED: Final = (
    "tests/isolation/test_runtime_worker.py::test_another_virtual_environment_is_only_another_command",
    "tests/tools/test_code_lines.py::test_it_counts_the_package_that_is_imported",
)
"""Tests of the installed package, which a copy on ``PYTHONPATH`` is not."""


def copy_without(name: str, folder: Path) -> Path:
    """Copy the package without an extension's folder.

    Args:
        name: The extension.
        folder: Where the copy is put.

    Returns:
        What goes on ``PYTHONPATH``.

    Raises:
        LookupError: There is no extension of this name.
    """
    left_out = PACKAGE / "extensions" / name
    if not (left_out / "__init__.py").is_file():
        known = sorted(path.parent.name for path in (PACKAGE / "extensions").glob("*/__init__.py"))
        message = f"there is no extension {name!r}; there are {', '.join(known)}"
        raise LookupError(message)

    def ignored(place: str, names: list[str]) -> list[str]:
        return [one for one in names if one == "__pycache__" or Path(place, one) == left_out]

    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=ignored)
    return folder


def main() -> int:
    """Run the tests; pytest's exit code is ours."""
    name, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        paths = [str(copy_without(name, Path(place))), *filter(None, [os.environ.get("PYTHONPATH", "")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
        found = subprocess.run(
            [sys.executable, "-c", "import eyerace_parity; print(eyerace_parity.__file__)"],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        if not Path(found).resolve().is_relative_to(Path(place).resolve()):
            print(f"{found} is imported instead of the copy", file=sys.stderr)
            return 1
        command = [sys.executable, "-m", "pytest", "tests", "--ignore=tests/extensions"]
        command += [*(f"--deselect={test}" for test in OF_THE_INSTALLED), *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
