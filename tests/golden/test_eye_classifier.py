"""The network, its checkpoint and the numbers published about it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import eyes

torch = pytest.importorskip("torch")
eye_classifier = pytest.importorskip("eye_classifier")

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@pytest.fixture(scope="module")
def model():
    """The network with the committed weights, ready to infer."""
    from safetensors.torch import load_file

    network = eye_classifier.EyeClassifier()
    network.load_state_dict(load_file(GOLDEN / "checkpoint.safetensors"), strict=True)
    return network.eval()


def test_classes_are_those_of_the_renderer() -> None:
    """Scores and labels name the classes in one order."""
    assert eye_classifier.CLASSES == eyes.CLASSES == ("orange", "yellow", "pearl", "bull", "split")


def test_the_network_is_an_efficientnet_b0() -> None:
    """With five classes it has the 4,013,953 parameters of that architecture."""
    count = sum(parameter.numel() for parameter in eye_classifier.EyeClassifier().parameters())
    assert count == 4_013_953


def test_scores_have_one_row_a_picture(model) -> None:
    """Pictures [batch, 3, 224, 224] give float32 scores [batch, 5]."""
    with torch.inference_mode():
        scores = model(torch.zeros(2, 3, 224, 224))
    assert scores.shape == (2, 5)
    assert scores.dtype == torch.float32


def test_checkpoint_is_float32() -> None:
    """Every floating weight of the checkpoint is stored in full precision and finite."""
    from safetensors.torch import load_file

    for name, value in load_file(GOLDEN / "checkpoint.safetensors").items():
        assert value.dtype in {torch.float32, torch.int64}, name
        assert bool(torch.isfinite(value.float()).all()), name


def test_checkpoint_predicts_as_its_metrics_say(model) -> None:
    """On a slice of the golden set the accuracy is what the published one allows."""
    from renders import squashed
    from scoring import scores

    published = json.loads((GOLDEN / "metrics.json").read_text("utf-8"))["quality"]["golden"]
    with (GOLDEN / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[::30]
    pictures = np.stack([squashed(eyes.open_upright((GOLDEN / "images" / row["file"]).read_bytes())) for row in rows])
    right = scores(model, pictures).argmax(1) == [eyes.CLASSES.index(row["label"]) for row in rows]
    spread = 3.0 * (published["accuracy"] * (1.0 - published["accuracy"]) / len(rows)) ** 0.5
    assert abs(right.mean() - published["accuracy"]) <= spread


def test_metrics_are_consistent_and_leave_room_to_lose() -> None:
    """Published F1 follows from the published confusion matrix and lies where a loss can be seen."""
    for measured in json.loads((GOLDEN / "metrics.json").read_text("utf-8"))["quality"].values():
        confusion = np.array(measured["confusion"])
        f1 = 2 * confusion.diagonal() / (confusion.sum(0) + confusion.sum(1))
        assert confusion.sum() == measured["images"]
        assert f1.mean() == pytest.approx(measured["macro_f1"], abs=1e-4)
    golden = json.loads((GOLDEN / "metrics.json").read_text("utf-8"))["quality"]["golden"]
    assert golden["images"] == 1200
    assert 0.90 <= golden["macro_f1"] <= 0.95


def test_a_resumed_training_is_the_uninterrupted_one(tmp_path: Path) -> None:
    """Stopping after an epoch and going on from the saved state changes no weight."""
    from renders import Examples
    from train import Run
    from training_plan import Plan

    pictures = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    examples = Examples(pictures, np.arange(8, dtype=np.int64) % 5)
    plan = Plan(((32, 2, 8),), 8, 1, 8, batch=4, rate=1e-3, decay=0.01, smoothing=0.05, average=0.9, seed=1)
    through = Run(plan, tmp_path / "through.pt")
    through.fit(examples, examples)

    stopped = Run(plan, tmp_path / "stopped.pt")
    stopped.train_epoch(examples)
    stopped.save()
    resumed = Run(plan, tmp_path / "stopped.pt")
    assert resumed.resume()
    resumed.fit(examples, examples)
    assert all(torch.equal(through.weights()[name], value) for name, value in resumed.weights().items())


def test_a_state_of_another_plan_is_refused(tmp_path: Path) -> None:
    """Going on with a state that another plan made would mix two trainings."""
    from dataclasses import replace

    from train import Run
    from training_plan import Plan

    plan = Plan(((32, 1, 8),), 8, 1, 8, batch=4, rate=1e-3, decay=0.01, smoothing=0.05, average=0.9, seed=1)
    Run(plan, tmp_path / "state.pt").save()
    with pytest.raises(SystemExit, match="another plan"):
        Run(replace(plan, batch=8), tmp_path / "state.pt").resume()
