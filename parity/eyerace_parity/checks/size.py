"""Size: what an artefact takes on the device, and what a store makes its users download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ByteSize, Field

from eyerace_parity.checks.base import Family
from eyerace_parity.checks.comparison import needs
from eyerace_parity.checks.limits import RatioLimit, other_variant
from eyerace_parity.checks.phrases import broken, cannot_judge, compare_to_limit
from eyerace_parity.contract.base import Limits, limit
from eyerace_parity.core.numbers import format_bytes, format_number
from eyerace_parity.core.result import Judgement, Relation, Status
from eyerace_parity.evidence.artefacts import Files

if TYPE_CHECKING:
    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.evidence.base import Need

Bytes = Annotated[ByteSize, Field(gt=0, description='bytes above 0, or a text with a unit such as "12 MB"')]
"""A size: a number of bytes, or a text with a unit."""

_SMALLER = "quantise it, prune it, or take a smaller network"


class SizeLimits(Limits):
    """How big an artefact may be. Sizes are bytes, or a text with a unit: ``"12 MB"`` (10^6), ``"12 MiB"`` (2^20)."""

    file_size: Bytes | None = limit('Largest size of the file with its external data, e.g. "12 MB".')
    download_size: Bytes | None = limit('Largest size after deflate, as a store packs it, e.g. "10 MB".')
    size_ratio: RatioLimit | None = limit(
        'Largest size in proportion to another variant\'s, e.g. {versus = "fp32", at_most = 0.4}.'
    )


size = Family("size", SizeLimits)


def _ratio_needs(case: Case, limits: SizeLimits) -> tuple[Need[Any], ...]:
    versus = limits.size_ratio.versus if limits.size_ratio else None
    return (case.need(Files), case.need(Files, versus))


def _judge(name: str, value: int, limit: int, *, where: str, details: tuple[str, ...]) -> Judgement:
    if value <= 0:
        return Judgement(
            Status.BROKEN, value, limit, Relation.AT_MOST, "bytes", f"the file of {name} is empty", "make it again"
        )
    return compare_to_limit(
        Relation.AT_MOST,
        limit,
        value,
        unit="bytes",
        found=f"{name} takes {format_bytes(value)} {where}, allowed are {format_bytes(limit)}",
        next_step=_SMALLER,
        details=details,
    )


@size.demand("file_size", limit="file_size", needs=needs(Files))
def file_size(case: Case, limit: int, findings: ClauseEvidence) -> Judgement:
    """The file, with its external data, is no bigger than allowed."""
    files = findings[case.need(Files)]
    details = (f"deflated: {files.deflated} bytes",)
    return _judge(case.name, files.bytes, int(limit), where="on disk", details=details)


@size.demand("download_size", limit="download_size", needs=needs(Files))
def download_size(case: Case, limit: int, findings: ClauseEvidence) -> Judgement:
    """The file, deflated as a store packs it, is no bigger than allowed."""
    files = findings[case.need(Files)]
    details = (f"on disk: {files.bytes} bytes",)
    return _judge(case.name, files.deflated, int(limit), where="deflated", details=details)


@size.demand(
    "size_ratio",
    limit="size_ratio",
    needs=_ratio_needs,
    not_applicable=lambda case, limits: other_variant(case, limits.size_ratio),
)
def size_ratio(case: Case, limit: RatioLimit, findings: ClauseEvidence) -> Judgement:
    """The file is small enough in proportion to another variant's."""
    ours, theirs = findings[case.need(Files)].bytes, findings[case.need(Files, limit.versus)].bytes
    if ours <= 0:
        raise broken(reason=f"the file of {case.name} is empty", next_step="make it again")
    if theirs <= 0:
        raise cannot_judge(f"the file of {limit.versus} is empty", f"make {limit.versus} again")
    return compare_to_limit(
        Relation.AT_MOST,
        limit.at_most,
        ours / theirs,
        unit=f"of {limit.versus}",
        found=f"{case.name} is {format_number(ours / theirs)} times as big as {limit.versus} ({ours} of "
        f"{theirs} bytes)",
        next_step=_SMALLER,
    )
