"""Composes the record of a run."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity import __version__
from eyerace_parity.checks.plan import demand_line, error_rates
from eyerace_parity.core.digests import json_digest
from eyerace_parity.core.machine import fingerprint, installed_version
from eyerace_parity.extending.loading import active
from eyerace_parity.record.document import (
    ChancesEntry,
    ContractEntry,
    Environment,
    EvidenceEntry,
    ExtensionEntry,
    Record,
    Setting,
    VariantEntry,
    outcome,
)
from eyerace_parity.record.rows import Entry, Unjudged, VerdictEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from eyerace_parity.checks.base import PlannedClause
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.overrides import Override
    from eyerace_parity.contract.settings import Settings
    from eyerace_parity.core.result import Identity, Verdict
    from eyerace_parity.evidence.source import Source

PACKAGES: Final = ("numpy", "onnx", "onnxruntime", "torch", "safetensors", "pillow", "scipy", "pydantic", "pytest")
"""Packages whose version can change a number or how it is judged."""

# Parts of a contract that do not affect measurements: limits, descriptions, and how it is run.
_INSUBSTANTIAL: Final[Mapping[str, Any]] = {
    "name": True,
    "description": True,
    "metric": True,
    "run": True,
    "extensions": True,
    "hybrid": True,
    "release": True,
    "flips": True,
    "statistics": True,
    "interface": {"max_ir_version": True, "domains": True, "single_file": True},
    "variants": {"__all__": {"limits": True, "tier": True}},
}


class VerdictWithEvidence(Entry):
    """One verdict with its evidence, as it is sent from the process that judged it.

    Attributes:
        verdict: The verdict.
        evidence: By key.
    """

    verdict: VerdictEntry
    evidence: dict[str, EvidenceEntry] = {}


def finding(planned: PlannedClause, verdict: Verdict, source: Source) -> VerdictWithEvidence:
    """Serialise a verdict with its evidence.

    Args:
        planned: What was judged.
        verdict: What came of it.
        source: The source of the evidence, which holds what it has obtained.
    """
    had = zip(verdict.needs, verdict.evidence, strict=True)
    evidence = {key: EvidenceEntry.of(need, source.obtain(need)) for need, key in had}
    return VerdictWithEvidence(verdict=VerdictEntry.of(verdict, line=demand_line(planned)), evidence=evidence)


@dataclass(slots=True)
class ContractFindings:
    """The verdicts of one contract so far.

    Attributes:
        contract: The contract.
        planned: All that it demands.
        findings: What was judged, by whose verdict it is; of two on the same clause the later one counts, but nothing
            takes the place of a verdict other than held.
    """

    contract: Contract
    planned: tuple[PlannedClause, ...]
    findings: dict[Identity, VerdictWithEvidence] = field(default_factory=dict)

    def enter(self, found: VerdictWithEvidence) -> None:
        """Add a finding."""
        known = self.findings.get(found.verdict.identity)
        # Two workers may judge the same clause, and times differ: the one that fails must not depend on who is later.
        if known is None or known.verdict.status.passes or not found.verdict.status.passes:
            self.findings[found.verdict.identity] = found

    def verdicts(self) -> tuple[VerdictEntry, ...]:
        """Verdicts in the order of the plan."""
        known = [planned.identity for planned in self.planned]
        return tuple(self.findings[identity].verdict for identity in known if identity in self.findings)

    def unjudged(self, why: Callable[[Identity], str]) -> tuple[Unjudged, ...]:
        """Clauses without a verdict, in the order of the plan."""
        known = [planned.identity for planned in self.planned]
        return tuple(Unjudged.of(identity, why(identity)) for identity in known if identity not in self.findings)


def compose(
    ledgers: Sequence[ContractFindings],
    *,
    root: Path,
    started: str,
    seconds: float,
    why_unjudged: Callable[[Identity], str],
    interrupted: str = "",
    settings: Settings | None = None,
    command: Sequence[str] = (),
    folder: str = "",
) -> Record:
    """Write the record of a run.

    Args:
        ledgers: What was found, one a contract.
        root: Folder that files are named relative to.
        started: When the run began, ISO 8601.
        seconds: How long it took.
        why_unjudged: Why a clause got no verdict.
        interrupted: Why the run ended early, or an empty string.
        settings: Options of the run.
        command: The words of the command line that started it.
        folder: Where that was typed, relative to ``root``; empty for ``root`` itself.
    """
    overrides = settings.overrides() if settings is not None else ()
    contracts: list[ContractEntry] = []
    verdicts: list[VerdictEntry] = []
    unjudged: list[Unjudged] = []
    evidence: dict[str, EvidenceEntry] = {}
    for ledger in ledgers:
        judged, missing = ledger.verdicts(), ledger.unjudged(why_unjudged)
        contracts.append(
            contract_entry(
                ledger.contract,
                judged,
                missing,
                planned=ledger.planned,
                file=relative(ledger.contract.file, root),
                overrides=overrides,
            )
        )
        verdicts += judged
        unjudged += missing
        for found in ledger.findings.values():
            evidence |= found.evidence
    return Record(
        tool=__version__,
        started=started,
        seconds=round(seconds, 3),
        interrupted=interrupted,
        command=tuple(command),
        folder=folder,
        environment=environment(),
        settings=_stated(settings) if settings is not None else (),
        contracts=tuple(contracts),
        verdicts=tuple(verdicts),
        unjudged=tuple(unjudged),
        evidence=dict(sorted(evidence.items())),
    )


def contract_entry(
    contract: Contract,
    judged: Sequence[VerdictEntry],
    missing: Sequence[Unjudged],
    *,
    planned: Sequence[PlannedClause],
    file: str,
    overrides: Sequence[Override] = (),
    judged_again: bool = False,
) -> ContractEntry:
    """Write down a contract and what became of it."""
    variants = [
        VariantEntry(
            name=name,
            kind=variant.kind,
            path=variant.path.as_posix(),
            tier=variant.tier,
            reference=variant.reference,
        )
        for name, variant in contract.variants.items()
    ]
    erring = error_rates(planned)
    return ContractEntry(
        name=contract.name,
        description=contract.description,
        file=file,
        digest=contract.digest,
        substance=measurement_digest(contract),
        variants=tuple(variants),
        overrides=tuple(Setting(key=o.key, value=_plain(o.value), origin=o.origin) for o in overrides),
        planned=len(judged) + len(missing),
        outcome=outcome(judged, unjudged=len(missing)),
        judged_again=judged_again,
        chances=None if erring is None else ChancesEntry(**asdict(erring)),
        cell=contract.cell,
        extensions=tuple(
            ExtensionEntry(name=each.name, package=each.package, version=each.version, digest=each.digest)
            for each in active().foreign(contract.extensions)
        ),
    )


def measurement_digest(contract: Contract) -> str:
    """Digest of everything in a contract that measurements depend on: all but its limits and its words."""
    ours = {section.key: True for section in contract.sections if not section.measures}
    content = contract.model_dump(mode="json", by_alias=True, exclude=dict(_INSUBSTANTIAL) | ours)
    return json_digest(content)


def environment() -> Environment:
    """Say where this process runs. No name of a host, a user or a folder."""
    packages = {}
    for package in PACKAGES:
        try:
            packages[package] = installed_version(package)
        except metadata.PackageNotFoundError:
            continue
    return Environment(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        system=f"{platform.system()} {platform.release()}",
        architecture=platform.machine(),
        machine=fingerprint(),
        packages=packages,
    )


def relative(file: Path, root: Path) -> str:
    """Name a file from the root of the run, with forward slashes; its bare name where no way leads there."""
    try:
        return os.path.relpath(file, root).replace(os.sep, "/")
    except ValueError:  # another drive
        return file.name


def _stated(settings: Settings) -> tuple[Setting, ...]:
    said = settings.described().items()
    return tuple(Setting(key=key, value=value, origin=origin) for key, (value, origin) in said if origin != "default")


def _plain(value: object) -> Any:
    """A TOML value as JSON; dates become texts."""
    return json.loads(json.dumps(value, default=str, allow_nan=True))
