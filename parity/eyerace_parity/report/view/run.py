"""THE view of a run: what terminal, page, Markdown and CI notes are drawn from. Plain data from the record alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eyerace_parity.report.view.contract import ContractView, contract_view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.record.document import Record
    from eyerace_parity.release.history import AcceptedRelease


@dataclass(frozen=True, slots=True, eq=False)
class RunView:
    """A run.

    Attributes:
        headline: The verdicts on all contracts in one line, each with its sign.
        outcome: The worst of the contracts' outcomes.
        contracts: The contracts, in order.
        record: The record, for what is shown as it stands there: when and where the run took place, and its options.
    """

    headline: str
    outcome: str
    contracts: tuple[ContractView, ...]
    record: Record


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
        record=record,
    )
