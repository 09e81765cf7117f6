"""The target room: who starts a worker on a target, tried once a run; and which samples it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import ContractError, MeasurementError, RecordError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.emulation.toolkit import Sources
from eyerace_parity.evidence.answers import Execution, Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.measure.sample_selection import choose, margins
from eyerace_parity.measure.targets import equipment, target_evidence
from eyerace_parity.measure.targets.equipment import EmulatedTargets, runtime_of_the_run, tier_of
from eyerace_parity.measure.targets.target_evidence import TargetEvidence
from tests.equipment import NEW, OLD, X86, Local, on_two_targets
from tests.laboratories import bench, change, laboratory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OWN = '[targets.own."arm64/a55"]\ncpu = "cortex-a55"\ncpuinfo = "CPU part : 0xd05"\nphones = "many"\n'


def emulation(bundle: Path) -> EmulatedTargets:
    """The emulated processors, with an empty home."""
    sources = Sources(bundle.parent / "home")
    return EmulatedTargets(open_contract(bundle / "contract.toml"), sources, offline=True, progress=SilentProgress())


# ---- how a worker is started -----------------------------------------------------------------------------------------


def test_a_target_is_a_processor_known_or_the_contracts_own(image_bundle: Path) -> None:
    """One that nobody knows is a fault of the contract, told with those that there are."""
    change(image_bundle, "[golden]", f"{OWN}\n[golden]")
    contract = open_contract(image_bundle / "contract.toml")
    own = tier_of(contract, "arm64/a55")
    assert (own.cpu, own.phones) == ("cortex-a55", "many")
    assert tier_of(contract, OLD).name == OLD
    with pytest.raises(ContractError, match="a55") as caught:
        tier_of(contract, "arm64/a56")
    assert OLD in f"{caught.value}"


@pytest.mark.parametrize("fault", [MeasurementError, RecordError])
def test_what_is_missing_is_looked_for_once_a_run(
    image_bundle: Path, monkeypatch: pytest.MonkeyPatch, fault: type[MeasurementError]
) -> None:
    """Each target by itself; whatever the reason is, its clauses are in error with it and its next step."""
    tried: list[str] = []

    def refuse(tier: Any, *_args: Any, **options: Any) -> Any:
        assert options["offline"]
        tried.append(tier.name)
        raise fault(f"{tier.name} is not there", next_step="install it")

    monkeypatch.setattr(equipment, "obtain", refuse)
    room = emulation(image_bundle)
    for target in (OLD, OLD, NEW, OLD):
        with pytest.raises(MeasurementError, match=f"{target} is not there") as caught:
            room.toolkit(target)
        assert caught.value.next_step == "install it"
    assert tried == [OLD, NEW]


def test_what_is_there_is_kept(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same toolkit all run long."""
    made: list[object] = []

    def give(*_args: Any, **_options: Any) -> object:
        made.append(object())
        return made[-1]

    monkeypatch.setattr(equipment, "obtain", give)
    room = emulation(image_bundle)
    assert room.toolkit(OLD) is room.toolkit(OLD)
    assert len(made) == 1


def test_each_missing_part_is_named_once(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that nobody knows lacks nothing here: its own clauses say what is wrong."""
    parts = {OLD: ("qemu", "userland"), NEW: ("userland", "wheels")}
    monkeypatch.setattr(equipment, "missing", lambda tier, *_: parts[tier.name])
    assert emulation(image_bundle).missing([OLD, "arm64/none", NEW]) == ("qemu", "userland", "wheels")


def test_a_guest_must_have_the_versions_of_the_run() -> None:
    """Else it would be compared with another runtime."""
    runtime = runtime_of_the_run()
    assert (runtime.onnxruntime, runtime.numpy) == (onnxruntime.__version__, np.__version__)


# ---- which samples it is given ---------------------------------------------------------------------------------------


def room(bundle: Path, answers: Callable[[Need[Outputs]], Outputs], *, everything: bool = False) -> TargetEvidence:
    """The room over a bundle, whose host answers so."""
    return TargetEvidence(bench(bundle), Local(), answers=answers, everything=everything, abandon=lambda: None)


def selection(found: TargetEvidence) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Near and drawn samples, as the provenance names them."""
    chosen = found._selection(Need(Execution, "int8"))
    return chosen.near, chosen.drawn


def test_half_of_the_samples_are_the_nearest_of_the_host(image_bundle: Path) -> None:
    """By the host's own answers, with the contract's seed and the set's labels."""
    on_two_targets(image_bundle, images=8)
    lab = laboratory(image_bundle)
    margin = margins(lab.obtain(Need(Outputs, "int8")).arrays["scores"])
    labels = bench(image_bundle).golden().facts().labels
    wanted = choose(24, 8, lab.contract.targets.seed, labels=labels, margin=margin)
    assert selection(room(image_bundle, lab.obtain)) == (wanted.near, wanted.drawn)
    assert len(wanted.near) == 4


def test_a_host_that_cannot_answer_leaves_the_lot(image_bundle: Path) -> None:
    """Whether a target can run the file is asked all the same."""
    on_two_targets(image_bundle, images=8)

    def refuse(_need: Need[Outputs]) -> Outputs:
        raise MeasurementError("the host refuses the file")

    near, drawn = selection(room(image_bundle, refuse))
    assert (near, len(drawn)) == ((), 8)


def test_all_samples_need_no_answer_of_the_host(image_bundle: Path) -> None:
    """Nothing is chosen then, and so nothing is measured for it."""
    on_two_targets(image_bundle, images=8)

    def never(need: Need[Outputs]) -> Outputs:
        pytest.fail(f"{need} was asked for")

    assert selection(room(image_bundle, never, everything=True)) == ((), tuple(range(24)))


def test_only_what_is_executed_there_is_expected(image_bundle: Path) -> None:
    """Neither other kinds nor a release's evidence."""
    on_two_targets(image_bundle, images=8)
    found = room(image_bundle, laboratory(image_bundle).obtain)
    wanted = Need(Execution, "int8", X86)
    found.expect([wanted, Need(Outputs, "int8"), Need(Execution, "int8", OLD, baseline=True), wanted])
    assert list(found._expected) == [wanted]


def test_a_refusal_is_remembered(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target is asked once; every later need says the same."""
    on_two_targets(image_bundle, images=8)
    found = room(image_bundle, laboratory(image_bundle).obtain)
    runs: list[int] = []

    def run(_self: TargetEvidence, orders: list[Any]) -> dict[Any, Any]:
        runs.append(len(orders))
        return {order.need: MeasurementError("the worker is gone") for order in orders}

    monkeypatch.setattr(target_evidence.TargetEvidence, "_run", run)
    for _ in range(2):
        with pytest.raises(MeasurementError, match="the worker is gone"):
            found.obtain(Need(Execution, "int8", OLD))
    assert runs == [1]
