"""Real guests: what only another processor shows. Left out where nothing is installed, but never in CI."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from eyerace_parity.checks.base import ClauseEvidence
from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.core.result import HOST, Status
from eyerace_parity.evidence.answers import Execution
from eyerace_parity.evidence.base import Need
from eyerace_parity.extensions.emulation.evidence import InstructionCounts
from eyerace_parity.extensions.emulation.targets import EmulatedTargets, runtime_of_the_run
from eyerace_parity.extensions.emulation.tiers import KNOWN
from eyerace_parity.extensions.emulation.toolkit import Sources, obtain
from eyerace_parity.judging import judge
from eyerace_parity.recipes.build import build_variant
from tests.checks.evidence_factory import contract
from tests.equipment import OLD, X86
from tests.extensions.emulation.emulators import home, lacking
from tests.laboratories import change, laboratory
from tests.onnx_files import write_linear

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from eyerace_parity.core.result import Judgement
    from eyerace_parity.measure.laboratory import Laboratory
    from eyerace_parity.measure.targets.equipment import TargetCommand

NEW = "arm64/armv8.2"
LIAR = "arm64/liar"
FP32 = {"fp32": {"kind": "onnx", "path": "fp32.onnx", "reference": "torch", "tier": "device"}}


class Installed:
    """What is installed for this machine's developer, and in CI whatever can be.

    Attributes:
        toolkits: Toolkits made by hand, for processors that no contract may name.
    """

    def __init__(self, bundle: Path, toolkits: Mapping[str, TargetCommand] | None = None) -> None:
        sources = Sources(home().folder)
        contract = open_contract(bundle / "contract.toml")
        self._emulation = EmulatedTargets(
            contract, sources, offline=not os.environ.get("CI"), progress=SilentProgress()
        )
        self._toolkits = dict(toolkits or {})

    def toolkit(self, target: str) -> TargetCommand:
        """Say how a worker is started there; the test is left out where it cannot be."""
        if target in self._toolkits:
            return self._toolkits[target]
        try:
            return self._emulation.toolkit(target)
        except MeasurementError as error:
            return lacking(error.reason)

    def prove(self, target: str) -> None:
        """Prove that what executes there is the same."""
        self._emulation.prove(target)


def targeted(bundle: Path, *targets: str, limits: str = "", own: str = "", images: int = 2) -> Path:
    """Let a bundle's int8 be executed on targets."""
    path = bundle / "contract.toml"
    run = ", ".join(f'"{target}"' for target in targets)
    text = f"\n[targets]\nrun = [{run}]\nimages = {images}\n{own}\n[variants.int8.limits.arm64]\n{limits}\n"
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    return bundle


def judged(lab: Laboratory) -> dict[tuple[str, str], Judgement]:
    """Verdicts on all clauses of targets, by clause and target."""
    items = [item for item in plan(lab.contract) if item.identity.target != HOST]
    lab.expect(need for item in items for need in item.needs)
    return {(item.identity.clause, item.identity.target): judge(item, lab).judgement for item in items}


def test_a_phone_answers_as_the_host_does(image_bundle: Path) -> None:
    """The oldest tier: the statically quantised file loads, runs, and decides as here."""
    bundle = targeted(image_bundle, OLD, limits="parity = 0.05")
    found = judged(laboratory(bundle, equipment=Installed(bundle)))
    assert {clause: judgement.status for (clause, _), judgement in found.items()} == dict.fromkeys(
        ("executes", "parity", "flips"), Status.HELD
    )


def test_an_instruction_that_the_phone_lacks_is_broken(image_bundle: Path) -> None:
    """A newer phone's cpuinfo on an older processor: the runtime takes kernels that kill it, and that is told."""
    lines = "\\n".join(KNOWN[NEW].cpuinfo.splitlines())
    own = f'[targets.own."{LIAR}"]\ncpu = "cortex-a53"\ncpuinfo = "{lines}"\n'
    bundle = targeted(image_bundle, LIAR, own=own.replace("\t", "\\t"))
    lab = laboratory(bundle, equipment=Installed(bundle))
    found = judged(lab)
    assert {judgement.status for judgement in found.values()} == {Status.BROKEN}
    assert "SIGILL (an instruction that this phone generation does not have)" in found["executes", LIAR].reason
    assert "running int8" in found["executes", LIAR].reason
    assert lab.obtain(Need(Execution, "int8", LIAR)).signal == signal.SIGILL


def test_a_torn_file_is_refused_there_too(image_bundle: Path) -> None:
    """A model that does not load is broken, with what the guest's own runtime said."""
    bundle = targeted(image_bundle, OLD)
    torn = bundle / "build" / "tiny.int8.onnx"
    torn.write_bytes(torn.read_bytes()[:300])
    found = judged(laboratory(bundle, equipment=Installed(bundle)))
    assert found["executes", OLD].status is Status.BROKEN
    assert "the runtime refuses the file" in found["executes", OLD].reason
    assert found["parity", OLD].status is Status.BROKEN


def saturating(bundle: Path) -> Path:
    """Give the bundle a model whose products of unsigned and signed bytes leave 16 bits, two by two."""
    write_linear(bundle / "build" / "tiny.fp32.onnx", bias=6.0)
    change(bundle, 'recipe = { kind = "export", source = "torch" }\n', "")
    return bundle


@pytest.mark.parametrize(("reduced", "status"), [("true", Status.HELD), ("false", Status.BROKEN)])
def test_saturation_is_seen_without_integer_dot_products(image_bundle: Path, reduced: str, status: Status) -> None:
    """U8S8 with all eight bits is wrong on x86 before VNNI, whatever this machine has; with seven it is not."""
    bundle = targeted(saturating(image_bundle), X86, limits="sqnr_db = 30.0", images=4)
    change(bundle, "reduce_range = true", f"reduce_range = {reduced}")
    (bundle / "build" / "tiny.int8.onnx").unlink()
    build_variant(open_contract(bundle / "contract.toml"), "int8", SilentProgress())
    found = judged(laboratory(bundle, equipment=Installed(bundle)))
    assert found["executes", X86].status is Status.HELD
    assert found["sqnr_db", X86].status is status
    if reduced == "true":
        assert found["parity", X86].status is Status.HELD


def test_wrong_results_of_one_processor_are_seen(image_bundle: Path) -> None:
    """A processor whose kernels come out wrong under the emulator, which is why no contract may name it."""
    tier = replace(KNOWN["arm64/armv8.6"], cpu="max")
    bundle = targeted(image_bundle, OLD, tier.name, limits="parity = 1e-4")
    text = (bundle / "contract.toml").read_text(encoding="utf-8")
    before, after = text.split("[variants.int8.recipe]\n")
    recipe = '[variants.int8.recipe]\nkind = "quantize_dynamic"\nsource = "fp32"\n'
    text = before + recipe + after[after.index("[variants.int8.limits.closeness]") :]
    (bundle / "contract.toml").write_text(text, encoding="utf-8")
    (bundle / "build" / "tiny.int8.onnx").unlink()
    build_variant(open_contract(bundle / "contract.toml"), "int8", SilentProgress())
    installed = Installed(bundle)
    installed.toolkit(tier.name)
    made = obtain(tier, runtime_of_the_run(), Sources(home().folder), offline=True, progress=SilentProgress())
    if not made.identity["emulator"].startswith("qemu 7."):
        pytest.skip(f"known of qemu 7, and this is {made.identity['emulator']}")
    lab = laboratory(bundle, equipment=Installed(bundle, {tier.name: made}))
    found = judged(lab)
    assert found["parity", OLD].status is Status.HELD
    assert found["parity", tier.name].status is Status.BROKEN


def counted(bundle: Path) -> InstructionCounts:
    """What the bundle's fp32 costs on the oldest tier."""
    found = laboratory(bundle, equipment=Installed(bundle)).obtain(Need(InstructionCounts, "fp32", OLD))
    assert found.steady, found.unavailable or found.failure
    return found


def rewritten(bundle: Path, change_graph: Callable[[onnx.ModelProto], None]) -> Path:
    """Change the bundle's fp32."""
    path = bundle / "build" / "tiny.fp32.onnx"
    model = onnx.load(path)
    change_graph(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return bundle


def with_more_layers(model: onnx.ModelProto) -> None:
    """Two small convolutions before the first layer, which change no number: about 5 % of what all others cost."""
    first = model.graph.node[0]
    kernel = numpy_helper.from_array(np.eye(3, dtype=np.float32)[:, :, np.newaxis, np.newaxis], "more.weight")
    model.graph.initializer.append(kernel)
    model.graph.node.insert(0, onnx.helper.make_node("Conv", [first.input[0], "more.weight"], ["once"], name="once"))
    more = onnx.helper.make_node("Conv", ["once", "more.weight"], ["more"], name="more")
    first.input[0] = "more"
    model.graph.node.insert(1, more)


def as_of_another_day(model: onnx.ModelProto) -> None:
    """What differs between two exports of the same module: everything that is said, nothing that is computed."""
    model.producer_version = "another"
    model.doc_string = "exported again"


def test_more_layers_are_a_regression_and_a_new_export_is_none(image_bundle: Path) -> None:
    """Counted in real guests, judged against what was counted of the release."""
    limits = {"instructions_growth": 0.02}
    read = contract({"fp32": {"arm64": limits}}, variants=FP32, targets={"run": [OLD], "variants": ["fp32"]})
    item = next(planned for planned in plan(read) if planned.identity.clause == "instructions_growth")
    targeted(image_bundle, OLD)
    release = counted(image_bundle)

    def judged_against_it(found: InstructionCounts) -> Judgement:
        assert found.provenance.artefact != release.provenance.artefact
        return item.judge(ClauseEvidence({need: release if need.baseline else found for need in item.needs}))

    again = judged_against_it(counted(rewritten(image_bundle, as_of_another_day)))
    assert again.status is Status.HELD, again.reason
    regressed = judged_against_it(counted(rewritten(image_bundle, with_more_layers)))
    assert regressed.status is Status.BROKEN, regressed.reason
    assert isinstance(regressed.value, float)
    assert 0.03 < regressed.value < 0.08
