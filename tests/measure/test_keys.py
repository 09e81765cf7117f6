"""A key covers what the measurement reads of the contract, and nothing else."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.evidence.answers import GoldenFacts, Outputs, Repeats
from eyerace_parity.evidence.artefacts import Files, Graph
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.costs import Footprint, Preflight
from eyerace_parity.evidence.diagnostics import PreparationTrials
from eyerace_parity.evidence.flips import FlipLedger, KnownFlips
from eyerace_parity.evidence.kinds import Runs
from eyerace_parity.evidence.quality import DecisionSamples, OutputNoise, Quality, Slices
from eyerace_parity.evidence.registry import KINDS
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.measure import measurer
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.context import content_key
from eyerace_parity.measure.laboratory import Laboratory
from eyerace_parity.measure.measurer import derivation_of, derived_provenance, measurer_of
from tests.bundles import make_image_bundle
from tests.contract_reads import Reads
from tests.laboratories import change

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from tests.contract_reads import Keys

NEEDS: tuple[Need[Any], ...] = (
    Need(Outputs, "int8"),
    Need(Graph, "int8"),
    Need(Files, "int8"),
    Need(Repeats, "int8"),
    Need(Preflight, "int8"),
    Need(Footprint, "int8"),
    Need(PreparationTrials, "int8", versus="fp32"),
    Need(KnownFlips),
    Need(FlipLedger, "int8", versus="fp32"),
    Need(Quality, "int8"),
    Need(Slices, "int8"),
    Need(OutputNoise, "int8", versus="fp32"),
    Need(DecisionSamples, "int8", versus="fp32"),
)

CHANGES: dict[Keys, Any] = {
    ("name",): "another",
    ("description",): "other words",
    ("classes",): ("green", "red", "blue"),
    ("golden", "scores"): "scores",
    ("golden", "max_bytes"): 1 << 20,
    ("golden", "batch"): 3,
    ("interface", "inputs", "0", "name"): "pixels",
    ("interface", "inputs", "0", "shape"): (1, 3, 32, 32),
    ("interface", "outputs", "0", "name"): "logits",
    ("interface", "outputs", "0", "shape"): (2, "batch", 8),
    ("interface", "max_ir_version"): 9,
    ("preprocess", "app", "mean"): (0.4, 0.5, 0.5),
    ("session", "optimisation"): "basic",
    ("statistics", "confidence"): 0.9,
    ("statistics", "seed"): 7,
    ("statistics", "correction"): "bonferroni",
    ("targets", "images"): 3,
}


def changed(value: Any, keys: Keys, new: Any) -> Any:
    """A copy of a contract with another value at some keys."""
    if not keys:
        return new
    first, *rest = keys
    if isinstance(value, tuple):
        return tuple(changed(each, tuple(rest), new) if str(n) == first else each for n, each in enumerate(value))
    if isinstance(value, dict):
        return value | {first: changed(value[first], tuple(rest), new)}
    return value.model_copy(update={first: changed(getattr(value, first), tuple(rest), new)})


class Watched:
    """A bundle whose measurements were watched.

    Attributes:
        contract: Its contract.
        reads: What each need reads of it.
    """

    def __init__(self, bundle: Path) -> None:
        self.contract = open_contract(bundle / "contract.toml")
        self._store = EvidenceCache(bundle.parent / "store")
        self.lab = self._laboratory(self.contract)
        self.reads = {need: self._watch(need) for need in NEEDS}

    def _laboratory(self, contract: Contract) -> Laboratory:
        return Laboratory(contract, open_golden, self._store, jobs=1, progress=SilentProgress())

    def _watch(self, need: Need[Any]) -> Reads:
        columns = self.lab.obtain(Need(GoldenFacts)).columns  # opens the golden set, whose own reads its digest covers
        reads, context = Reads(), copy.copy(self.lab.context)
        context.contract = reads.trace(self.contract)
        if KINDS.of(need.kind).runs is Runs.DERIVED:
            stated = derived_provenance(self.contract, need, self.lab, columns)
            # The provenance is what is examined: its own reads do not count.
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(measurer, "derived_provenance", lambda *_: stated)
                derivation_of(need.kind).derive(context.contract, need, self.lab, columns)
        else:
            source = measurer_of(need.kind).provenance(self.lab.context, need)
            measurer_of(need.kind).measure(context, need, source)
        return reads

    def key(self, need: Need[Any], contract: Contract) -> str:
        """The key of the evidence under a contract, with the same inputs where it is derived."""
        if KINDS.of(need.kind).runs is not Runs.DERIVED:
            own = self._laboratory(contract)
            own.context.opener = lambda _: self.lab.context.golden()
            return own.key(need)
        columns = self.lab.obtain(Need(GoldenFacts)).columns
        return content_key(need.kind, derived_provenance(contract, need, self.lab, columns))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """The tiny bundle, measured once under watch."""
    bundle = make_image_bundle(tmp_path_factory.mktemp("keys") / "bundle", build=True)
    change(bundle, "f1_drop = 0.2", "f1_drop = 0.2\nf1_per_class = 0.5")  # else nobody asks `Quality` for the classes
    return Watched(bundle)


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.sampled_from(sorted(CHANGES)), need=st.sampled_from(NEEDS))
def test_another_value_is_another_key_for_whoever_reads_it(watched: Watched, keys: Keys, need: Need[Any]) -> None:
    """One value of the contract changes at a time: the key changes if the measurement reads it, and only then."""
    other = changed(watched.contract, keys, CHANGES[keys])
    differs = watched.key(need, other) != watched.key(need, watched.contract)
    assert differs == watched.reads[need].cover(keys), (need, keys)


def test_a_measurement_cannot_read_what_its_key_leaves_out(watched: Watched) -> None:
    """A field that its kind does not state is absent from the contract that it is given."""
    part = watched.lab.context.narrowed(KINDS.of(Outputs).reads).contract
    assert part.interface.outputs[0].name == "scores"
    for field in ("classes", "statistics", "hybrid"):
        with pytest.raises(AttributeError, match=field):
            getattr(part, field)


def test_two_contracts_that_share_a_cache_do_not_answer_for_each_other(watched: Watched) -> None:
    """One declares the output's first axis as that of the batch, the other as a part of each sample."""
    other = changed(watched.contract, ("interface", "outputs", "0", "shape"), (24, 3))
    for contract, shape in ((watched.contract, (24, 3)), (other, (24, 1, 3)), (watched.contract, (24, 3))):
        assert watched._laboratory(contract).obtain(Need(Outputs, "int8")).arrays["scores"].shape == shape
