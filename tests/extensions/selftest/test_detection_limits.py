"""Detection limits: the search, and what it finds on a tiny bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.extensions.selftest.detection_limits import DEGRADATIONS, bisect, limits_of
from eyerace_parity.extensions.selftest.examiner import Examiner
from eyerace_parity.extensions.selftest.layerwise import layer_limit
from eyerace_parity.extensions.selftest.workshop import Role
from eyerace_parity.measure.cache import EvidenceCache
from tests.bundles import make_image_bundle
from tests.laboratories import change

if TYPE_CHECKING:
    from pathlib import Path


@given(st.floats(1e-4, 10.0))
def test_the_search_ends_just_above_the_truth(truth: float) -> None:
    """Whatever the smallest strength that is seen: found within ten per cent, and never one that is not seen."""
    found = bisect(lambda strength: strength >= truth, 1e-4, 10.0)
    assert found is not None
    assert truth <= found <= max(1.11 * truth, 1e-4)


def test_what_is_never_seen_has_no_limit() -> None:
    """And what is always seen has the least that was tried."""
    assert bisect(lambda _: False, 0.1, 10.0) is None
    assert bisect(lambda _: True, 0.1, 10.0) == 0.1


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, built."""
    return make_image_bundle(tmp_path_factory.mktemp("limits") / "bundle", build=True)


def examiner(bundle: Path) -> Examiner:
    """Judges the bundle."""
    return Examiner(
        open_contract(bundle / "contract.toml"), EvidenceCache(bundle.parent / "store"), 1, SilentProgress()
    )


def test_a_wider_tolerance_sees_less(bundle: Path, tmp_path: Path) -> None:
    """The limit of noise moves with the tolerance; that of size is what the contract leaves."""
    wide = make_image_bundle(tmp_path / "wide", build=True)
    change(wide, "max_abs = 1e-4\ntop1_agreement = 1.0", "max_abs = 1e-2")
    degradations = [each for each in DEGRADATIONS if each.name in {"noise", "file size"}]
    narrow, other = (
        {limit.degradation.name: limit for limit in limits_of(examiner(place), degradations, ("fp32",))}
        for place in (bundle, wide)
    )
    strengths = [found["noise"].strength for found in (narrow, other)]
    assert strengths[0] is not None
    assert strengths[1] is not None
    assert 30 < strengths[1] / strengths[0] < 300
    assert "max_abs" in narrow["noise"].seen_by
    size = narrow["file size"]
    assert size.strength is not None
    contract = open_contract(bundle / "contract.toml")
    real = contract.path(contract.variants["fp32"].path).stat().st_size
    assert real * (1 + size.strength) == pytest.approx(1e6, rel=0.12)


def test_one_layer_that_is_off_is_looked_for_in_real_files(bundle: Path) -> None:
    """Every layer of the float variant is seen, at a strength that its tolerance explains."""
    found = layer_limit(examiner(bundle), Role.FLOAT)
    assert found is not None
    assert found.strengths
    assert all(strength is not None and strength < 0.1 for strength in found.strengths)
    assert "on one layer's weights" in found.sentence
