"""THE view of a run: what terminal, page, Markdown and CI notes are drawn from. Plain data from the record alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eyerace_parity.report.view.contract import ContractView, contract_view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.record.document import Environment, EvidenceEntry, Record, Setting
    from eyerace_parity.release.history import AcceptedRelease


@dataclass(frozen=True, slots=True, eq=False)
class RunView:
    """A run.

    Attributes:
        headline: The verdicts on all contracts in one line, each with its sign.
        outcome: The worst of the contracts' outcomes.
        contracts: The contracts, in order.
        interrupted: Why the run ended early; empty for a run that came to its end.
        tool: Version of the plugin that wrote the record.
        started: When the run began, ISO 8601.
        seconds: How long it took.
        environment: Where it took place.
        settings: Options that differ from their defaults, with where they were said.
        evidence: All evidence.
    """

    headline: str
    outcome: str
    contracts: tuple[ContractView, ...]
    interrupted: str
    tool: str
    started: str
    seconds: float
    environment: Environment
    settings: tuple[Setting, ...] = ()
    evidence: tuple[EvidenceEntry, ...] = field(default=())


def run_view(record: Record, accepted: Mapping[str, Sequence[AcceptedRelease]] | None = None) -> RunView:
    """See a record.

    Args:
        record: The record.
        accepted: Every release that was accepted before, by contract.
    """
    known = accepted or {}
    contracts = tuple(contract_view(record, entry, known.get(entry.name, ())) for entry in record.contracts)
    outcomes = {entry.outcome for entry in record.contracts}
    return RunView(
        headline="; ".join(f"{contract.sign} {contract.headline}" for contract in contracts),
        outcome=next((o for o in ("broken", "error", "unproven", "unjudged") if o in outcomes), "held"),
        contracts=contracts,
        interrupted=record.interrupted,
        tool=record.tool,
        started=record.started,
        seconds=record.seconds,
        environment=record.environment,
        settings=record.settings,
        evidence=tuple(record.evidence.values()),
    )
