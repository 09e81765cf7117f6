"""The registry of kinds: names that data holds, names given twice, and the code that each kind names."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import eyerace_parity
from eyerace_parity.evidence.artefacts import Files, Graph
from eyerace_parity.evidence.kinds import EvidenceKind, Kinds, Runs
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.measure.context import code_digest
from eyerace_parity.measure.measurer import Derivation, Measurer, TargetMeasurer, load

PACKAGE = Path(eyerace_parity.__file__).parent

# Stand in content keys, release keys, records, cache folders and accepted releases: none may ever change.
STORED = {
    "Golden",
    "Outputs",
    "Repeats",
    "Execution",
    "Graph",
    "Files",
    "Preflight",
    "Footprint",
    "Soak",
    "Timing",
    "PeerTiming",
    "Lineage",
    "FlipLedger",
    "KnownFlips",
    "Trials",
    "Weights",
    "Sensitivity",
}

# Hand over what was asked and what was found; all that they could change stands in a provenance or is digested itself.
PLUMBING = {
    "measure/cache.py",
    "measure/context.py",
    "measure/machine_lock.py",
    "measure/measurer.py",
    "measure/sample_selection.py",
    "measure/seals.py",
}

MEASURED = [kind for kind in KINDS if kind.measurer]


def test_stored_names_stay() -> None:
    """A renamed type keeps the name that data holds."""
    assert {kind.name for kind in KINDS} >= STORED
    assert KINDS.named("trials").type.__name__ == "PreparationTrials"


@pytest.mark.parametrize(
    ("name", "kind"), [("files", Graph), ("Other", Files), ("No Name", Files), ("é", Files)], ids=str
)
def test_a_name_or_a_type_given_twice_is_refused(name: str, kind: type[Any]) -> None:
    """In any case of letters: a folder of the cache may not know the difference."""
    known = Kinds(KINDS.of(Files))
    with pytest.raises(ValueError, match=r"already registered as Files|no name of a kind"):
        known.register(EvidenceKind(name=name, type=kind, measurer="module:OBJECT"))


def test_a_kind_that_nobody_registered_is_told() -> None:
    """By type and by name."""
    with pytest.raises(LookupError, match="Files"):
        Kinds().of(Files)
    with pytest.raises(LookupError, match="'files'"):
        Kinds().named("files")


def test_isolation_is_the_default() -> None:
    """Whoever adds a kind need not remember it."""
    assert EvidenceKind(name="New", type=Files, measurer="module:OBJECT").runs is Runs.ISOLATED


@pytest.mark.parametrize("kind", MEASURED, ids=lambda kind: kind.name)
def test_each_measurer_is_there_and_of_the_right_form(kind: EvidenceKind[Any]) -> None:
    """A text that names nothing would be seen in the middle of a run."""
    forms = {Runs.DERIVED: Derivation, Runs.ON_TARGETS: TargetMeasurer}
    assert isinstance(load(kind.measurer), forms.get(kind.runs, Measurer))
    assert all(KINDS.named(word) for word in kind.requires)


# ---- the code that measures ------------------------------------------------------------------------------------------


def own_place(kind: EvidenceKind[Any]) -> str:
    """The measurer's own file."""
    return "/".join(kind.measurer.partition(":")[0].split(".")[1:]) + ".py"


def imported(place: str) -> set[str]:
    """Files of the package that a file imports at run time, at the top or inside a function."""
    found = set()

    def look(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.ImportFrom) and (child.module or "").startswith("eyerace_parity."):
                folder = "/".join((child.module or "").split(".")[1:])
                for alias in child.names:
                    for candidate in (f"{folder}/{alias.name}.py", f"{folder}.py"):
                        if (PACKAGE / candidate).is_file():
                            found.add(candidate)
                            break
            look(child)

    look(ast.parse((PACKAGE / place).read_text(encoding="utf-8")))
    return found


def closure(place: str) -> set[str]:
    """All that a measurer imports, directly or not, in the rooms whose code makes its numbers."""
    seen: set[str] = set()
    waiting = [place]
    while waiting:
        found = waiting.pop()
        if found not in seen | PLUMBING:
            seen.add(found)
            waiting += imported(found)
    rooms = ("golden/", "preprocess/", "runners/", "measure/", "isolation/worker.py")
    return {found for found in seen if found.startswith(rooms)}


@pytest.mark.parametrize("kind", MEASURED, ids=lambda kind: kind.name)
def test_code_names_all_that_makes_the_numbers(kind: EvidenceKind[Any]) -> None:
    """A change of a file that is not named would leave old numbers in the cache as if they were of the new code."""
    named = {own_place(kind), *kind.code}
    assert all((PACKAGE / place).is_file() for place in named), named
    assert len(kind.code) == len(set(kind.code))
    assert closure(own_place(kind)) <= named
    code_digest(kind.measurer.partition(":")[0], *kind.code)
