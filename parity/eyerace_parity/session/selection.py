"""Which clauses a run selected, and what deselected the others.

A passing run may leave clauses unjudged only if its own command line deselected them. What ``addopts`` (of an ini file
or ``PYTEST_ADDOPTS``), a conftest or a plugin deselects is detected here, and the run fails.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

# Private, and what `-k` and `-m` mean: a second reading of those expressions would differ from pytest's some day.
from _pytest.mark import deselect_by_keyword, deselect_by_mark

from eyerace_parity.core.result import Identity
from eyerace_parity.record.compose import relative
from eyerace_parity.session.discovery import unique
from eyerace_parity.session.nodes import ClauseItem, clause_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pytest

    from eyerace_parity.checks.base import PlannedClause
    from eyerace_parity.session.subject import ContractSession

DESELECTED: Final = "deselected"
"""Reason for a clause that the command line deselected."""

BY_ADDOPTS: Final = "left out by addopts"
"""Reason for a clause that only an ini file or ``PYTEST_ADDOPTS`` deselected."""

BY_OTHERS: Final = "left out by a conftest or a plugin"
"""Reason for a clause that no option deselected."""


@dataclass(frozen=True, slots=True)
class ItemSelection:
    """Selection by pytest options.

    Attributes:
        keyword: ``-k``.
        markexpr: ``-m``.
        deselect: ``--deselect``.
        last_failed: ``--lf``.
        none_if_none_failed: ``--lfnf=none``.
        stepwise: ``--sw``, ``--sw-skip`` or ``--sw-reset``.
        arguments: Absolute path, and the node id below it or an empty text.
    """

    keyword: str = ""
    markexpr: str = ""
    deselect: tuple[str, ...] = ()
    last_failed: bool = False
    none_if_none_failed: bool = False
    stepwise: bool = False
    arguments: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, options: argparse.Namespace, arguments: Iterable[str], folder: Path) -> ItemSelection:
        """Read options. A disabled plugin (``-p no:…``) has none.

        Args:
            options: As parsed.
            arguments: Paths and ids.
            folder: What paths are relative to.
        """
        stepwise = ("stepwise", "stepwise_skip", "stepwise_reset")
        return cls(
            keyword=getattr(options, "keyword", "") or "",
            markexpr=getattr(options, "markexpr", "") or "",
            deselect=tuple(getattr(options, "deselect", None) or ()),
            last_failed=bool(getattr(options, "lf", False)),
            none_if_none_failed=getattr(options, "last_failed_no_failures", "all") == "none",
            stepwise=any(getattr(options, name, False) for name in stepwise),
            arguments=tuple(_split(argument, folder) for argument in arguments),
        )

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> ItemSelection:
        """Read what another process wrote with :func:`dataclasses.asdict` and JSON, which knows lists only."""
        values: dict[str, Any] = {
            key: tuple(map(_frozen, value)) if isinstance(value, list) else value for key, value in said.items()
        }
        return cls(**values)

    def left_out(self, collected: Collected) -> set[Identity]:
        """Return the clauses that these options deselect."""
        kept = [clause for clause in collected.clauses if self._names(clause) and self._failed(clause, collected)]
        items = [clause.item for clause in kept if clause.item is not None]
        # They read options, report to a hook, and ask whether marks are strict, which pytest itself has done before.
        quiet: Any = SimpleNamespace(
            option=SimpleNamespace(keyword=self.keyword, markexpr=self.markexpr, strict_markers=False),
            hook=SimpleNamespace(pytest_deselected=lambda **_: None),
            getini=lambda _: False,
        )
        matched = cast("list[pytest.Item]", items[:])
        deselect_by_keyword(matched, quiet)
        deselect_by_mark(matched, quiet)
        passed = {
            item.planned.identity
            for item in cast("list[ClauseItem]", matched)
            if not item.nodeid.startswith(self.deselect) and not (self.stepwise and collected.stepped_over(item))
        }
        # What was never collected has no keywords: only its path, its id and `--lf` can have kept it out.
        passed |= {clause.identity for clause in kept if clause.item is None}
        return {clause.identity for clause in collected.clauses} - passed

    def _names(self, clause: Clause) -> bool:
        """Whether the given ids include a clause; without ids for its contract they do."""
        below = [tail for path, tail in self.arguments if path == str(clause.file)]
        whole = any(not tail and clause.file.is_relative_to(path) for path, tail in self.arguments)
        return not below or whole or any(f"{clause.path}::".startswith(f"{tail}::") for tail in below)

    def _failed(self, clause: Clause, collected: Collected) -> bool:
        """Whether ``--lf`` keeps a clause; if nothing failed, it keeps all."""
        if not self.last_failed:
            return True
        if not collected.failed:
            return not self.none_if_none_failed
        return clause.nodeid in collected.failed


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause of a judged contract with its pytest ids.

    Attributes:
        identity: Identity of its verdict.
        file: The contract.
        path: Its id below the contract, e.g. ``int8::f1``.
        nodeid: Its whole id.
        item: Its item; ``None`` where it was not collected.
    """

    identity: Identity
    file: Path
    path: str
    nodeid: str
    item: ClauseItem | None


@dataclass(frozen=True, slots=True)
class Collected:
    """The collected items, and pytest's memory of the last run.

    Attributes:
        clauses: All clauses of the contracts that are judged.
        order: Ids of all items, in the order before any was left out.
        chosen: Ids of the items that will run.
        failed: Ids of collected items that failed last time.
        stopped_at: Where ``--sw`` stopped last time.
    """

    clauses: tuple[Clause, ...]
    order: Mapping[str, int]
    chosen: tuple[str, ...]
    failed: frozenset[str]
    stopped_at: str

    def stepped_over(self, item: pytest.Item) -> bool:
        """Whether ``--sw`` skips an item: it starts at the item where it stopped last time."""
        if self.stopped_at not in self.chosen:
            return False
        return self.order.get(item.nodeid, len(self.order)) < self.order.get(self.stopped_at, -1)


@dataclass(slots=True)
class Coverage:
    """Which clauses are judged in a run, and what deselected the others.

    Attributes:
        asked: What this command line selects.
        effective: What all options select, those of ``addopts`` among them.
    """

    asked: ItemSelection
    effective: ItemSelection
    selected: set[Identity] = field(default_factory=set, init=False)
    _left_out: dict[str, set[Identity]] = field(
        default_factory=lambda: {DESELECTED: set(), BY_ADDOPTS: set()}, init=False
    )
    _seen: list[pytest.Item] = field(default_factory=list, init=False)
    _order: list[pytest.Item] = field(default_factory=list, init=False)

    def see(self, item: pytest.Item) -> None:
        """Remember an item before anything can deselect it."""
        self._seen.append(item)

    def note_order(self, items: Sequence[pytest.Item]) -> None:
        """Remember the order of the items, before `--sw` leaves out the first of them."""
        self._order = list(items)

    def note_selected(
        self, items: Sequence[pytest.Item], judged: Mapping[Path, ContractSession], config: pytest.Config
    ) -> None:
        """Record which clauses are selected, and what deselected the others."""
        self.selected |= {item.planned.identity for item in items if isinstance(item, ClauseItem)}
        cache = getattr(config, "cache", None)
        failed = cache.get("cache/lastfailed", {}) if cache else {}
        stepwise = cache.get("cache/stepwise", None) if cache else None
        # By whose clause it is: plugins rewrite ids.
        by_identity = {item.planned.identity: item for item in self._seen if isinstance(item, ClauseItem)}
        clauses = [
            _clause(file, planned, by_identity.get(planned.identity), config.rootpath)
            for file, subject in judged.items()
            for planned in subject.planned
        ]
        collected = Collected(
            clauses=tuple(clauses),
            order={item.nodeid: number for number, item in enumerate(self._order)},
            chosen=tuple(item.nodeid for item in items),
            failed=frozenset(failed).intersection(item.nodeid for item in self._seen),
            # A text until pytest 8.3, a table since.
            stopped_at=str((stepwise.get("last_failed") if isinstance(stepwise, dict) else stepwise) or ""),
        )
        self._left_out[DESELECTED] |= self.asked.left_out(collected)
        self._left_out[BY_ADDOPTS] |= (
            self._left_out[DESELECTED] if self.effective == self.asked else self.effective.left_out(collected)
        )

    def why(self, identity: Identity) -> str:
        """Return what deselected a clause."""
        return next((why for why, left_out in self._left_out.items() if identity in left_out), BY_OTHERS)

    def to_json(self) -> dict[str, list[list[str]]]:
        """What a worker sends to the controller, in types that JSON has."""
        by_reason = {"": self.selected, **self._left_out}
        return {key: [list(asdict(identity).values()) for identity in found] for key, found in by_reason.items()}

    def add_from(self, received: Mapping[str, Sequence[Sequence[str]]]) -> None:
        """Add what a worker sent."""
        for key, found in received.items():
            (self._left_out[key] if key else self.selected).update(Identity(*names) for names in found)


def _clause(file: Path, planned: PlannedClause, item: ClauseItem | None, root: Path) -> Clause:
    path = clause_path(planned)
    nodeid = f"{relative(file, root)}::{path}" if item is None else item.nodeid
    return Clause(planned.identity, file, path, nodeid, item)


def _frozen(value: str | list[str]) -> str | tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else value


def _split(argument: str, folder: Path) -> tuple[str, str]:
    """Split an argument of pytest into a path and the id below it; brackets may hold what looks like either."""
    before, bracket, rest = argument.partition("[")
    path, _, tail = before.partition("::")
    return str(unique([folder / os.fspath(path)])[0]), f"{tail}{bracket}{rest}" if tail else ""
