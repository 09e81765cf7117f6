"""The picture of instructions by target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eyerace_parity.core.result import Status
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.extensions.emulation.evidence import InstructionCounts
from eyerace_parity.extensions.emulation.picture import instructions_picture
from eyerace_parity.report.view.parts import added_pictures
from tests.report.html.test_quality import evidence, material

if TYPE_CHECKING:
    from eyerace_parity.record.document import EvidenceEntry


def test_instructions_stand_beside_limit_and_accepted_release() -> None:
    """Growth alone gives a limit too: the release's number and what it may grow by."""

    def counted(number: int, *, baseline: bool = False) -> EvidenceEntry:
        fact = InstructionCounts(provenance=Provenance(variant="int8", target="cortex-a72"), steady=(number, number))
        return evidence(fact, target="cortex-a72", baseline=baseline)

    row: dict[str, Any] = {
        "clause": "instructions_growth",
        "check": "arm64",
        "target": "cortex-a72",
        "value": 0.1,
        "limit": 0.02,
    }
    data = material(counted(110_000_000), counted(100_000_000, baseline=True), **row, status=Status.BROKEN)
    picture = instructions_picture(data)
    assert picture is not None
    assert "110 M, the accepted release 100 M (+10.00%), at most 102 M" in picture.caption
    assert [found.caption for found in added_pictures(data)] == [picture.caption], "the page is given it"
    assert list(added_pictures(material())) == []
