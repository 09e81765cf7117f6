"""How a worker on an emulated processor is equipped: which one it is, what is missing, and what is asked once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import ContractError, MeasurementError, RecordError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.extensions.emulation import targets
from eyerace_parity.extensions.emulation.targets import EmulatedTargets, runtime_of_the_run, tier_of
from eyerace_parity.extensions.emulation.toolkit import Sources
from eyerace_parity.measure.targets.equipment import check_target
from tests.checks.evidence_factory import contract
from tests.checks.test_targets import DEVICE
from tests.equipment import NEW, OLD
from tests.laboratories import change

if TYPE_CHECKING:
    from pathlib import Path

OWN = '[targets.own."arm64/a55"]\ncpu = "cortex-a55"\ncpuinfo = "CPU part : 0xd05"\nphones = "many"\n'


def emulation(bundle: Path) -> EmulatedTargets:
    """The emulated processors, with an empty home."""
    sources = Sources(bundle.parent / "home")
    return EmulatedTargets(open_contract(bundle / "contract.toml"), sources, offline=True, progress=SilentProgress())


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

    monkeypatch.setattr(targets, "obtain", refuse)
    room = emulation(image_bundle)
    for target in (OLD, OLD, NEW, OLD):
        with pytest.raises(MeasurementError, match=f"{target} is not there") as caught:
            room.toolkit(target)
        assert caught.value.next_step == "install it"
    assert tried == [OLD, NEW]


def test_what_is_there_is_kept(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command all run long."""
    made: list[object] = []

    def give(*_args: Any, **_options: Any) -> object:
        made.append(object())
        return made[-1]

    monkeypatch.setattr(targets, "obtain", give)
    room = emulation(image_bundle)
    assert room.toolkit(OLD) is room.toolkit(OLD)
    assert len(made) == 1


def test_each_missing_part_is_named_once(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that nobody knows lacks nothing here: its own clauses say what is wrong."""
    parts = {OLD: ("qemu", "userland"), NEW: ("userland", "wheels")}
    monkeypatch.setattr(targets, "missing", lambda tier, *_: parts[tier.name])
    assert emulation(image_bundle).missing([OLD, "arm64/none", NEW]) == ("qemu", "userland", "wheels")


def test_a_guest_must_have_the_versions_of_the_run() -> None:
    """Else it would be compared with another runtime."""
    runtime = runtime_of_the_run()
    assert (runtime.onnxruntime, runtime.numpy) == (onnxruntime.__version__, np.__version__)


@pytest.mark.parametrize(
    ("targets", "why"),
    [
        ({"run": ["arm64/armv8.1"]}, r"there is no target 'arm64/armv8.1'; did you mean 'arm64/armv8.[0-9]'\?"),
        ({"own": {"arm64/mine": {"cpu": "max", "cpuinfo": "x"}}}, "'max': it has SME"),
        ({"own": {"arm64/mine": {"cpu": "cortex-a53"}}}, "has no cpuinfo"),
        ({"own": {"mips/mine": {"cpu": "x"}}}, "names no architecture"),
    ],
)
def test_a_target_that_cannot_be_is_refused(targets: dict[str, Any], why: str) -> None:
    """A misspelt name, and a processor whose results could not be believed."""
    with pytest.raises(ContractError, match=why):
        plan(contract(variants=DEVICE, targets={"run": [OLD], **targets}))


def test_a_name_of_no_prefix_is_told_with_all_that_there_are(image_bundle: Path) -> None:
    """Nobody provides it, so whoever misspelt it sees what is provided."""
    change(image_bundle, "[golden]", f"{OWN}\n[golden]")
    with pytest.raises(
        ContractError, match=r"there is no target 'arm/armv8\.0'; did you mean 'arm64/armv8\.0'"
    ) as caught:
        check_target(open_contract(image_bundle / "contract.toml"), "arm/armv8.0")
    assert caught.value.next_step.startswith(f"targets: {OLD}, ")
    assert "arm64/a55" in caught.value.next_step


def test_an_own_target_is_described_as_a_processor(image_bundle: Path) -> None:
    """What stands in ``[targets.own]`` is this extension's."""
    change(image_bundle, "[golden]", '[targets.own."arm64/mine"]\ncpu = ""\n\n[golden]')
    with pytest.raises(ContractError, match="at least 1 character"):
        open_contract(image_bundle / "contract.toml")
