"""From scores and labels to the numbers in the model card."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from eye_classifier import CLASSES

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Quality:
    """How well predictions match the labels.

    Attributes:
        images: Number of images.
        macro_f1: Mean F1 over the classes.
        accuracy: Share of right predictions.
        f1: F1 of each class.
        confusion: Rows are labels, columns predictions, in class order.
    """

    images: int
    macro_f1: float
    accuracy: float
    f1: dict[str, float]
    confusion: list[list[int]]

    def plain(self) -> dict[str, object]:
        """The numbers as builtins, rounded to five digits."""
        plain = asdict(self)
        plain["macro_f1"], plain["accuracy"] = round(self.macro_f1, 5), round(self.accuracy, 5)
        plain["f1"] = {name: round(value, 5) for name, value in self.f1.items()}
        return plain


def quality(predictions: NDArray[np.int64], labels: NDArray[np.int64]) -> Quality:
    """Compare predicted class numbers [images] with labels [images]; F1 is 2 TP / (2 TP + FP + FN)."""
    classes = len(CLASSES)
    confusion = np.bincount(labels * classes + predictions, minlength=classes * classes).reshape(classes, classes)
    hits = confusion.diagonal()
    f1 = 2.0 * hits / np.maximum(confusion.sum(axis=0) + confusion.sum(axis=1), 1)
    return Quality(
        images=len(labels),
        macro_f1=float(f1.mean()),
        accuracy=float(hits.sum() / max(1, len(labels))),
        f1={name: float(value) for name, value in zip(CLASSES, f1, strict=True)},
        confusion=confusion.tolist(),
    )


def normalised(pictures: Tensor) -> Tensor:
    """Convert RGB bytes [batch, h, w, 3] to the network's input, float32 [batch, 3, h, w]."""
    values = pictures.permute(0, 3, 1, 2).float() / 255.0
    return (values - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


@torch.inference_mode()
def scores(model: nn.Module, pictures: NDArray[np.uint8], batch: int = 32) -> NDArray[np.float32]:
    """Scores [images, classes] of images [images, h, w, 3]."""
    was_training = model.training
    model.eval()
    parts = [
        model(
            normalised(torch.from_numpy(pictures[start : start + batch])).contiguous(memory_format=torch.channels_last)
        )
        for start in range(0, len(pictures), batch)
    ]
    model.train(was_training)
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)
