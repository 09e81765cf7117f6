"""The table of labels is read once a run in each process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.session.conftest import Project

COUNT = """
import sys

def count(event, arguments):
    if event == "open" and str(arguments[0]).endswith("labels.csv"):
        with open("opened.txt", "a") as file:
            file.write("once\\n")

sys.addaudithook(count)
"""


def test_a_whole_run_reads_the_labels_once(project: Project) -> None:
    """Power at collection, samples, the ledger of flips and the page all speak of the same rows."""
    size = "[variants.int8.limits.size]"
    project.edit(size, f"[variants.int8.limits.flips]\ndecision_flips = 99\n{size}")
    os.utime(project.bundle / "labels.csv", (1.0e9, 1.0e9))
    (project.root / "conftest.py").write_text(COUNT, encoding="utf-8")
    result = project.run_apart("--eyerace-parity-in-process", "--eyerace-parity-html=page.html")
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["*golden set: * samples* resolve an F1 drop of*"])
    assert (project.root / "page.html").is_file()
    assert (project.root / "opened.txt").read_text().split() == ["once"]
