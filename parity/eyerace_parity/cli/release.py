"""``eyerace-parity release``: keep a release that later candidates are judged against, and look at those that are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from eyerace_parity.cli.options import add_contract, contract_of, say, settings_of
from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.numbers import format_bytes
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.record.files import read_record
from eyerace_parity.release import files
from eyerace_parity.release.history import changes
from eyerace_parity.release.save import acceptance, keep_artefacts, make

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.release.files import Stored

_RECORD: Final = Path("build/parity/record.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    save = actions.add_parser("save", help="keep a finished run as a release")
    save.add_argument("name", metavar="NAME", help="what the release is called, e.g. 1.4")
    save.add_argument("--record", type=Path, default=_RECORD, metavar="RECORD", help=f"the run (default: {_RECORD})")
    save.add_argument("--replace", action="store_true", help="take the place of a release of this name")
    save.add_argument(
        "--artefacts",
        action="store_true",
        help="keep the artefacts beside it too, outside version control, so that times can be taken in turns",
    )
    add_contract(save, "cache")
    add_contract(actions.add_parser("list", help="list the releases of a bundle"))
    show = actions.add_parser("show", help="show what is kept of a release, and what changed since it followed another")
    show.add_argument("name", metavar="NAME", help="the release, by name or folder")
    show.add_argument("--against", metavar="NAME", help="an earlier release to tell the changes from")
    add_contract(show)


def run(options: argparse.Namespace) -> int:
    """Save, list or show releases."""
    actions = {"save": _save, "list": _list, "show": _show}
    return actions[options.action](options)


def _save(options: argparse.Namespace) -> int:

    files.check_name(options.name, "NAME")
    contract = contract_of(options)
    record, store = read_record(options.record), EvidenceCache(settings_of(options).cache)
    folder = files.folder_of(contract, options.name)
    there = (folder / files.RELEASE).is_file()
    before = files.read(folder).release if there else None
    made = make(record, contract, store, options.name, before)
    if before is not None and before.digest != made.release.digest and not options.replace:
        raise ContractError(
            f"there is another release {options.name!r} already, in {display_path(folder)}",
            next_step="give this one a name of its own, or take its place with --replace",
        )
    copied = keep_artefacts(made, contract) if options.artefacts else 0
    files.write(made, acceptance(made, contract, record, store))
    size = sum((folder / name).stat().st_size for name in (files.RELEASE, files.ANSWERS) if (folder / name).is_file())
    say(f"{options.name}: {display_path(folder)}, {_bytes(size)} to commit, {made.release.digest}")
    if copied:
        say(f"artefacts: {display_path(folder / files.ARTEFACTS)}, {_bytes(copied)}, not to be committed")
    not_held = [row for row in made.release.verdicts if row.status != "held"]
    for row in not_held:
        say(f"note: {row.variant} {row.clause} is {row.status.value} in this release")
    return 0


def _list(options: argparse.Namespace) -> int:

    contract = contract_of(options)
    for name in files.names(contract):
        folder = files.folder_of(contract, name)
        stored = files.read(folder)
        mark = "  (baseline)" if name == contract.release.baseline else ""
        accepted = len(files.history(folder))
        say(f"{name}: {stored.release.digest[:19]}, accepted {accepted}×, {_samples(stored)}{mark}")  # noqa: RUF001
    if not files.names(contract):
        say(f"no release in {display_path(contract.path(contract.release.folder))}")
    return 0


def _show(options: argparse.Namespace) -> int:

    contract = contract_of(options)
    stored = _find(contract, options.name)
    say("\n".join(_describe(stored)))
    for line in files.history(stored.folder):
        scores = ", ".join(f"{name} F1 {value:.4f}" for name, value in line.f1.items())
        say(f"accepted {line.digest[:19]}{f' after {line.follows[:19]}' if line.follows else ''}: {scores or '-'}")
    if options.against:
        other = _find(contract, options.against)
        say(f"changed since {other.release.name}:")
        say("\n".join(f"  {line}" for line in changes(other, stored, None)))
    return 0


def _find(contract: Contract, name: str) -> Stored:

    folder = files.find(contract, name, Path.cwd())
    if folder is None:
        raise files.refuse_unknown(contract, name, "NAME")
    return files.read(folder)


def _describe(stored: Stored) -> Iterator[str]:
    release = stored.release
    yield f"{release.name}: {release.digest}, {_samples(stored)}, contract {release.contract}"
    yield f"golden set: {release.golden or 'not used'}"
    for name, variant in release.variants.items():
        rows = [row for row in release.verdicts if row.variant == name]
        held = sum(row.status == "held" for row in rows)
        yield f"{name}: {variant.path}, {variant.artefact or 'no evidence of it'}; {held} of {len(rows)} clauses held"


def _samples(stored: Stored) -> str:
    return f"{len(stored.ids)} samples" if stored.ids else "no answers"


def _bytes(size: int) -> str:

    return format_bytes(size)
