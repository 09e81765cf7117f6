"""Fixtures for a user's own tests beside the contract's clauses.

Mark a test that uses them ``parity``. Without ``--eyerace-parity`` it is skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eyerace_parity.session import SWITCH, session_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.golden.base import GoldenSet
    from eyerace_parity.runners.base import Runner
    from eyerace_parity.session.session import GateSession
    from eyerace_parity.session.subject import ContractSession


@pytest.fixture
def parity_contract(_parity_subject: ContractSession) -> Contract:
    """The contract of the run; of several, the one that ``@pytest.mark.parity(contract="…")`` names."""
    return _parity_subject.contract


@pytest.fixture
def parity_golden(_parity_subject: ContractSession) -> GoldenSet:
    """The golden set, opened and checked."""
    from eyerace_parity.golden.dataset import open_golden  # noqa: PLC0415 - nothing is imported for tests that need nothing

    return open_golden(_parity_subject.contract)


@pytest.fixture
def parity_variants(_parity_subject: ContractSession) -> Iterator[Mapping[str, Runner]]:
    """Loaded variants by name; each is loaded when it is first asked for, and closed after the test."""
    from eyerace_parity.core.lazy import LazyMapping  # noqa: PLC0415 - as above
    from eyerace_parity.runners.registry import open_runner  # noqa: PLC0415

    def load(name: str) -> Runner:
        return open_runner(_parity_subject.contract, name).__enter__()

    runners = LazyMapping(tuple(_parity_subject.contract.variants), load)
    yield runners
    for runner in runners.made.values():
        runner.close()


@pytest.fixture
def parity_outputs(_parity_subject: ContractSession) -> Mapping[str, Mapping[str, Array]]:
    """What each variant answers to the golden set: variant, then output, then samples on the first axis.

    Gathered once and kept, as for the clauses.
    """
    from eyerace_parity.core.lazy import LazyMapping  # noqa: PLC0415 - as above
    from eyerace_parity.evidence.answers import Outputs  # noqa: PLC0415
    from eyerace_parity.evidence.base import Need  # noqa: PLC0415

    def gather(name: str) -> Mapping[str, Array]:
        return _parity_subject.obtain(Need(Outputs, name)).arrays

    return LazyMapping(tuple(_parity_subject.contract.variants), gather)


@pytest.fixture
def assert_held(
    request: pytest.FixtureRequest, _parity_gate: GateSession, _parity_subject: ContractSession
) -> Callable[..., None]:
    """A function that fails the test unless clauses hold: ``assert_held("int8", "f1")``, or all with no arguments.

    Its arguments are the variant, the clause or its family, and the target; what is left out means all.
    """

    def check(variant: str | None = None, clause: str | None = None, *, target: str | None = None) -> None:
        __tracebackhide__ = True
        chosen = [
            planned
            for planned in _parity_subject.planned
            if variant in {None, planned.case.name}
            and clause in {None, planned.clause.name, planned.clause.check}
            and target in {None, planned.case.target}
        ]
        asked = " ".join(filter(None, (variant, clause, target)))
        if not chosen:
            pytest.fail(f"the contract {_parity_subject.contract.name} demands nothing that is called {asked!r}")
        rows = [_parity_gate.judge(request.node, _parity_subject, planned).verdict for planned in chosen]
        failed = [_parity_gate.account(row) for row in rows if not row.status.passes]
        if failed:
            pytest.fail("\n".join(failed), pytrace=False)

    return check


@pytest.fixture
def _parity_gate(request: pytest.FixtureRequest) -> GateSession:
    """The session of the run; without the switch the test is skipped."""
    gate = request.config.stash.get(session_key, None)
    if gate is None:
        pytest.skip(f"part of the parity gate: run it with {SWITCH}")
    return gate


@pytest.fixture
def _parity_subject(request: pytest.FixtureRequest, _parity_gate: GateSession) -> ContractSession:
    """The contract that the test speaks of."""
    marker = request.node.get_closest_marker("parity")
    named: Any = _marked_contract(**marker.kwargs) if marker else None
    if marker and marker.args:
        message = "pytest.mark.parity takes its contract by name: parity(contract='…')"
        raise TypeError(message)
    if named is not None:
        return _parity_gate.subject(request.config.rootpath / named)
    subjects = list(_parity_gate.judged.values()) or list(_parity_gate.known.values())
    if len(subjects) != 1:
        found = ", ".join(subject.contract.name for subject in subjects) or "none"
        pytest.fail(
            f"this test speaks of one contract, the run has {len(subjects)} ({found}): "
            "name it with @pytest.mark.parity(contract='…') or --eyerace-parity-contract",
            pytrace=False,
        )
    return subjects[0]


def _marked_contract(*, contract: str | Path | None = None) -> str | Path | None:
    """Read the marker's arguments; Python itself refuses an unknown one."""
    return contract
