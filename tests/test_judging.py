"""From a planned clause to its verdict: nothing that fails on the way costs the run more than that one verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from eyerace_parity.checks.base import Case, Clause, PlannedClause
from eyerace_parity.contract.base import Limits
from eyerace_parity.core.errors import ArtefactError, BaselineMissing, ContractError
from eyerace_parity.core.result import Judgement, Relation, Status
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.evidence.base import Need, Provenance
from eyerace_parity.judging import judge

if TYPE_CHECKING:
    from collections.abc import Callable

NEED = Need(Files, "int8")
FOUND = Files(provenance=Provenance(variant="int8"), bytes=10, deflated=5)


class Shelf:
    """A source with one piece of evidence, or with one error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def obtain(self, need: Need[Any]) -> Any:
        """Give it."""
        assert need == NEED
        if self.error is not None:
            raise self.error
        return FOUND

    def key(self, need: Need[Any]) -> str:
        """Name it."""
        return f"key of {need.kind.__name__}"


class _Contract:
    name = "eyes"


def planned(judgement: Callable[..., Judgement]) -> PlannedClause:
    """A clause that needs one file's size."""
    case = Case(_Contract(), "int8", labelled=True)  # type: ignore[arg-type] # only its name is read
    clause: Clause[Limits] = Clause(
        "file_size", "size", "", judgement, needs=lambda *_: (NEED,), applies=lambda *_: True
    )
    return PlannedClause(case, clause, Limits())


def test_evidence_reaches_the_check_and_its_key_the_verdict() -> None:
    """The good way."""
    verdict = judge(planned(lambda _c, found: Judgement(Status.HELD, found[NEED].bytes, 12)), Shelf())
    assert verdict.judgement.value == 10
    assert verdict.evidence == ("key of Files",)
    assert str(verdict.identity) == "int8 file_size"


@pytest.mark.parametrize("kind", [ArtefactError, ContractError])
def test_evidence_that_cannot_be_had_is_an_error_with_its_own_words(kind: type[Exception]) -> None:
    """The reason and next step are those of whoever tried to measure, or of the user's own code."""
    error = kind("the file is gone", next_step="bring it back")  # type: ignore[call-arg]
    if kind is ArtefactError:
        verdict = judge(planned(lambda *_: Judgement(Status.HELD)), Shelf(error))
    else:

        def ask(*_: Any) -> Judgement:
            raise error

        verdict = judge(planned(ask), Shelf())
    assert verdict.status is Status.ERROR
    assert verdict.judgement.reason == "the file is gone"
    assert verdict.judgement.next_step == "bring it back"


def test_without_a_release_to_compare_with_nothing_is_proven() -> None:
    """That there is no release yet is no fault, and nothing holds for want of one."""
    verdict = judge(planned(lambda *_: Judgement(Status.HELD)), Shelf(BaselineMissing("no release", next_step="save")))
    assert verdict.status is Status.UNPROVEN
    assert verdict.judgement.next_step == "save"


def test_a_fault_in_the_measurement_names_the_measurement() -> None:
    """A bug of ours is told as ours, with where it happened."""
    verdict = judge(planned(lambda *_: Judgement(Status.HELD)), Shelf(IndexError("no such row")))
    assert verdict.status is Status.ERROR
    assert verdict.judgement.reason == f"the measurement of {NEED} itself failed: IndexError: no such row"
    assert any("obtain" in line for line in verdict.judgement.details)


def test_a_fault_in_the_check_names_the_check() -> None:
    """Reading what was not declared is such a fault."""

    def careless(_case: object, found: Any) -> Judgement:
        found[Need(Files, "fp32")]
        return Judgement(Status.HELD)

    verdict = judge(planned(careless), Shelf())
    assert verdict.status is Status.ERROR
    assert verdict.judgement.reason.startswith("the check 'file_size' itself failed: LookupError")


def test_a_fault_in_the_needs_is_told_too() -> None:
    """Even a clause that cannot say what it needs gets its verdict."""
    good = planned(lambda *_: Judgement(Status.HELD))

    def broken(*_: Any) -> tuple[Need[Any], ...]:
        raise KeyError("versus")

    verdict = judge(replace(good, clause=replace(good.clause, needs=broken)), Shelf())
    assert verdict.status is Status.ERROR
    assert "KeyError" in verdict.judgement.reason


@pytest.mark.parametrize("number", ["value", "limit"])
def test_a_nan_is_never_held(number: str) -> None:
    """Whatever a check believes."""
    told: dict[str, Any] = {"value": 1.0, "limit": 1.0} | {number: float("nan")}
    verdict = judge(planned(lambda *_: Judgement(Status.HELD, **told)), Shelf())
    assert verdict.status is Status.ERROR


def test_an_interruption_is_no_verdict() -> None:
    """Ctrl-C ends the run."""
    with pytest.raises(KeyboardInterrupt):
        judge(planned(lambda *_: Judgement(Status.HELD)), Shelf(KeyboardInterrupt()))  # type: ignore[arg-type]


UNPROVEN = Judgement(Status.UNPROVEN, 0.89, 0.90, Relation.AT_LEAST, reason="too few samples")


@pytest.mark.parametrize(
    ("judgement", "told"),
    [
        (Judgement(Status.HELD, 1.0, 2.0, Relation.AT_MOST), ()),
        (Judgement(Status.ERROR, reason="it could not be measured"), ()),
        (replace(UNPROVEN, value=0.91), ()),
        (replace(UNPROVEN, value=None), ()),
        (replace(UNPROVEN, value="opset 18", limit="opset 17"), ()),
        (UNPROVEN, ("why",)),
        (Judgement(Status.BROKEN, reason="it is too big"), ("why",)),
    ],
)
def test_only_what_the_numbers_speak_against_is_asked_why(
    judgement: Judgement, told: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is green, could not be measured, or only lacks proof asks for nothing more than it needs."""
    monkeypatch.setattr("eyerace_parity.diagnose.causes", lambda *_: ("why",))
    assert judge(planned(lambda *_: judgement), Shelf()).judgement == replace(judgement, causes=told)
