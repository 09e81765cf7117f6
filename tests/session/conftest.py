"""A project with a bundle in it, for whole runs of pytest inside pytest."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

# Loaded before pytester first is: it drops modules that are first imported inside it, and classes would exist twice.
from eyerace_parity.record.files import read_record

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.record.document import Record


QUIET = ("-p", "no:hypothesispytest", "-p", "no:unraisableexception")
"""Plugins that cost a second in each run inside this process; runs of their own have them all."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project of a user's: a folder with a bundle in ``golden/``, in which pytest is run."""

    pytester: pytest.Pytester

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.pytester.path

    @property
    def bundle(self) -> Path:
        """The bundle's folder."""
        return self.root / "golden"

    @property
    def contract(self) -> Path:
        """The contract's file."""
        return self.bundle / "contract.toml"

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run the gate in this process."""
        return self.pytester.runpytest_inprocess("--eyerace-parity", *QUIET, *arguments)

    def run_apart(self, *arguments: str) -> pytest.RunResult:
        """Run the gate in a process of its own."""
        return self.pytester.runpytest_subprocess("--eyerace-parity", *arguments, timeout=120)

    def record(self, place: str = "build/parity/record.json") -> Record:
        """The record of the last run."""
        return read_record(self.root / place)

    def statuses(self) -> dict[str, str]:
        """Status of every clause in the last record, by ``variant clause``."""
        return {f"{row.variant} {row.clause}": row.status.value for row in self.record().verdicts}

    def edit(self, before: str, after: str) -> None:
        """Change the contract's text."""
        text = self.contract.read_text(encoding="utf-8")
        assert before in text
        self.contract.write_text(text.replace(before, after), encoding="utf-8")


def _project(pytester: pytest.Pytester, bundle: Path) -> Project:
    pytester.makeini("[pytest]\nfilterwarnings =\n    error\naddopts = --strict-markers\n")
    shutil.copytree(bundle, pytester.path / "golden")
    return Project(pytester)


@pytest.fixture
def project(pytester: pytest.Pytester, image_bundle: Path) -> Project:
    """A project with the labelled image bundle."""
    return _project(pytester, image_bundle)


@pytest.fixture
def unlabelled_project(pytester: pytest.Pytester, tensor_bundle: Path) -> Project:
    """A project with the unlabelled tensor bundle."""
    return _project(pytester, tensor_bundle)
