"""The usual mistakes of preparation, made on purpose: which there are, on which samples, and what comes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.diagnostics import PreparationTrials
from eyerace_parity.measure.kinds import preparation_trials
from eyerace_parity.preprocess import variations
from eyerace_parity.stats.classification import decisions
from tests.laboratories import bench, change, floats, laboratory

if TYPE_CHECKING:
    from pathlib import Path

ALONE = Need(PreparationTrials, "int8")
BESIDE = Need(PreparationTrials, "int8", versus="fp32")


def measured(bundle: Path, need: Need[PreparationTrials]) -> PreparationTrials:
    """Run them without a store."""
    own = bench(bundle)
    return preparation_trials.measure(own, need, preparation_trials.provenance(own, need))


def test_the_first_trial_is_the_stated_one(image_bundle: Path) -> None:
    """Its decisions, and its distance to the reference, are those of the outputs themselves."""
    lab = laboratory(image_bundle)
    ours, theirs = (floats(lab.obtain(Need(Outputs, name)).arrays["scores"]) for name in ("int8", "fp32"))
    found = lab.obtain(BESIDE)
    stated = found.trials[0]
    rows = list(found.samples)
    assert stated.prepared == ""
    assert stated.decisions == tuple(decisions(ours[rows]).tolist())
    assert found.size == pytest.approx(float(np.sqrt(np.mean(theirs[rows] ** 2))), rel=1e-5)
    assert stated.apart == pytest.approx(float(np.sqrt(np.mean((ours - theirs)[rows] ** 2))), rel=1e-3)


def test_every_mistake_is_named_once_and_does_something(image_bundle: Path) -> None:
    """What changes nothing at all is no mistake: of the stated profile there is one trial."""
    found = measured(image_bundle, BESIDE)
    names = [trial.prepared for trial in found.trials]
    assert len(set(names)) == len(names)
    assert names.count("") == 1
    exchanged = next(trial for trial in found.trials if "order BGR instead of RGB" in trial.prepared)
    assert exchanged.apart is not None
    assert found.trials[0].apart is not None
    assert exchanged.apart > 10 * found.trials[0].apart
    told = " ".join(names)
    assert "to crop instead of squash" in told
    assert "to squash instead of squash" not in told
    for word in ("EXIF", "divided by 255", "[-1, 1]", "ImageNet", "exchanged", "nearest", "crop", "pad", "HWC", "CHW"):
        assert word in told


def test_without_a_reference_there_is_no_distance(image_bundle: Path) -> None:
    """The decisions are there all the same."""
    found = measured(image_bundle, ALONE)
    assert found.size is None
    assert {trial.apart for trial in found.trials} == {None}
    assert all(len(trial.decisions) == len(found.samples) for trial in found.trials)


def test_samples_are_of_all_classes(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes in turn, none twice, and the same ones every time."""
    monkeypatch.setattr(preparation_trials, "SAMPLES", 9)
    found, again = measured(image_bundle, ALONE), measured(image_bundle, ALONE)
    assert found.samples == again.samples == tuple(sorted(set(found.samples)))
    labels = bench(image_bundle).golden().facts().labels
    assert labels is not None
    assert np.bincount(labels[list(found.samples)]).tolist() == [3, 3, 3]


def test_a_profile_of_the_contract_is_tried_too(image_bundle: Path) -> None:
    """And is part of where the answers come from."""
    before = preparation_trials.provenance(bench(image_bundle), ALONE).settings
    profile = "[preprocess.phone]\nresize = { width = 32, height = 32 }\nscale = 0.5\n\n[variants.torch]\n"
    change(image_bundle, "[variants.torch]\n", profile)
    assert measured(image_bundle, ALONE).trials[-1].prepared == "by the profile 'phone' of the contract"
    after = preparation_trials.provenance(bench(image_bundle), ALONE).settings
    assert after.keys() - before.keys() == {"profile.phone"}


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 2, 2)])
def test_a_buffer_that_is_read_wrongly_is_read_rightly_again(shape: tuple[int, ...]) -> None:
    """One of the two ways unmakes the other, so whichever the app did is named."""
    tensor: Any = np.arange(np.prod(shape)).reshape(shape)
    for there, back in (
        (variations._read_hwc_as_chw, variations._read_chw_as_hwc),
        (variations._read_chw_as_hwc, variations._read_hwc_as_chw),
    ):
        np.testing.assert_array_equal(back(there(tensor)), tensor)
    if shape[0] > 1:
        assert not np.array_equal(variations._read_hwc_as_chw(tensor), tensor)


def test_tensors_are_not_prepared(tensor_bundle: Path) -> None:
    """There is no mistake to make."""
    with pytest.raises(MeasurementError, match="are not prepared"):
        measured(tensor_bundle, Need(PreparationTrials, "fp32"))
