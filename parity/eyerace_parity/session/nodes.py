"""The tree of items: contract file, then variant, then clause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest

from eyerace_parity.checks.plan import demand_line
from eyerace_parity.core.result import HOST

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    from _pytest._code import ExceptionInfo
    from _pytest._code.code import TerminalRepr

    from eyerace_parity.checks.base import PlannedClause
    from eyerace_parity.record.compose import VerdictWithEvidence
    from eyerace_parity.record.rows import VerdictEntry
    from eyerace_parity.session.subject import ContractSession

_PROPERTIES: Final = (
    "contract",
    "variant",
    "check",
    "clause",
    "target",
    "status",
    "value",
    "relation",
    "limit",
    "unit",
)
"""Properties of a verdict in JUnit and other reports, so that nobody has to parse test names."""


class Gate(Protocol):
    """What items need from the run."""

    def subject(self, path: Path) -> ContractSession:
        """The session of the contract at a path."""

    def judge(self, item: ClauseItem, subject: ContractSession, planned: PlannedClause) -> VerdictWithEvidence:
        """Judge a clause for an item."""

    def account(self, row: VerdictEntry) -> str:
        """Return the full text of a verdict."""


@dataclass(slots=True)
class NotHeld(Exception):  # noqa: N818 - a verdict, not an error
    """A clause did not hold.

    Attributes:
        account: The full text of the verdict.
    """

    account: str

    def __str__(self) -> str:
        return self.account


class ContractFile(pytest.File):
    """A contract: one collector for each variant."""

    obj = None
    gate: Gate

    def collect(self) -> Iterator[VariantCollector]:
        """Collect the variants that have clauses."""
        subject = self.gate.subject(self.path)
        for name in subject.contract.variants:
            planned = tuple(planned for planned in subject.planned if planned.case.name == name)
            if planned:
                variant: VariantCollector = VariantCollector.from_parent(self, name=name)
                variant.gate, variant.planned = self.gate, planned
                yield variant


class VariantCollector(pytest.Collector):
    """A variant: one item for each clause."""

    obj = None
    gate: Gate
    planned: tuple[PlannedClause, ...]

    def collect(self) -> Iterator[ClauseItem]:
        """Collect the clauses of the variant."""
        for planned in self.planned:
            item: ClauseItem = ClauseItem.from_parent(self, name=clause_name(planned))
            item.gate, item.planned = self.gate, planned
            item.add_marker("parity")
            # So that `-k quality` finds the whole family.
            item.extra_keyword_matches.add(planned.clause.check)
            yield item


class ClauseItem(pytest.Item):
    """A clause that is judged."""

    obj = None
    gate: Gate
    planned: PlannedClause

    def runtest(self) -> None:
        """Judge it.

        Raises:
            NotHeld: It does not hold.
        """
        row = self.gate.judge(self, self.gate.subject(self.path), self.planned).verdict
        # As JSON has them: reports cross to xdist's controller as builtins, and an enumeration is none.
        columns = row.model_dump(mode="json", include=set(_PROPERTIES))
        self.user_properties += [
            (f"eyerace_parity.{key}", columns[key]) for key in _PROPERTIES if columns[key] not in {None, ""}
        ]
        self.user_properties += [("eyerace_parity.cause", cause) for cause in row.causes]
        if not row.status.passes:
            raise NotHeld(self.gate.account(row))

    def repr_failure(self, excinfo: ExceptionInfo[BaseException], style: Any = None) -> str | TerminalRepr:
        """Return a verdict as plain text: other forms are lost under xdist and in annotations."""
        if isinstance(excinfo.value, NotHeld):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Point annotations to the contract's line that states the clause."""
        line = demand_line(self.planned)
        return self.path, None if line is None else line - 1, str(self.planned.identity)


def clause_name(planned: PlannedClause) -> str:
    """The name of a clause's item."""
    target = planned.identity.target
    return planned.clause.name if target == HOST else f"{planned.clause.name}[{target}]"


def clause_path(planned: PlannedClause) -> str:
    """The id of a clause's item below its contract, e.g. ``int8::f1``."""
    return f"{planned.case.name}::{clause_name(planned)}"
