"""Two real bundles, small enough to export, quantise and judge in a second.

The image bundle classifies the colour of a blot, so swapped channels must show. The tensor bundle has what the image
bundle has not: ``.npz`` files, two inputs of which one is int64, two outputs, no labels.
"""

from __future__ import annotations

import csv
from textwrap import dedent
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file

if TYPE_CHECKING:
    from pathlib import Path

COLOURS = {"red": (200, 60, 50), "green": (60, 180, 70), "blue": (50, 70, 210)}
IMAGES_PER_CLASS = 8

TINY_CLASSIFIER = '''
"""A classifier of colours: convolutions whose first channels pass red, green and blue through."""

import torch
from torch import nn


class TinyClassifier(nn.Module):
    """float32 [batch, 3, 32, 32] to scores float32 [batch, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(16, 3)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        features = self.body(self.stem(pixel_values)).mean((2, 3))
        return self.head(features)
'''

TINY_CALIBRATION = '''
"""Blots that the golden set does not hold."""

import numpy as np
from PIL import Image


def blots(count, seed):
    """Yield ``count`` images of one random colour each, with noise."""
    random = np.random.default_rng([seed, 77])
    for _ in range(count):
        colour = random.integers(0, 255, 3)
        noise = random.normal(0, 20, (30, 40, 3))
        yield Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8))
'''

IMAGE_CONTRACT = """
schema = 1
name = "tiny-colours"
classes = ["red", "green", "blue"]

[interface]
opset = 17
max_ir_version = 8

[[interface.inputs]]
name = "pixel_values"
shape = ["batch", 3, 32, 32]

[[interface.outputs]]
name = "scores"
shape = ["batch", 3]

[golden]
kind = "images"
cluster = "blot"
preprocess = "app"

[preprocess.app]
resize = { width = 32, height = 32 }
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]

# A dozen blots prove little.
[statistics]
confidence = 0.5

[variants.torch]
kind = "torch"
path = "tiny.safetensors"
factory = "tiny_classifier:TinyClassifier"
[variants.torch.limits.quality]
f1 = 0.9

[variants.fp32]
kind = "onnx"
path = "build/tiny.fp32.onnx"
reference = "torch"
tier = "cloud"
recipe = { kind = "export", source = "torch" }
[variants.fp32.limits.closeness]
max_abs = 1e-4
top1_agreement = 1.0
[variants.fp32.limits.quality]
f1 = 0.9
f1_drop = 0.0
[variants.fp32.limits.size]
file_size = "1 MB"

[variants.int8]
kind = "onnx"
path = "build/tiny.int8.onnx"
reference = "fp32"
tier = "device"
[variants.int8.recipe]
kind = "quantize_static"
source = "fp32"
reduce_range = true
calibration = { images = "tiny_calibration:blots", count = 32, seed = 1 }
[variants.int8.limits.closeness]
sqnr_db = 20.0
top1_agreement = 0.95
[variants.int8.limits.quality]
f1 = 0.9
f1_drop = 0.2
[variants.int8.limits.interface]
integer_weights = 0.9
[variants.int8.limits.size]
file_size = "1 MB"
"""

TINY_RANKER = '''
"""Two inputs, two outputs: rows of a table looked up by number and mixed with a vector."""

import torch
from torch import nn


class TinyRanker(nn.Module):
    """(features float32 [rows, 8], bird int64 [rows]) to (rank float32 [rows, 4], norm float32 [rows])."""

    def __init__(self, hidden: int = 24) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 8)
        self.mix = nn.Sequential(nn.Linear(16, hidden), nn.ReLU(), nn.Linear(hidden, 4))

    def forward(self, features: torch.Tensor, bird: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rank = self.mix(torch.cat([features, self.table(bird)], 1))
        return rank, rank.square().sum(1)
'''

TENSOR_CONTRACT = """
schema = 1
name = "tiny-ranks"

[interface]
opset = 17
inputs = [
    { name = "features", dtype = "float32", shape = ["rows", 8] },
    { name = "bird", dtype = "int64", shape = ["rows"] },
]
outputs = [
    { name = "rank", dtype = "float32", shape = ["rows", 4] },
    { name = "norm", dtype = "float32", shape = ["rows"] },
]

[golden]
kind = "tensors"
files = ["golden/*.npz"]

[variants.torch]
kind = "torch"
path = "tiny.safetensors"
factory = "tiny_ranker:TinyRanker"
arguments = { hidden = 24 }

[variants.fp32]
kind = "onnx"
path = "build/ranks.fp32.onnx"
reference = "torch"
recipe = { kind = "export", source = "torch" }
[variants.fp32.limits.closeness]
max_abs = 1e-4

[variants.int8]
kind = "onnx"
path = "build/ranks.int8.onnx"
reference = "fp32"
recipe = { kind = "quantize_dynamic", source = "fp32", weight_type = "uint8" }
[variants.int8.limits.closeness]
sqnr_db = 15.0
"""


def make_image_bundle(folder: Path, *, build: bool = False) -> Path:
    """Write the tiny labelled bundle; with ``build`` its artefacts too. Returns the folder."""
    (folder / "images").mkdir(parents=True)
    _write(folder / "tiny_classifier.py", TINY_CLASSIFIER)
    _write(folder / "tiny_calibration.py", TINY_CALIBRATION)
    _write(folder / "contract.toml", IMAGE_CONTRACT)
    _write_blots(folder)
    save_file(_classifier_weights(), folder / "tiny.safetensors")
    if build:
        _build(folder / "contract.toml")
    return folder


def make_tensor_bundle(folder: Path, *, build: bool = False) -> Path:
    """Write the tiny unlabelled bundle; with ``build`` its artefacts too. Returns the folder."""
    (folder / "golden").mkdir(parents=True)
    _write(folder / "tiny_ranker.py", TINY_RANKER)
    _write(folder / "contract.toml", TENSOR_CONTRACT)
    random = np.random.default_rng(5)
    for number, rows in enumerate((7, 12)):
        np.savez(
            folder / "golden" / f"races-{number}.npz",
            features=random.normal(size=(rows, 8)).astype(np.float32),
            bird=random.integers(0, 10, rows),
        )
    save_file(_ranker_weights(), folder / "tiny.safetensors")
    if build:
        _build(folder / "contract.toml")
    return folder


def _build(contract: Path) -> None:
    # Imported here: the bundles must be writable before the recipes can be imported at all.
    from eyerace_parity.checks.registry import open_contract
    from eyerace_parity.core.progress import SilentProgress
    from eyerace_parity.recipes.build import build_variant, missing_artefacts

    opened = open_contract(contract)
    for variant in missing_artefacts(opened):
        build_variant(opened, variant, SilentProgress())


def _write(path: Path, text: str) -> None:
    path.write_text(dedent(text).lstrip(), encoding="utf-8", newline="\n")


def _write_blots(folder: Path) -> None:
    """Write two photographs of each blot, of two sizes, neither square."""
    random = np.random.default_rng(3)
    rows = []
    for label, colour in COLOURS.items():
        for number in range(IMAGES_PER_CLASS):
            name = f"{label}-{number}.jpg"
            width, height = ((40, 30), (36, 48))[number % 2]
            ground = random.normal(110, 25, (height, width, 3))
            image = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
            shade = tuple(int(np.clip(c + random.normal(0, 12), 0, 255)) for c in colour)
            left, top = random.integers(2, 8, 2)
            ImageDraw.Draw(image).ellipse((left, top, width - 3, height - 3), fill=shade)
            image.save(folder / "images" / name, quality=90)
            rows.append((name, label, f"{label}-{number // 2}", f"{random.uniform(0.2, 1):.2f}"))
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file", "label", "blot", "focus"))
        writer.writerows(rows)


def _classifier_weights() -> dict[str, torch.Tensor]:
    """Weights by hand: channels 0 to 2 carry red, green and blue through, all others a little noise."""
    generator = torch.Generator().manual_seed(11)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.02

    stem, body, head = noise(16, 3, 3, 3), noise(16, 16, 3, 3), noise(3, 16)
    for colour in range(3):
        stem[colour, colour, 1, 1] += 1.0
        body[colour, colour, 1, 1] += 1.0
        head[:, colour] -= 1.0
        head[colour, colour] += 3.0
    return {
        "stem.0.weight": stem,
        "stem.1.weight": torch.ones(16),
        "stem.1.bias": torch.full((16,), 0.1),
        "stem.1.running_mean": noise(16),
        "stem.1.running_var": torch.ones(16) + noise(16).abs(),
        "stem.1.num_batches_tracked": torch.tensor(100),
        "body.0.weight": body,
        "body.0.bias": noise(16),
        "head.weight": head,
        "head.bias": noise(3),
    }


def _ranker_weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(12)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.4

    return {
        "table.weight": normal(10, 8),
        "mix.0.weight": normal(24, 16),
        "mix.0.bias": normal(24),
        "mix.2.weight": normal(4, 24),
        "mix.2.bias": normal(4),
    }
