"""Follows one photograph to its F1, and counts which parts of the package run.

    python tools/walk_photograph.py                        # three numbers, compared with version 0.1
    python tools/walk_photograph.py --report build/walk.json   # and the names of everything counted

The bundle is the tests' tiny one, with its artefacts built before. One pytest run judges its ``-k f1`` in one process
with an empty cache. Counted are the distinct functions of the package that are called after the first item starts, the
files of these functions, and the modules of the package that are loaded at the end. The numbers say how much a reader
must read to follow a number to its source. They do not depend on load.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from figures import ROOT, baseline, package_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

COUNTED: Final = ("functions", "files", "modules")
_COMMAND: Final = (
    "-p", "walk_plugin", "-p", "no:cacheprovider", "-q", "-k", "f1", "--eyerace-parity", "--eyerace-parity-in-process",
    "--eyerace-parity-jobs", "1", "--eyerace-parity-no-record",
)  # fmt: skip


def walk(folder: Path) -> dict[str, list[str]]:
    """Judge the F1 of a tiny bundle and name what ran.

    Args:
        folder: An empty folder for the bundle and the cache.

    Returns:
        Names of functions, files and modules, by :data:`COUNTED`.

    Raises:
        RuntimeError: A selected clause is not held, or another copy of the package ran.
    """
    package = package_folder()
    sys.path.insert(0, str(package.parent))
    from tests.bundles import make_image_bundle  # noqa: PLC0415 - needs the package on sys.path

    bundle = make_image_bundle(folder / "bundle", build=True)
    report = folder / "walk.json"
    # Options of the caller must not change what is counted.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EYERACE_PARITY")}
    environment |= {
        "PYTHONPATH": os.pathsep.join([str(package.parent), str(ROOT / "tools")]),
        "EYERACE_PARITY_CACHE": str(folder / "cache"),
        "WALK_FOLDER": str(package),
        "WALK_REPORT": str(report),
    }
    command = [sys.executable, "-m", "pytest", *_COMMAND, "--rootdir", str(bundle), "contract.toml"]
    done = subprocess.run(command, cwd=bundle, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the walk ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    names: dict[str, list[str]] = json.loads(report.read_text(encoding="utf-8"))
    if not all(names[counted] for counted in COUNTED):
        raise RuntimeError(f"nothing of {package} ran: another copy of it is installed")
    return names


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once, and print the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--report", type=Path, help="file for the names of everything counted")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        names = walk(Path(folder))
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(json.dumps(names, indent=1) + "\n", encoding="utf-8")
    before = baseline()["walk"]
    for name in COUNTED:
        now = len(names[name])
        print(f"{now:4}  {name}; {before[name]} in version 0.1: {now / before[name]:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
