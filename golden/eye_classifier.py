"""EfficientNet-B0 in plain torch, classifying a pigeon's eye.

The network follows Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019),
arXiv:1905.11946, table 1, with squeeze-and-excitation and SiLU. Batch dimensions are free; a picture is [3, 224, 224].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

CLASSES = ("orange", "yellow", "pearl", "bull", "split")
"""The classes, in the order of the scores."""


class Stage(NamedTuple):
    """One row of the architecture's table.

    Attributes:
        widen: Factor of channels inside the block.
        channels: Channels after the stage.
        blocks: Number of blocks, the first of which changes size and channels.
        stride: Stride of the first block.
        kernel: Side of the depthwise kernel.
    """

    widen: int
    channels: int
    blocks: int
    stride: int
    kernel: int


STAGES = (
    Stage(1, 16, 1, 1, 3),
    Stage(6, 24, 2, 2, 3),
    Stage(6, 40, 2, 2, 5),
    Stage(6, 80, 3, 2, 3),
    Stage(6, 112, 3, 1, 5),
    Stage(6, 192, 4, 2, 5),
    Stage(6, 320, 1, 1, 3),
)
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280


class ConvNormAct(nn.Sequential):
    """Convolution, batch normalisation and SiLU: [batch, in, h, w] to [batch, out, h / stride, w / stride]."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3),
            nn.SiLU(inplace=True),
        )


class SqueezeExcitation(nn.Module):
    """Weighs each channel by what the whole picture shows: [batch, channels, h, w], same shape."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.act = nn.SiLU(inplace=True)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Scale the channels of `features`."""
        weights: Tensor = torch.sigmoid(self.expand(self.act(self.reduce(features.mean((2, 3), keepdim=True)))))
        return features * weights


class MBConv(nn.Module):
    """Inverted residual block: widen, filter each channel, weigh the channels, narrow, and add the input.

    Args:
        inputs: Channels before the block.
        stage: The stage's row of the table.
        stride: Stride of the depthwise convolution.
        drop: Share of examples whose branch is dropped in training (stochastic depth).
    """

    def __init__(self, inputs: int, stage: Stage, stride: int, drop: float) -> None:
        super().__init__()
        wide = inputs * stage.widen
        self.expand = ConvNormAct(inputs, wide) if stage.widen != 1 else nn.Identity()
        self.depthwise = ConvNormAct(wide, wide, stage.kernel, stride, groups=wide)
        self.excite = SqueezeExcitation(wide, max(1, inputs // 4))
        self.project = nn.Sequential(
            nn.Conv2d(wide, stage.channels, 1, bias=False), nn.BatchNorm2d(stage.channels, eps=1e-3)
        )
        self.residual = stride == 1 and inputs == stage.channels
        self.drop = drop

    def forward(self, features: Tensor) -> Tensor:
        """Map [batch, inputs, h, w] to [batch, channels, h / stride, w / stride]."""
        branch: Tensor = self.project(self.excite(self.depthwise(self.expand(features))))
        if not self.residual:
            return branch
        if self.training and self.drop > 0.0:
            keep = torch.rand(len(branch), 1, 1, 1, device=branch.device) >= self.drop
            branch = branch * keep / (1.0 - self.drop)
        return branch + features


class EyeClassifier(nn.Module):
    """EfficientNet-B0 with one score per class.

    Args:
        num_classes: Number of classes.
        dropout: Share of features dropped before the last layer in training.
        drop_path: Share of residual branches dropped at the last block in training, rising linearly from 0.
    """

    def __init__(self, num_classes: int = len(CLASSES), dropout: float = 0.2, drop_path: float = 0.05) -> None:
        super().__init__()
        self.stem = ConvNormAct(3, STEM_CHANNELS, kernel=3, stride=2)
        total = sum(stage.blocks for stage in STAGES)
        blocks: list[nn.Module] = []
        channels = STEM_CHANNELS
        for stage in STAGES:
            for number in range(stage.blocks):
                stride = stage.stride if number == 0 else 1
                blocks.append(MBConv(channels, stage, stride, drop_path * len(blocks) / total))
                channels = stage.channels
        self.blocks = nn.Sequential(*blocks)
        self.head = ConvNormAct(channels, HEAD_CHANNELS)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(HEAD_CHANNELS, num_classes)
        self.apply(_initialise)
        for module in self.modules():
            if isinstance(module, MBConv) and module.residual:
                # A block that starts as the identity lets a short training reach depth.
                nn.init.zeros_(module.project[1].weight)  # type: ignore[arg-type]

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Score every class.

        Args:
            pixel_values: Normalised pictures, float32 [batch, 3, 224, 224].

        Returns:
            Scores before any softmax, float32 [batch, classes].
        """
        features = self.head(self.blocks(self.stem(pixel_values)))
        scores: Tensor = self.classifier(self.dropout(features.mean((2, 3))))
        return scores


def _initialise(module: nn.Module) -> None:
    """Give convolutions the fan-out scale and the last layer a small one, so that it starts undecided."""
    if isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.01)
        nn.init.zeros_(module.bias)
