"""Pictures of cost and history, each drawn from evidence alone, and left out where there is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import altair as alt
import pytest

from eyerace_parity.contract.sections import Statistics
from eyerace_parity.core.result import Relation
from eyerace_parity.evidence.artefacts import Files, Graph, LayerSize
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.evidence.costs import Series, Timing
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.measure.kinds.time_quantiles import compute_time_quantiles
from eyerace_parity.record.document import EvidenceEntry
from eyerace_parity.release.history import AcceptedRelease
from eyerace_parity.report.html.charts import draw, placed, rows
from eyerace_parity.report.html.costs import cost_pictures, latency_picture, layers_picture
from eyerace_parity.report.html.history import history_picture
from eyerace_parity.report.html.page import render
from eyerace_parity.report.view.pictures import PictureData
from eyerace_parity.report.view.run import run_view
from tests.record.records import record, verdict

if TYPE_CHECKING:
    from eyerace_parity.evidence.base import Fact
    from eyerace_parity.evidence.quality import TimeQuantiles
    from eyerace_parity.record.document import Record

EVIL = '"><script>alert(1)</script>\\1'


def evidence(document: Fact, variant: str = "int8", target: str = "host", *, baseline: bool = False) -> EvidenceEntry:
    """A piece of evidence as a record holds it."""
    return EvidenceEntry(
        kind=KINDS.of(type(document)).word,
        variant=variant,
        target=target,
        provenance=Provenance(variant=variant, target=target),
        document=document,
        baseline=baseline,
    )


def made(*pieces: EvidenceEntry, **row: Any) -> Record:
    """A record of one verdict, which rests on these pieces."""
    known = {f"sha256:{number}": piece for number, piece in enumerate(pieces)}
    told = verdict("f1", evidence=tuple(known)) if not row else verdict(evidence=tuple(known), **row)
    found = record([told])
    entry = found.contracts[0]
    variants = (entry.variants[0], entry.variants[1].model_copy(update={"reference": "fp32"}))
    contracts = (entry.model_copy(update={"variants": variants}),)
    return found.model_copy(update={"evidence": known, "contracts": contracts})


def material(*pieces: EvidenceEntry, accepted: tuple[AcceptedRelease, ...] = (), **row: Any) -> PictureData:
    """All that is known of a record of one verdict, which rests on these pieces."""
    found = made(*pieces, **row)
    return PictureData.of(found, found.contracts[0], accepted)


def timing(runs: int = 100) -> tuple[EvidenceEntry, EvidenceEntry]:
    """Times of 10 to 11 ms, and their quantiles."""
    times = tuple(10 + (number * 37 % runs) / runs for number in range(runs))
    source = Provenance(variant="int8")
    fact = Timing(provenance=source, threads=1, first_wall_ms=20, runs=Series(wall_ms=times, cpu_ms=times))
    return evidence(fact), evidence(quantiles(fact))


def quantiles(timed: Timing) -> TimeQuantiles:
    """What a run derives of times, with the defaults of a contract."""
    contract = SimpleNamespace(statistics=Statistics(), variants={timed.provenance.variant: SimpleNamespace(limits={})})
    return compute_time_quantiles(contract, timed, timed.provenance)  # type: ignore[arg-type]


def test_times_come_with_budget_and_interval() -> None:
    """The quantile, where the runs prove it to lie, and the budget; one far off is named, not drawn to scale."""
    row: dict[str, Any] = {
        "clause": "p50",
        "check": "latency",
        "unit": "ms",
        "relation": Relation.AT_MOST,
        "value": 10.5,
    }
    picture = latency_picture(material(*timing(), **row, limit=10.8))
    assert picture is not None
    assert "p50 10.49 ms, proven 10." in picture.caption
    assert "budget 10.8 ms" in picture.caption
    assert "beyond" not in picture.panels[0][0]
    far = latency_picture(material(*timing(), **row, limit=250))
    assert far is not None
    assert far.panels[0][0] == "int8; budget beyond the drawing: p50 250 ms"


def test_too_few_times_leave_the_interval_open() -> None:
    """What is not proven is not drawn as if it were."""
    picture = latency_picture(material(*timing(5)))
    assert picture is not None
    assert "p95 10.80 ms, proven ? to ?" in picture.caption


def test_layers_stand_beside_those_of_the_same_name() -> None:
    """Short names, the rest as a sum, each with its bytes for those who listen."""

    def graph(variant: str, size: int, dtype: str) -> EvidenceEntry:
        layers = (LayerSize(name="/blocks/blocks.1/project/project.0/Conv", operator="Conv", bytes=size, dtype=dtype),)
        return evidence(Graph(provenance=Provenance(variant=variant), layers=layers, layers_rest=7), variant)

    picture = layers_picture(material(graph("fp32", 4000, "float32"), graph("int8", 1000, "int8")))
    assert picture is not None
    drawing = picture.panels[0][1]
    assert "blocks.1/project.0" in drawing
    assert "in int8: 1 kB, Conv int8" in drawing
    assert "all others in fp32: 7 B" in drawing
    assert layers_picture(material(graph("torch", 1, "int8"))) is None


def test_history_begins_with_an_accepted_release() -> None:
    """Each release and this run last; none of it where nothing was accepted."""
    here = evidence(Files(provenance=Provenance(variant="int8"), bytes=100, deflated=90))
    before = (AcceptedRelease("1.0", bytes={"int8": 90}), AcceptedRelease("1.1", bytes={"int8": 95}))
    picture = history_picture(material(here, accepted=before))
    assert picture is not None
    assert "this run, int8: 100 B" in picture.panels[0][1]
    assert history_picture(material(here)) is None


def test_without_evidence_there_are_no_pictures() -> None:
    """And no holes."""
    assert list(cost_pictures(material())) == []


def test_a_name_from_a_file_cannot_leave_its_place_in_a_drawing() -> None:
    """A column's title becomes part of an element's name."""
    values = rows([{"x": 1, "y": 1, "t": EVIL}, {"x": 2, "y": 3, "t": EVIL}])
    chart = alt.Chart(values).mark_line(clip=True).encode(x="x:Q", y="y:Q", description="t:N", color=alt.Color("t:N"))
    svg = draw(chart, f"capture-{EVIL}", EVIL)
    assert "<script" not in svg
    assert 'id="capture-' in svg
    assert 'id="c2-capture-' in placed(svg, "c2")


@pytest.mark.parametrize("again", [False, True])
def test_a_record_of_several_contracts_without_evidence_reads_well(*, again: bool) -> None:
    """One chapter each, whatever is gone; and one that was judged again says so."""
    one = record([verdict("f1")])
    second = one.contracts[0].model_copy(update={"name": "ears", "judged_again": again})
    rows_ = (*one.verdicts, *(row.model_copy(update={"contract": "ears"}) for row in one.verdicts))
    both = one.model_copy(update={"contracts": (*one.contracts, second), "verdicts": rows_})
    text = render(run_view(both))
    assert text.count('class="chapter"') == 2
    assert ("judged again" in text) is again
    assert "None" not in text
