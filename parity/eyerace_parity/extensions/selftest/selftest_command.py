"""``eyerace-parity selftest``: prove that the gate sees what it claims to, and stays green where nothing is wrong."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from eyerace_parity.cli.options import add_contract, contract_of, say, settings_of
from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.text import did_you_mean, join_names
from eyerace_parity.extending.loading import active
from eyerace_parity.extending.shipped import shipped

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.core.progress import Progress
    from eyerace_parity.extensions.selftest.examiner import Examiner
    from eyerace_parity.extensions.selftest.model import FaultResult, PlantedFault
    from eyerace_parity.measure.targets.equipment import TargetEquipment

_WHAT: Final = (
    "Plants faults in copies of a good bundle, one at a time, and judges each: the clauses that should see it must"
    " turn red, and a reason must name the cause. Then it finds how small a fault may be and still be seen. All of it"
    " happens in copies: nothing is written into the bundle."
)
_MOST_SAID: Final = 160


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = _WHAT
    parser.add_argument("--list", action="store_true", help="list the faults, one a line, and plant none")
    parser.add_argument(
        "-k",
        dest="chosen",
        action="append",
        metavar="TEXT",
        help="only faults with this in their name; may be repeated",
    )
    parser.add_argument(
        "--targets", action="store_true", help="also execute on the contract's targets (minutes a fault)"
    )
    parser.add_argument("--no-limits", action="store_true", help="do not look for detection limits")
    parser.add_argument("--no-faults", action="store_true", help="plant no fault: look for detection limits only")
    parser.add_argument(
        "--clean", type=_count, metavar="N", help="instead repeat the untouched gate N times under varied conditions"
    )
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    add_contract(parser, "cache", "jobs", "progress", "offline", *shipped("emulation").options)


def run(options: argparse.Namespace) -> int:
    """List, plant, or repeat."""
    from eyerace_parity.extensions.selftest.faults import CATALOGUE  # noqa: PLC0415 - only once it is needed

    faults = _chosen(CATALOGUE, options.chosen or [])
    if options.list:
        for fault in faults:
            say(f"{fault.name}: {fault.summary} ({_watched(fault)})")
        return 0
    contract = contract_of(options)
    settings = settings_of(options).under(contract)
    _require_artefacts(contract)
    if options.clean is not None:
        return _repeat(options, contract, settings)
    return _plant(options, contract, settings, () if options.no_faults else faults)


def _watched(fault: PlantedFault) -> str:
    """Name the clauses that must see a fault, and those of which one must."""
    musts, witnesses = (list(map(str, clauses)) for clauses in (fault.expected, fault.witnesses))
    one_of = [f"one of {join_names(witnesses, most=3)}"] if witnesses else []
    return " and ".join([", ".join(musts)] * bool(musts) + one_of)


def _plant(options: argparse.Namespace, contract: Contract, settings: Settings, faults: Sequence[PlantedFault]) -> int:
    from eyerace_parity.report.progress import command_progress  # noqa: PLC0415 - only once it is needed

    clock = time.monotonic()
    progress = command_progress(settings.progress)
    with closing(_examiner(options, contract, settings, progress)) as examiner:
        outcomes = []
        with progress.task("faults", len(faults)) as task:
            for fault in faults:
                outcomes.append(examiner.examine(fault))
                task.advance()
        sentences = [] if options.no_limits or options.chosen else _limits(examiner)
    if outcomes:
        _show(outcomes, markdown=options.markdown)
        if not options.chosen:
            _show_unreddened(examiner)
    if sentences:
        say("\nthis contract sees")
        for sentence in sentences:
            say(f"  {sentence}")
    return _verdict(outcomes, time.monotonic() - clock)


def _limits(examiner: Examiner) -> list[str]:
    """Find the detection limits of what was exported."""
    from eyerace_parity.extensions.selftest.detection_limits import DEGRADATIONS, limits_of  # noqa: PLC0415 - only once it is needed
    from eyerace_parity.extensions.selftest.layerwise import layer_limit  # noqa: PLC0415
    from eyerace_parity.extensions.selftest.workshop import Role, name_of  # noqa: PLC0415

    degradations = (*DEGRADATIONS, *active().added("degradations", examiner.contract.extensions))
    names = dict.fromkeys(filter(None, (name_of(examiner.contract, role) for role in (Role.FLOAT, Role.DEVICE))))
    found = [limit.sentence for limit in limits_of(examiner, degradations, tuple(names))]
    layers = (layer_limit(examiner, role) for role in (Role.FLOAT, Role.DEVICE))
    return found + [limit.sentence for limit in layers if limit is not None]


def _show(outcomes: Sequence[FaultResult], *, markdown: bool) -> None:
    from eyerace_parity.report.tables import print_table  # noqa: PLC0415 - only once it is needed

    rows = [
        (
            outcome.fault.name,
            outcome.answer.value,
            join_names(map(str, outcome.expected), most=3) or "-",
            join_names(dict.fromkeys(f"{v.identity.variant}:{v.identity.clause}" for v in outcome.red), most=4) or "-",
            _cut(outcome.cause) or "no reason names it",
        )
        for outcome in outcomes
    ]
    print_table(("fault", "answer", "expected", "seen", "cause"), rows, markdown=markdown)


def _show_unreddened(examiner: Examiner) -> None:
    """Tell which clauses no fault can turn red."""
    idle = [str(p.identity) for p in examiner.planned if p.identity not in examiner.reddened]
    if idle:
        say(f"\nno fault of the catalogue turned these red: {join_names(idle, most=40)}")


def _verdict(outcomes: Sequence[FaultResult], seconds: float) -> int:
    """Say what it comes to, and give the exit code."""
    from collections import Counter  # noqa: PLC0415 - only once it is needed

    count = Counter(outcome.answer for outcome in outcomes)
    counts = ", ".join(f"{number} {answer}" for answer, number in count.items())
    failed = [outcome.fault.name for outcome in outcomes if not outcome.answer.passes]
    if not outcomes:
        return 0
    if not any(outcome.answer == "caught" for outcome in outcomes) and not failed:
        say(f"\nselftest: NOTHING PROVEN; no fault could be judged ({counts})")
        return 1
    word = "NOT ALL SEEN" if failed else "ALL SEEN"
    say(f"\nselftest: {word}; {counts}; {seconds:.0f} s")
    return 1 if failed else 0


def _repeat(options: argparse.Namespace, contract: Contract, settings: Settings) -> int:
    """Repeat the untouched gate."""
    from eyerace_parity.extensions.selftest.conditions import Repeater  # noqa: PLC0415
    from eyerace_parity.report.progress import command_progress  # noqa: PLC0415 - only once it is needed
    from eyerace_parity.report.tables import print_table  # noqa: PLC0415

    repeater, repeats = Repeater(contract, settings.cache, targets=options.targets), []
    with command_progress(settings.progress).task("repeats", options.clean) as task:
        for number in range(options.clean):
            repeats.append(repeater.repeat(number))
            task.advance()
    rows = [
        (r.condition, str(r.judged), str(len(r.red)), f"{r.seconds:.0f} s", _cut(r.left_out or "; ".join(r.red)))
        for r in repeats
    ]
    print_table(("condition", "judged", "red", "took", "why"), rows, markdown=options.markdown)
    red = sum(len(r.red) for r in repeats)
    whole = [r for r in repeats if not r.left_out]
    judged = sum(r.judged for r in whole)
    if not judged:
        say("\nselftest: NOTHING PROVEN; no clause was judged")
        return 1
    left_out = len(repeats) - len(whole)
    say(f"\nselftest: {red} false alarms in {judged} verdicts of {len(whole)} runs; {left_out} left out")
    return 1 if red else 0


def _examiner(options: argparse.Namespace, contract: Contract, settings: Settings, progress: Progress) -> Examiner:
    from eyerace_parity.extensions.selftest.examiner import Examiner  # noqa: PLC0415
    from eyerace_parity.measure.cache import EvidenceCache  # noqa: PLC0415 - only once it is needed

    equipment = None
    if options.targets:
        from eyerace_parity.measure.targets.equipment import equipment_of  # noqa: PLC0415 - as above

        def equipment(damaged: Contract) -> TargetEquipment | None:
            return equipment_of(damaged, settings, progress)

    return Examiner(contract, EvidenceCache(settings.cache), settings.jobs, progress, equipment)


def _chosen(catalogue: Sequence[PlantedFault], texts: Sequence[str]) -> tuple[PlantedFault, ...]:
    """Faults whose names hold one of the texts.

    Raises:
        ContractError: A text is in no name.
    """
    for text in texts:
        if not any(text in fault.name for fault in catalogue):
            raise ContractError(
                f"-k {text}: no fault has that in its name{did_you_mean(text, [fault.name for fault in catalogue])}",
                next_step="`eyerace-parity selftest --list` lists all of them",
            )
    return tuple(fault for fault in catalogue if not texts or any(text in fault.name for text in texts))


def _require_artefacts(contract: Contract) -> None:
    """Refuse a bundle whose artefacts are not built: nothing could be damaged.

    Raises:
        ContractError: One is missing.
    """
    missing = [name for name, variant in contract.variants.items() if not contract.path(variant.path).is_file()]
    if missing:
        raise ContractError(
            f"there is no file of {join_names(missing)}, so nothing can be damaged",
            next_step="build the artefacts first: eyerace-parity export",
        )


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MOST_SAID else f"{line[: _MOST_SAID - 1]}…"


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        message = "must be at least 1"
        raise ValueError(message)
    return number
