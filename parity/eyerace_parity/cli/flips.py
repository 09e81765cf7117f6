"""``eyerace-parity flips``: list the images that two variants decide differently, and accept those that are known."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from eyerace_parity.cli.options import add_contract, contract_of, say
from eyerace_parity.core.errors import ContractError, RecordError
from eyerace_parity.core.files import display_path, write_atomically
from eyerace_parity.core.numbers import pluralise
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.flips import AcceptedFlip, FlipLedger
from eyerace_parity.measure.kinds.known_flips import read, today
from eyerace_parity.record.accepted_flips import accepted_in, against_of, ledgers_of, stale_entries
from eyerace_parity.record.files import read_record

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.flips import Flip
    from eyerace_parity.record.document import Record

_RECORD: Final = Path("build/parity/record.json")
_RUN: Final = "state limits.flips or limits.release in the contract, and run the gate"
_HEAD: Final = "# Flips that somebody has looked at and accepted, each with its reason and its last day.\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("list", help="list the flips of a finished run")
    accept = actions.add_parser("accept", help="write flips of a finished run into the bundle as known")
    for action in (show, accept):
        action.add_argument(
            "--record", type=Path, default=_RECORD, metavar="RECORD", help=f"the run (default: {_RECORD})"
        )
        action.add_argument("--variant", metavar="NAME", help="only flips of this variant")
        action.add_argument("--against", metavar="NAME", help="only against this variant, or 'baseline'")
        add_contract(action)
    accept.add_argument("ids", nargs="*", metavar="ID", help="the samples; all flips that are chosen if none is given")
    accept.add_argument("--reason", required=True, help="why they are accepted")
    accept.add_argument(
        "--expires", required=True, type=dt.date.fromisoformat, metavar="YYYY-MM-DD", help="the last day"
    )


def run(options: argparse.Namespace) -> int:
    """List or accept flips."""
    contract, record = contract_of(options), read_record(options.record)
    found = list(_chosen(options, contract, record))
    if options.action == "accept":
        return _accept(options, contract, found)
    return _show(contract, record, found)


def _show(contract: Contract, record: Record, found: list[tuple[str, str, Flip]]) -> int:
    """Show flips, what is known of each, and what is known and has gone."""
    known = {(entry.variant, entry.against, entry.id): entry for entry in accepted_in(record, contract.name)}
    for variant, against, row in found:
        capture = "".join(f"; {column} {cell}" for column, cell in row.capture.items())
        label, before = row.label or "no label", f"{row.other_margin:.4g}"
        entry = known.get((variant, against, row.id))
        stands = entry is not None and entry.decision in {"", row.decision}
        accepted = f"; accepted until {entry.expires}: {entry.reason}" if entry is not None and stands else ""
        say(
            f"{variant} against {against}: {row.id}: {label}: {row.other} → {row.decision} ({row.kind}),"
            f" by {row.margin:.4g} where it was {before}{capture}{accepted}"
        )
    judged = next(entry for entry in record.contracts if entry.name == contract.name)
    for line in stale_entries(record, judged):
        say(line)
    say(pluralise(len(found), "flip"))
    return 0


def _chosen(options: argparse.Namespace, contract: Contract, record: Record) -> Iterator[tuple[str, str, Flip]]:
    """Flips of a record that the options choose: variant, what it is compared to, and the flip."""
    ledgers = ledgers_of(record, contract.name)
    if not ledgers:
        raise RecordError(f"{display_path(options.record)} holds no flips of {contract.name}", next_step=_RUN)
    for entry in ledgers:
        against = against_of(entry)
        wanted = options.variant in {None, entry.variant} and options.against in {None, against}
        if wanted and isinstance(entry.document, FlipLedger):
            yield from ((entry.variant, against, row) for row in entry.document.rows)


def _accept(options: argparse.Namespace, contract: Contract, found: list[tuple[str, str, Flip]]) -> int:

    if options.expires.isoformat() < today():
        raise ContractError(f"--expires: {options.expires} has passed", next_step="name a day to come")
    chosen = [each for each in found if not options.ids or each[2].id in options.ids]
    if missing := set(options.ids) - {row.id for _, _, row in chosen}:
        raise ContractError(
            f"no flip of the record: {join_names(sorted(missing))}", next_step="see `eyerace-parity flips list`"
        )
    if not chosen:
        raise ContractError("the record has no flip to accept", next_step="nothing needs to be accepted")
    place = contract.path(contract.flips.accepted)
    try:
        known = {(e.id, e.variant, e.against): e for e in read(contract).flip}
    except ValueError as error:
        raise ContractError(str(error), next_step="correct the file first") from None
    for variant, against, row in chosen:
        known[row.id, variant, against] = AcceptedFlip(
            id=row.id,
            variant=variant,
            against=against,
            decision=row.decision,
            reason=options.reason,
            expires=options.expires,
        )
    text = _HEAD + "".join(_entry(entry) for _, entry in sorted(known.items()))
    try:
        write_atomically(place, text)
    except OSError as error:
        raise RecordError(f"{display_path(place)} cannot be written: {error.strerror or error}") from error
    print(f"{display_path(place)}: {len(chosen)} accepted until {options.expires}, {len(known)} in all")
    return 0


def _entry(entry: AcceptedFlip) -> str:
    """One entry as TOML; a basic string of TOML takes all that a string of JSON takes."""
    texts = {key: getattr(entry, key) for key in ("id", "variant", "against", "decision", "reason")}
    lines = [f"{key} = {_quoted(value)}" for key, value in texts.items() if value]
    return "\n[[flip]]\n" + "\n".join([*lines, f"expires = {entry.expires.isoformat()}"]) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # the one sign that only TOML refuses
